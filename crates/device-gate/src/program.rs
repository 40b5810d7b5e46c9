//! The device-cgroup programs, assembled by hand.
//!
//! A `BPF_PROG_TYPE_CGROUP_DEVICE` program gets a `struct bpf_cgroup_dev_ctx { u32 access_type; u32 major;
//! u32 minor; }` (`include/uapi/linux/bpf.h`), where `access_type = access << 16 | kind`, and returns 0 to
//! refuse, 1 to agree. All programs of a cgroup and its ancestors run, the cgroup's own first, the root's
//! last; the first refusal sets the return value to `-EPERM`, and since Linux 5.18 a later program may set it
//! back (`bpf_set_retval`, kernel/bpf/cgroup.c).

pub(crate) mod copied;

use std::os::fd::RawFd;

use crate::access::{Access, DeviceKind};

/// `struct bpf_insn` of `include/uapi/linux/bpf.h`, eight bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Insn {
    code: u8,
    /// Destination register in the low nibble of the byte on little-endian machines, in the high one on
    /// big-endian machines (a C bit field).
    registers: u8,
    offset: i16,
    immediate: i32,
}

const fn insn(code: u8, dst: u8, src: u8, offset: i16, immediate: i32) -> Insn {
    let registers = if cfg!(target_endian = "little") { dst | src << 4 } else { dst << 4 | src };
    Insn { code, registers, offset, immediate }
}

// The few instructions used here, named as in Documentation/bpf/standardization/instruction-set.rst.
const fn load_u32(dst: u8, src: u8, offset: i16) -> Insn {
    insn(0x61, dst, src, offset, 0)
}
const fn store_u32(dst: u8, offset: i16, src: u8) -> Insn {
    insn(0x63, dst, src, offset, 0)
}
const fn store_u64(dst: u8, offset: i16, src: u8) -> Insn {
    insn(0x7b, dst, src, offset, 0)
}
const fn store_u32_imm(dst: u8, offset: i16, value: i32) -> Insn {
    insn(0x62, dst, 0, offset, value)
}
const fn mov(dst: u8, src: u8) -> Insn {
    insn(0xbf, dst, src, 0, 0)
}
const fn mov32(dst: u8, src: u8) -> Insn {
    insn(0xbc, dst, src, 0, 0)
}
pub(crate) const fn mov_imm(dst: u8, value: i32) -> Insn {
    insn(0xb7, dst, 0, 0, value)
}
const fn add_imm(dst: u8, value: i32) -> Insn {
    insn(0x07, dst, 0, 0, value)
}
const fn and32_imm(dst: u8, value: i32) -> Insn {
    insn(0x54, dst, 0, 0, value)
}
const fn and32(dst: u8, src: u8) -> Insn {
    insn(0x5c, dst, src, 0, 0)
}
const fn xor32_imm(dst: u8, value: i32) -> Insn {
    insn(0xa4, dst, 0, 0, value)
}
const fn rsh32_imm(dst: u8, bits: i32) -> Insn {
    insn(0x74, dst, 0, 0, bits)
}
pub(crate) const fn call(helper: i32) -> Insn {
    insn(0x85, 0, 0, 0, helper)
}
pub(crate) const EXIT: Insn = insn(0x95, 0, 0, 0, 0);

/// Opcodes of the jumps that [`Assembler::jump`] takes: compare `dst` with the immediate.
const ALWAYS: u8 = 0x05;
const IF_EQUAL: u8 = 0x15;
const IF_NOT_EQUAL: u8 = 0x55;
const IF_NOT_EQUAL_32: u8 = 0x56;

// Helper numbers: `enum bpf_func_id`, ABI.
pub(crate) const MAP_LOOKUP_ELEM: i32 = 1;
pub(crate) const TAIL_CALL: i32 = 12;
pub(crate) const GET_CURRENT_CGROUP_ID: i32 = 80;
pub(crate) const GET_CURRENT_ANCESTOR_CGROUP_ID: i32 = 123;
pub(crate) const GET_RETVAL: i32 = 186;
pub(crate) const SET_RETVAL: i32 = 187;

/// How many levels of cgroups below the root are looked at. systemd and container runtimes nest about six
/// deep, a container engine inside a container about twelve.
pub(crate) const MAX_DEPTH: i32 = 32;

/// Collects instructions; jumps are written to labels and resolved at the end.
#[derive(Default)]
struct Assembler {
    insns: Vec<Insn>,
    labels: Vec<Option<usize>>,
    jumps: Vec<(usize, Label)>,
}

#[derive(Clone, Copy)]
struct Label(usize);

