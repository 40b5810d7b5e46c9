//! `bpf(2)`, as little of it as device-cgroup programs need.

#![expect(
    unsafe_code,
    reason = "bpf(2) has no safe wrapper; a full BPF library would bring libelf"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::access::Devices;
use crate::program::Insn;

// `enum bpf_cmd`, `enum bpf_map_type`, `enum bpf_prog_type`, `enum bpf_attach_type` and flags of
// include/uapi/linux/bpf.h: ABI.
const BPF_MAP_CREATE: u32 = 0;
const BPF_MAP_UPDATE_ELEM: u32 = 2;
const BPF_MAP_DELETE_ELEM: u32 = 3;
const BPF_MAP_GET_NEXT_KEY: u32 = 4;
const BPF_PROG_LOAD: u32 = 5;
const BPF_PROG_ATTACH: u32 = 8;
const BPF_PROG_GET_FD_BY_ID: u32 = 13;
const BPF_OBJ_GET_INFO_BY_FD: u32 = 15;
const BPF_PROG_QUERY: u32 = 16;
const BPF_LINK_CREATE: u32 = 28;
const BPF_LINK_UPDATE: u32 = 29;
const BPF_LINK_GET_FD_BY_ID: u32 = 30;
const BPF_LINK_GET_NEXT_ID: u32 = 31;
const BPF_MAP_TYPE_HASH: u32 = 1;
const BPF_MAP_TYPE_PROG_ARRAY: u32 = 3;
const BPF_LINK_TYPE_CGROUP: u32 = 3;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_NO_PREALLOC: u32 = 1;
const BPF_F_ALLOW_MULTI: u32 = 2;
const BPF_F_REPLACE: u32 = 4;
const BPF_F_QUERY_EFFECTIVE: u32 = 1;

/// `union bpf_attr`, always passed whole and zeroed: kernels 6.17 to 7.1 write past a short one
/// (`query.revision` in `BPF_PROG_QUERY`), and older kernels accept trailing zeros.
#[repr(C, align(8))]
struct Attr([u8; 256]);

impl Attr {
    const fn new() -> Self {
        Self([0; 256])
    }

    fn u32(mut self, offset: usize, value: u32) -> Self {
        self.0[offset..offset + 4].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn read_u32(&self, offset: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.0[offset..offset + 4]);
        u32::from_ne_bytes(bytes)
    }

    fn fd(self, offset: usize, fd: BorrowedFd<'_>) -> Self {
        self.u32(offset, fd.as_raw_fd().cast_unsigned())
    }

    fn pointer<T: ?Sized>(mut self, offset: usize, value: &T) -> Self {
        let address = std::ptr::from_ref(value).cast::<u8>() as u64;
        self.0[offset..offset + 8].copy_from_slice(&address.to_ne_bytes());
        self
    }

    fn name(mut self, offset: usize, name: &str) -> Self {
        // BPF_OBJ_NAME_LEN is 16 with the final NUL.
        let bytes = &name.as_bytes()[..name.len().min(15)];
        self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
        self
    }
}

/// Lets this process have as many maps and programs as it likes: before Linux 5.11 they count as locked memory.
pub(crate) fn allow_locked_memory() {
    // Refused without CAP_SYS_RESOURCE; then what follows says what it could not have.
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
}

/// # Safety
///
/// Every pointer in `attr` must be valid for what `command` does with it, until this returns.
unsafe fn bpf(command: u32, attr: &mut Attr) -> io::Result<i32> {
    loop {
        // SAFETY: attr is writable memory of the size given; its pointers are the caller's promise.
        let result =
            unsafe { libc::syscall(libc::SYS_bpf, command, attr.0.as_mut_ptr(), attr.0.len()) };
        if result >= 0 {
            return i32::try_from(result).map_err(io::Error::other);
        }
        let error = io::Error::last_os_error();
        // The verifier gives up with EAGAIN when a signal is pending.
        if error.raw_os_error() != Some(libc::EAGAIN) {
            return Err(error);
        }
    }
}

/// # Safety
///
/// As [`bpf`], and `command` must be one that returns a new file descriptor.
unsafe fn bpf_fd(command: u32, attr: &mut Attr) -> io::Result<OwnedFd> {
    // SAFETY: forwarded to the caller.
    let fd = unsafe { bpf(command, attr) }?;
    // SAFETY: the command returned a new descriptor, which nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Key of the grants map. No implicit padding: the kernel compares all 24 bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GrantKey {
    pub(crate) cgroup: u64,
    pub(crate) kind: u32,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) pad: u32,
}

