//! What only the event node says of a device (include/uapi/linux/input.h).
#![expect(unsafe_code, reason = "ioctl(2) takes pointers")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc::{self, c_int, input_absinfo};
use nix::{ioctl_read, request_code_read};

ioctl_read!(eviocgeffects, b'E', 0x84, c_int);

/// The range and value of an absolute axis: `EVIOCGABS`.
pub(super) fn axis(node: BorrowedFd<'_>, code: u16) -> io::Result<input_absinfo> {
    let mut info =
        input_absinfo { value: 0, minimum: 0, maximum: 0, fuzz: 0, flat: 0, resolution: 0 };
    let request = request_code_read!(b'E', 0x40 + code, size_of::<input_absinfo>());
    // SAFETY: the descriptor is open, and the kernel writes at most the size that is in the request, of a
    // structure of integers.
    let result = unsafe { libc::ioctl(node.as_raw_fd(), request, &raw mut info) };
    Errno::result(result).map(|_| info).map_err(Into::into)
}

/// How many effects the device can hold: `EVIOCGEFFECTS`.
pub(super) fn max_effects(node: BorrowedFd<'_>) -> io::Result<c_int> {
    let mut count = 0;
    // SAFETY: the descriptor is open, and the kernel writes an integer.
    let result = unsafe { eviocgeffects(node.as_raw_fd(), &raw mut count) };
    result.map(|_| count).map_err(Into::into)
}