impl Assembler {
    fn emit(&mut self, insns: &[Insn]) {
        self.insns.extend_from_slice(insns);
    }

    fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    fn place(&mut self, label: Label) {
        self.labels[label.0] = Some(self.insns.len());
    }

    fn jump(&mut self, code: u8, dst: u8, immediate: i32, to: Label) {
        self.jumps.push((self.insns.len(), to));
        self.insns.push(insn(code, dst, 0, 0, immediate));
    }

    /// Loads the map's address; the kernel replaces the descriptor (`BPF_PSEUDO_MAP_FD`).
    fn load_map(&mut self, dst: u8, map: RawFd) {
        self.emit(&[insn(0x18, dst, 1, 0, map), insn(0, 0, 0, 0, 0)]);
    }

    fn load_u64(&mut self, dst: u8, value: u64) {
        let (low, high) = ((value & 0xffff_ffff) as u32, (value >> 32) as u32);
        self.emit(&[
            insn(0x18, dst, 0, 0, low.cast_signed()),
            insn(0, 0, 0, 0, high.cast_signed()),
        ]);
    }

    #[expect(
        clippy::expect_used,
        reason = "every label of the programs below is placed, and they are far shorter than i16::MAX"
    )]
    fn finish(mut self) -> Vec<Insn> {
        for (at, label) in self.jumps {
            let target = self.labels[label.0].expect("a label is placed before finish");
            let distance = target.cast_signed() - at.cast_signed() - 1;
            self.insns[at].offset = i16::try_from(distance).expect("a jump within the program");
        }
        self.insns
    }
}

/// Where the map's key is built on the stack: [`crate::sys::bpf::GrantKey`].
const KEY: i16 = -24;
const KEY_KIND: i16 = KEY + 8;
const KEY_MAJOR: i16 = KEY + 12;
const KEY_MINOR: i16 = KEY + 16;
const KEY_PAD: i16 = KEY + 20;

/// Which cgroups a grant is looked up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The caller's and all those it lies in, down to [`MAX_DEPTH`].
    Ancestors,
    /// The caller's alone: before Linux 6.1 device programs cannot ask for another.
    Exact,
}

/// The override program.
///
/// ```text
/// if get_retval() != -EPERM: return 1           // nobody refused: the whole host takes this path
/// for level in 1..=MAX_DEPTH:
///     id = ancestor cgroup id of the caller at this level, or stop
///     for minor in minor, any:
///         granted = map[id, kind, major, minor]
///         if granted && requested is a subset of granted:
///             set_retval(0); stop
/// return 1
/// ```
///
/// It looks at every ancestor, so that a grant to a container covers the cgroups its own systemd or
/// container engine makes below. It never returns 0: it can only widen, and only for exact entries.
pub(crate) fn override_program(map: RawFd, reach: Reach) -> Vec<Insn> {
    let mut asm = Assembler::default();
    let (next_level, granted, out) = (asm.label(), asm.label(), asm.label());

    asm.emit(&[mov(6, 1), call(GET_RETVAL)]);
    // The helper returns an int; the register's upper half is not ours to look at.
    asm.jump(IF_NOT_EQUAL_32, 0, -libc::EPERM, out);

    begin_key(&mut asm);
    match reach {
        Reach::Ancestors => {
            asm.emit(&[mov_imm(8, 1)]);
            asm.place(next_level);
            asm.emit(&[mov(1, 8), call(GET_CURRENT_ANCESTOR_CGROUP_ID)]);
            asm.jump(IF_EQUAL, 0, 0, out);
            look_up(&mut asm, map, granted);
            asm.emit(&[add_imm(8, 1)]);
            asm.jump(IF_NOT_EQUAL, 8, MAX_DEPTH + 1, next_level);
        }
        Reach::Exact => {
            asm.place(next_level);
            asm.emit(&[call(GET_CURRENT_CGROUP_ID)]);
            look_up(&mut asm, map, granted);
        }
    }
    asm.jump(ALWAYS, 0, 0, out);

    asm.place(granted);
    asm.emit(&[mov_imm(1, 0), call(SET_RETVAL)]);
    asm.place(out);
    asm.emit(&[mov_imm(0, 1), EXIT]);
    asm.finish()
}

/// r6 is the context. Leaves the requested accesses in r7, the minor number in r9, and the key's device on the stack.
fn begin_key(asm: &mut Assembler) {
    asm.emit(&[load_u32(7, 6, 0), mov32(2, 7), and32_imm(2, 0xffff), store_u32(10, KEY_KIND, 2)]);
    asm.emit(&[load_u32(2, 6, 4), store_u32(10, KEY_MAJOR, 2), load_u32(9, 6, 8)]);
    asm.emit(&[store_u32_imm(10, KEY_PAD, 0), rsh32_imm(7, 16)]);
}