impl GrantKey {
    /// No minor number has more than 20 bits (include/linux/kdev_t.h), so all bits set can stand for any.
    pub(crate) fn new(cgroup: u64, devices: Devices) -> Self {
        let Devices { kind, major, minor } = devices;
        Self { cgroup, kind: kind.bpf(), major, minor: minor.unwrap_or(u32::MAX), pad: 0 }
    }
}

/// Sizes as the map is made with.
const KEY_SIZE: u32 = 24;
const VALUE_SIZE: u32 = 4;
const _: () = assert!(size_of::<GrantKey>() == KEY_SIZE as usize);

/// The grants map: [`GrantKey`] to access bits.
#[derive(Debug)]
pub(crate) struct GrantMap(OwnedFd);

impl GrantMap {
    pub(crate) fn create(max_entries: u32) -> io::Result<Self> {
        let mut attr = Attr::new()
            .u32(0, BPF_MAP_TYPE_HASH)
            .u32(4, KEY_SIZE)
            .u32(8, VALUE_SIZE)
            .u32(12, max_entries)
            .u32(16, BPF_F_NO_PREALLOC)
            .name(28, "hotseat_grants");
        // SAFETY: BPF_MAP_CREATE reads no pointer that is set here.
        unsafe { bpf_fd(BPF_MAP_CREATE, &mut attr) }.map(Self)
    }

    pub(crate) fn insert(&self, key: &GrantKey, access: u32) -> io::Result<()> {
        let mut attr = Attr::new().fd(0, self.fd()).pointer(8, key).pointer(16, &access);
        // SAFETY: key and value live until the call returns and have the map's sizes.
        unsafe { bpf(BPF_MAP_UPDATE_ELEM, &mut attr) }.map(drop)
    }

    pub(crate) fn remove(&self, key: &GrantKey) -> io::Result<()> {
        let mut attr = Attr::new().fd(0, self.fd()).pointer(8, key);
        // SAFETY: key lives until the call returns and has the map's key size.
        unsafe { bpf(BPF_MAP_DELETE_ELEM, &mut attr) }.map(drop)
    }

