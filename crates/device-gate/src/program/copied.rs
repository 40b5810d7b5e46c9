//! Programs of others, to be copied behind ours.
//!
//! What container runtimes and systemd attach is arithmetic on the context, and jumps: it means the same wherever it
//! stands. Anything else would not, and is refused.

use super::{EXIT, Insn, mov, mov_imm};

/// Between our part of an entry and the copy of the original: a number that nothing else loads, and then the context
/// where the original expects it.
pub(crate) const MARK: [Insn; 2] = [mov_imm(0, 0x686f_7473), mov(1, 6)];

/// Register 11 is the kernel's own; it is seen where programs are blinded (`net.core.bpf_jit_harden`).
const LAST_REGISTER: u8 = 10;

// The classes of instructions: instruction-set.rst, "Instruction classes".
const LD: u8 = 0;
const LDX: u8 = 1;
const ST: u8 = 2;
const STX: u8 = 3;
const ALU: u8 = 4;
const JMP: u8 = 5;
const JMP32: u8 = 6;
const ALU64: u8 = 7;

/// What keeps a program from being copied, in a few words; `None`: it means the same anywhere.
pub(crate) fn obstacle(insns: &[Insn]) -> Option<&'static str> {
    if insns.last() != Some(&EXIT) {
        return Some("its instructions cannot be read");
    }
    let mut rest = insns.iter();
    while let Some(insn) = rest.next() {
        let (dst, src) = registers(insn);
        if dst > LAST_REGISTER || src > LAST_REGISTER {
            return Some("it is blinded (sysctl net.core.bpf_jit_harden)");
        }
        match (insn.code & 7, insn.code & 0xf0) {
            // A constant of 64 bits, in two instructions; any other kind is a map or a function.
            (LD, 0x10) if insn.code == 0x18 && src == 0 => {
                rest.next();
            }
            (LDX | ST | STX, 0x60 | 0x70) | (ALU | ALU64, _) => {}
            (JMP, 0x80 | 0xf0) => return Some("it calls functions"),
            (JMP | JMP32, _) => {}
            _ => return Some("it uses maps or unusual memory accesses"),
        }
    }
    None
}

/// Whether the program agrees to everything without looking, as that of a privileged container does.
pub(crate) fn allows_everything(insns: &[Insn]) -> bool {
    let mut result = None;
    let mut next = 0;
    while let Some(insn) = insns.get(next) {
        let (dst, _) = registers(insn);
        next += 1;
        match insn.code {
            code if code == EXIT.code => return result == Some(1),
            // goto
            0x05 => match usize::try_from(insn.offset) {
                Ok(offset) => next += offset,
                Err(_) => return false,
            },
            // r0 = constant, in 64 or 32 bits
            0xb7 | 0xb4 if dst == 0 => result = Some(insn.immediate),
            0x18 => {
                next += 1;
                if dst == 0 {
                    result = None;
                }
            }
            code => match code & 7 {
                LDX | ALU | ALU64 if dst == 0 => result = None,
                LDX | ALU | ALU64 | ST | STX => {}
                _ => return false,
            },
        }
    }
    false
}

/// The original in one of our entries.
pub(crate) fn behind_mark(entry: &[Insn]) -> Option<&[Insn]> {
    let at = entry.windows(MARK.len()).position(|insns| insns == MARK)?;
    Some(&entry[at + MARK.len()..])
}

/// Destination and source register.
fn registers(insn: &Insn) -> (u8, u8) {
    let (low, high) = (insn.registers & 0xf, insn.registers >> 4);
    if cfg!(target_endian = "little") { (low, high) } else { (high, low) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Access, DeviceKind};
    use crate::program::{Holder, call, load_u32, policy_program, wrap_entry, wrap_program};

    fn policy() -> Vec<Insn> {
        policy_program(&[(DeviceKind::Char, Some(1), Some(3), Access::READ)])
    }

    #[test]
    fn a_policy_can_be_copied_and_what_calls_or_looks_up_cannot() {
        assert_eq!(obstacle(&policy()), None);
        assert_eq!(obstacle(&[mov_imm(0, 1), EXIT]), None);
        assert_eq!(obstacle(&[call(5), EXIT]), Some("it calls functions"));
        let map = wrap_program(7, &[Holder::Caller], &policy());
        assert!(obstacle(&map).is_some());
        assert!(obstacle(&wrap_entry(7, &policy())).is_some());
        assert!(obstacle(&[]).is_some());
        // All zeroes: what the kernel gives to those who may not see.
        let zero = Insn { code: 0, registers: 0, offset: 0, immediate: 0 };
        assert!(obstacle(&[zero, zero]).is_some());
        assert!(obstacle(&[mov(11, 1), EXIT]).is_some());
    }

    #[test]
    fn only_what_never_looks_allows_everything() {
        assert!(allows_everything(&[load_u32(2, 1, 0), mov_imm(0, 1), EXIT]));
        assert!(!allows_everything(&[mov_imm(0, 0), EXIT]));
        assert!(!allows_everything(&[mov_imm(0, 1), load_u32(0, 1, 0), EXIT]));
        assert!(!allows_everything(&policy()));
        assert!(!allows_everything(&[]));
    }

    #[test]
    fn the_original_comes_back_out_of_an_entry() {
        assert_eq!(behind_mark(&wrap_entry(7, &policy())), Some(&policy()[..]));
        assert_eq!(behind_mark(&policy()), None);
    }
}
