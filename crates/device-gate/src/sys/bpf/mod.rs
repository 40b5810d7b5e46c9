//! `bpf(2)`, as little of it as device-cgroup programs need.

#![expect(
    unsafe_code,
    reason = "bpf(2) has no safe wrapper; a full BPF library would bring libelf"
)]

mod attached;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::process::{Resource, Rlimit, setrlimit};

pub(crate) use attached::{
    Attached, MapInfo, ProgramInfo, device_link, device_programs, map_info, program_by_id,
    program_info, replace_device_program, replace_linked_program,
};

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
const BPF_LINK_CREATE: u32 = 28;
const BPF_MAP_TYPE_HASH: u32 = 1;
const BPF_MAP_TYPE_PROG_ARRAY: u32 = 3;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_NO_PREALLOC: u32 = 1;
const BPF_F_ALLOW_MULTI: u32 = 2;

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
/// For `bpftool map`.
const MAP_NAME: &str = "hotseat_grants";
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
            .name(28, MAP_NAME);
        // SAFETY: BPF_MAP_CREATE reads no pointer that is set here.
        unsafe { bpf_fd(BPF_MAP_CREATE, &mut attr) }.map(Self)
    }

    /// The map of an earlier process, if it is one of grants of this size.
    pub(crate) fn adopt(map: OwnedFd, max_entries: u32) -> Option<Self> {
        let info = map_info(map.as_fd()).ok()?;
        let expected = MapInfo {
            kind: BPF_MAP_TYPE_HASH,
            key_size: KEY_SIZE,
            value_size: VALUE_SIZE,
            max_entries,
            flags: BPF_F_NO_PREALLOC,
            name: MAP_NAME.to_owned(),
        };
        (info == expected).then_some(Self(map))
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