    /// Every key, in no order.
    pub(crate) fn keys(&self) -> io::Result<Vec<GrantKey>> {
        let mut keys = Vec::new();
        let mut previous: Option<GrantKey> = None;
        loop {
            let mut next = GrantKey { cgroup: 0, kind: 0, major: 0, minor: 0, pad: 0 };
            let mut attr = Attr::new().fd(0, self.fd());
            if let Some(previous) = &previous {
                attr = attr.pointer(8, previous);
            }
            let next_address = std::ptr::from_mut(&mut next) as u64;
            attr.0[16..24].copy_from_slice(&next_address.to_ne_bytes());
            // SAFETY: the previous key (or null for the first) is readable and `next` writable until
            // the call returns; both have the map's key size.
            match unsafe { bpf(BPF_MAP_GET_NEXT_KEY, &mut attr) } {
                Ok(_) => keys.push(next),
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(keys),
                Err(error) => return Err(error),
            }
            previous = Some(next);
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A place for one program, which programs can jump to; emptied when the last descriptor of it is closed.
#[derive(Debug)]
pub(crate) struct ProgramSlot(OwnedFd);

impl ProgramSlot {
    pub(crate) fn create() -> io::Result<Self> {
        let mut attr = Attr::new()
            .u32(0, BPF_MAP_TYPE_PROG_ARRAY)
            .u32(4, 4)
            .u32(8, 4)
            .u32(12, 1)
            .name(28, "hotseat_wrap");
        // SAFETY: BPF_MAP_CREATE reads no pointer that is set here.
        unsafe { bpf_fd(BPF_MAP_CREATE, &mut attr) }.map(Self)
    }

    pub(crate) fn put(&self, program: BorrowedFd<'_>) -> io::Result<()> {
        let (key, value) = (0_u32, program.as_raw_fd().cast_unsigned());
        let mut attr = Attr::new().fd(0, self.0.as_fd()).pointer(8, &key).pointer(16, &value);
        // SAFETY: key and value live until the call returns and have the array's sizes.
        unsafe { bpf(BPF_MAP_UPDATE_ELEM, &mut attr) }.map(drop)
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Loads a device program. `name` is what `bpftool cgroup tree` shows, 15 bytes at most.
///
/// `expected_attach_type` must be set: without it the verifier of Linux 6.1 and later refuses
/// `bpf_set_retval`. The licence must be GPL-compatible for the same helper.
pub(crate) fn load_device_program(insns: &[Insn], name: &str) -> io::Result<OwnedFd> {
    let count = u32::try_from(insns.len()).map_err(io::Error::other)?;
    let licence = c"GPL";
    let mut attr = Attr::new()
        .u32(0, BPF_PROG_TYPE_CGROUP_DEVICE)
        .u32(4, count)
        .pointer(8, insns)
        .pointer(16, licence)
        .name(48, name)
        .u32(68, BPF_CGROUP_DEVICE);
    // SAFETY: the instructions and the NUL-terminated licence live until the call returns.
    unsafe { bpf_fd(BPF_PROG_LOAD, &mut attr) }
}

/// Attaches for the life of the cgroup, next to what is there (`BPF_F_ALLOW_MULTI`).
pub(crate) fn attach_device_program(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
) -> io::Result<()> {
    let mut attr = Attr::new()
        .fd(0, cgroup)
        .fd(4, program)
        .u32(8, BPF_CGROUP_DEVICE)
        .u32(12, BPF_F_ALLOW_MULTI);
    // SAFETY: BPF_PROG_ATTACH takes no pointers.
    unsafe { bpf(BPF_PROG_ATTACH, &mut attr) }.map(drop)
}

/// Attaches for the life of the returned link: when it is closed, also by a crash, the program is gone.
pub(crate) fn link_device_program(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
) -> io::Result<OwnedFd> {
    let mut attr = Attr::new().fd(0, program).fd(4, cgroup).u32(8, BPF_CGROUP_DEVICE);
    // SAFETY: BPF_LINK_CREATE for a cgroup takes no pointers.
    unsafe { bpf_fd(BPF_LINK_CREATE, &mut attr) }
}

/// The device programs of a cgroup.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) ids: Vec<u32>,
    /// How they were attached; another one has to be attached likewise.
    pub(crate) flags: u32,
}

/// How many programs a query has room for: a cgroup has at most 64 (`BPF_CGROUP_MAX_PROGS` in
/// include/linux/bpf-cgroup-defs.h), a path of them seldom more than five.
const MAX_PROGRAMS: u32 = 1024;

/// The device programs attached to a cgroup itself, or with `effective` all those that its processes meet.
pub(crate) fn device_programs(cgroup: BorrowedFd<'_>, effective: bool) -> io::Result<Attached> {
    let mut ids = vec![0_u32; MAX_PROGRAMS as usize];
    let mut attr = Attr::new()
        .fd(0, cgroup)
        .u32(4, BPF_CGROUP_DEVICE)
        .u32(8, if effective { BPF_F_QUERY_EFFECTIVE } else { 0 })
        .u32(24, MAX_PROGRAMS);
    let address = ids.as_mut_ptr() as u64;
    attr.0[16..24].copy_from_slice(&address.to_ne_bytes());
    // SAFETY: `ids` is writable for as many numbers as the attribute says, and lives until the call returns.
    unsafe { bpf(BPF_PROG_QUERY, &mut attr) }?;
    ids.truncate(attr.read_u32(24) as usize);
    Ok(Attached { ids, flags: attr.read_u32(12) })
}

/// A program, by its id; an error with `ENOENT` when it is gone.
pub(crate) fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    // SAFETY: BPF_PROG_GET_FD_BY_ID takes no pointers.
    unsafe { bpf_fd(BPF_PROG_GET_FD_BY_ID, &mut Attr::new().u32(0, id)) }
}

/// What is known of a program.
#[derive(Debug)]
pub(crate) struct ProgramInfo {
    pub(crate) id: u32,
    pub(crate) name: String,
    /// As the verifier left them. Empty, or zeroes, for those who may not see them.
    pub(crate) insns: Vec<Insn>,
}

/// `struct bpf_prog_info` up to the name.
#[repr(C)]
#[derive(Default)]
struct RawProgramInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited_len: u32,
    xlated_len: u32,
    jited: u64,
    xlated: u64,
    load_time: u64,
    created_by: u32,
    map_count: u32,
    maps: u64,
    name: [u8; 16],
}

/// Asks for a program's id, name and instructions.
pub(crate) fn program_info(program: BorrowedFd<'_>) -> io::Result<ProgramInfo> {
    let mut info = RawProgramInfo::default();
    object_info(program, &mut info)?;
    let count = info.xlated_len as usize / size_of::<Insn>();
    let mut insns = vec![Insn::default(); count];
    info = RawProgramInfo {
        xlated_len: info.xlated_len,
        xlated: insns.as_mut_ptr() as u64,
        ..RawProgramInfo::default()
    };
    object_info(program, &mut info)?;
    let name = info.name.split(|&byte| byte == 0).next().unwrap_or_default();
    Ok(ProgramInfo { id: info.id, name: String::from_utf8_lossy(name).into_owned(), insns })
}

/// `struct bpf_link_info` of a cgroup's link.
#[repr(C)]
#[derive(Default)]
struct RawLinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    pad: u32,
    cgroup: u64,
    attach_type: u32,
    pad_too: u32,
}

/// The link by which a program is attached to a cgroup, if it is by one.
pub(crate) fn device_link(cgroup: u64, program: u32) -> io::Result<Option<OwnedFd>> {
    let mut id = 0;
    loop {
        let mut attr = Attr::new().u32(0, id);
        // SAFETY: BPF_LINK_GET_NEXT_ID takes no pointers.
        match unsafe { bpf(BPF_LINK_GET_NEXT_ID, &mut attr) } {
            Ok(_) => id = attr.read_u32(4),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
            Err(error) => return Err(error),
        }
        // SAFETY: BPF_LINK_GET_FD_BY_ID takes no pointers.
        let Ok(link) = (unsafe { bpf_fd(BPF_LINK_GET_FD_BY_ID, &mut Attr::new().u32(0, id)) })
        else {
            continue;
        };
        let mut info = RawLinkInfo::default();
        object_info(link.as_fd(), &mut info)?;
        let ours = info.kind == BPF_LINK_TYPE_CGROUP
            && (info.cgroup, info.attach_type) == (cgroup, BPF_CGROUP_DEVICE)
            && info.program == program;
        if ours {
            return Ok(Some(link));
        }
    }
}

/// `T` must be one of the two `repr(C)` structures above, whose pointers are null or valid.
fn object_info<T>(object: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    let length = u32::try_from(size_of::<T>()).map_err(io::Error::other)?;
    let mut attr = Attr::new().fd(0, object).u32(4, length);
    let address = std::ptr::from_mut(info) as u64;
    attr.0[8..16].copy_from_slice(&address.to_ne_bytes());
    // SAFETY: `info` is writable for its own length; so is what its pointers point to, by the lengths beside them.
    unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attr) }.map(drop)
}