/// Goes to `granted` if the cgroup whose id is in r0 may do what is requested: with this minor, or with any.
fn look_up(asm: &mut Assembler, map: RawFd, granted: Label) {
    asm.emit(&[store_u64(10, KEY, 0)]);
    for minor in [store_u32(10, KEY_MINOR, 9), store_u32_imm(10, KEY_MINOR, -1)] {
        let missing = asm.label();
        asm.emit(&[minor]);
        asm.load_map(1, map);
        asm.emit(&[mov(2, 10), add_imm(2, KEY as i32), call(MAP_LOOKUP_ELEM)]);
        asm.jump(IF_EQUAL, 0, 0, missing);
        // requested & !granted must be empty. `access(path, F_OK)` requests nothing: any entry will do.
        asm.emit(&[load_u32(1, 0, 0), xor32_imm(1, -1), and32(1, 7)]);
        asm.jump(IF_EQUAL, 1, 0, granted);
        asm.place(missing);
    }
}

/// Whose grants a wrapped program agrees to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// Those of the cgroup with this id. For a program that only this cgroup's processes meet.
    Cgroup(u64),
    /// Those of the caller's own cgroup. For a program that others meet as well.
    Caller,
}

/// What a wrap does while its daemon lives: agree to what is granted, and otherwise as the original.
pub(crate) fn wrap_program(map: RawFd, holders: &[Holder], original: &[Insn]) -> Vec<Insn> {
    let mut asm = Assembler::default();
    let (granted, copy) = (asm.label(), asm.label());
    asm.emit(&[mov(6, 1)]);
    begin_key(&mut asm);
    for &holder in holders {
        match holder {
            Holder::Cgroup(id) => asm.load_u64(0, id),
            Holder::Caller => asm.emit(&[call(GET_CURRENT_CGROUP_ID)]),
        }
        look_up(&mut asm, map, granted);
    }
    asm.jump(ALWAYS, 0, 0, copy);
    asm.place(granted);
    asm.emit(&[mov_imm(0, 1), EXIT]);
    asm.place(copy);
    asm.emit(&[mov(1, 6)]);
    asm.emit(original);
    asm.finish()
}

/// What stands where the original stood: goes to the program in `programs[0]`, and does as the original when there is
/// none. The kernel empties that array when the last descriptor of it is closed (`prog_array_map_clear` in
/// kernel/bpf/arraymap.c), so what is granted ends with the daemon that granted it.
pub(crate) fn wrap_entry(programs: RawFd, original: &[Insn]) -> Vec<Insn> {
    let mut asm = Assembler::default();
    asm.emit(&[mov(6, 1)]);
    asm.load_map(2, programs);
    asm.emit(&[mov_imm(3, 0), call(TAIL_CALL)]);
    asm.emit(&copied::MARK);
    asm.emit(original);
    asm.finish()
}

/// A rule of [`policy_program`]: `None` is any.
pub(crate) type RawRule = (DeviceKind, Option<u32>, Option<u32>, Access);

/// A runtime's kind of program: agree to what a rule allows, refuse everything else.
pub(crate) fn policy_program(rules: &[RawRule]) -> Vec<Insn> {
    let mut asm = Assembler::default();
    // r2 = kind, r3 = requested accesses, r4 = major, r5 = minor.
    asm.emit(&[load_u32(2, 1, 0), and32_imm(2, 0xffff), load_u32(3, 1, 0), rsh32_imm(3, 16)]);
    asm.emit(&[load_u32(4, 1, 4), load_u32(5, 1, 8)]);
    for &(kind, major, minor, access) in rules {
        let next = asm.label();
        asm.jump(IF_NOT_EQUAL, 2, kind.bpf().cast_signed(), next);
        for (register, number) in [(4, major), (5, minor)] {
            if let Some(number) = number {
                asm.jump(IF_NOT_EQUAL, register, number.cast_signed(), next);
            }
        }
        asm.emit(&[mov32(1, 3), and32_imm(1, !access.bits().cast_signed())]);
        asm.jump(IF_NOT_EQUAL, 1, 0, next);
        asm.emit(&[mov_imm(0, 1), EXIT]);
        asm.place(next);
    }
    asm.emit(&[mov_imm(0, 0), EXIT]);
    asm.finish()
}

#[cfg(test)]
mod tests;
