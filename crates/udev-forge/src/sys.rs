//! The one request to the kernel that needs `unsafe`.
#![expect(unsafe_code, reason = "ioctl(2) takes pointers")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

use crate::device::Axis;

/// `EVIOCGABS` (linux/input.h): what an event node says of one absolute axis.
pub(crate) fn axis(node: BorrowedFd<'_>, code: u16) -> io::Result<Axis> {
    /// `struct input_absinfo`.
    #[repr(C)]
    #[derive(Default)]
    struct AbsInfo {
        value: i32,
        minimum: i32,
        maximum: i32,
        fuzz: i32,
        flat: i32,
        resolution: i32,
    }
    let request = nix::request_code_read!(b'E', 0x40 + u32::from(code), size_of::<AbsInfo>());
    let mut info = AbsInfo::default();
    // SAFETY: `node` is open; the request writes one `struct input_absinfo`, which `info` is, and
    // keeps no pointer. On anything but an event node it fails or, if it means something else there,
    // still writes no more than the size that is part of its number.
    let result = unsafe { libc::ioctl(node.as_raw_fd(), request, &raw mut info) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let AbsInfo { minimum, maximum, fuzz, resolution, .. } = info;
    Ok(Axis { code, minimum, maximum, fuzz, resolution })
}
