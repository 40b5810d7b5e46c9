//! What only an ioctl says of fingers (include/uapi/linux/input.h).
#![expect(unsafe_code, reason = "ioctl(2) takes pointers")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;
use nix::request_code_read;

/// More slots than any device has.
pub(super) const SLOTS: usize = 64;

/// `struct input_mt_request_layout`, for so many slots.
#[repr(C)]
struct Slots {
    code: u32,
    values: [i32; SLOTS],
}

/// What an `ABS_MT_` code has in each of the first slots: `EVIOCGMTSLOTS`.
pub(super) fn slots(node: BorrowedFd<'_>, code: u16, count: usize) -> io::Result<Vec<i32>> {
    let mut slots = Slots { code: code.into(), values: [0; SLOTS] };
    let request = request_code_read!(b'E', 0x0a, size_of::<Slots>());
    // SAFETY: the descriptor is open, and the kernel reads the code and writes at most the size that is in the request,
    // of integers.
    let result = unsafe { libc::ioctl(node.as_raw_fd(), request, &raw mut slots) };
    Errno::result(result)?;
    Ok(slots.values[..count.min(SLOTS)].to_vec())
}