/// Puts `new` in the place of `old`, which `attached` lists. An error with `ENOENT` when `old` is not there any more.
pub(crate) fn replace_device_program(
    cgroup: BorrowedFd<'_>,
    attached: &Attached,
    new: BorrowedFd<'_>,
    old: BorrowedFd<'_>,
) -> io::Result<()> {
    let mut attr = Attr::new().fd(0, cgroup).fd(4, new).u32(8, BPF_CGROUP_DEVICE);
    attr = if attached.flags & BPF_F_ALLOW_MULTI == 0 {
        // There is but one, which the next one replaces.
        attr.u32(12, attached.flags)
    } else {
        attr.u32(12, attached.flags | BPF_F_REPLACE).fd(16, old)
    };
    // SAFETY: BPF_PROG_ATTACH takes no pointers.
    unsafe { bpf(BPF_PROG_ATTACH, &mut attr) }.map(drop)
}

/// The same for a program that is attached by a link.
pub(crate) fn replace_linked_program(
    link: BorrowedFd<'_>,
    new: BorrowedFd<'_>,
    old: BorrowedFd<'_>,
) -> io::Result<()> {
    let mut attr = Attr::new().fd(0, link).fd(4, new).u32(8, BPF_F_REPLACE).fd(12, old);
    // SAFETY: BPF_LINK_UPDATE takes no pointers.
    unsafe { bpf(BPF_LINK_UPDATE, &mut attr) }.map(drop)
}
