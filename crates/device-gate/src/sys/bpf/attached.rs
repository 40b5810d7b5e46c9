//! What is attached to a cgroup, by whomever.

#![expect(unsafe_code, reason = "bpf(2) has no safe wrapper")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{Attr, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI, BPF_PROG_ATTACH, bpf, bpf_fd};
use crate::program::Insn;

// As in the module above: include/uapi/linux/bpf.h.
const BPF_PROG_GET_FD_BY_ID: u32 = 13;
const BPF_OBJ_GET_INFO_BY_FD: u32 = 15;
const BPF_PROG_QUERY: u32 = 16;
const BPF_LINK_UPDATE: u32 = 29;
const BPF_LINK_GET_FD_BY_ID: u32 = 30;
const BPF_LINK_GET_NEXT_ID: u32 = 31;
const BPF_LINK_TYPE_CGROUP: u32 = 3;
const BPF_F_REPLACE: u32 = 4;
const BPF_F_QUERY_EFFECTIVE: u32 = 1;

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
    Ok(ProgramInfo { id: info.id, name: text(&info.name), insns })
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

/// What is known of a map.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MapInfo {
    pub(crate) kind: u32,
    pub(crate) key_size: u32,
    pub(crate) value_size: u32,
    pub(crate) max_entries: u32,
    pub(crate) flags: u32,
    pub(crate) name: String,
}

/// `struct bpf_map_info` up to the name.
#[repr(C)]
#[derive(Default)]
struct RawMapInfo {
    kind: u32,
    id: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    name: [u8; 16],
}

/// Asks for what a map is. An error with `EINVAL` when the descriptor is none of BPF.
pub(crate) fn map_info(map: BorrowedFd<'_>) -> io::Result<MapInfo> {
    let mut info = RawMapInfo::default();
    object_info(map, &mut info)?;
    let RawMapInfo { kind, key_size, value_size, max_entries, flags, .. } = info;
    let name = text(&info.name);
    Ok(MapInfo { kind, key_size, value_size, max_entries, flags, name })
}

/// A name that ends with a NUL.
fn text(name: &[u8; 16]) -> String {
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
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

/// `T` must be one of the `repr(C)` structures above, whose pointers are null or valid.
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
