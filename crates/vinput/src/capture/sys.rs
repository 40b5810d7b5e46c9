//! What only the node says of a device (include/uapi/linux/input.h, hidraw.h).
#![expect(unsafe_code, reason = "ioctl(2) takes pointers")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc::{self, c_int, input_absinfo};
use nix::{ioctl_read, request_code_read, request_code_readwrite};

ioctl_read!(eviocgeffects, b'E', 0x84, c_int);
ioctl_read!(hidiocgrdescsize, b'H', 0x01, c_int);
ioctl_read!(hidiocgrdesc, b'H', 0x02, ReportDescriptor);
ioctl_read!(hidiocgrawinfo, b'H', 0x03, HidrawInfo);

/// `struct hidraw_devinfo`.
#[repr(C)]
#[derive(Debug)]
pub(super) struct HidrawInfo {
    pub(super) bustype: u32,
    pub(super) vendor: i16,
    pub(super) product: i16,
}

/// `struct hidraw_report_descriptor`.
#[repr(C)]
pub(super) struct ReportDescriptor {
    size: u32,
    /// `HID_MAX_DESCRIPTOR_SIZE` bytes.
    value: [u8; 4096],
}

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

/// Bus, vendor and product of a HID device: `HIDIOCGRAWINFO`.
pub(super) fn hidraw_info(node: BorrowedFd<'_>) -> io::Result<HidrawInfo> {
    let mut info = HidrawInfo { bustype: 0, vendor: 0, product: 0 };
    // SAFETY: the descriptor is open, and the kernel writes a structure of integers of the size in the request.
    let result = unsafe { hidiocgrawinfo(node.as_raw_fd(), &raw mut info) };
    result.map(|_| info).map_err(Into::into)
}

/// The report descriptor of a HID device: `HIDIOCGRDESC`.
pub(super) fn report_descriptor(node: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut size = 0;
    // SAFETY: the descriptor is open, and the kernel writes an integer.
    let result = unsafe { hidiocgrdescsize(node.as_raw_fd(), &raw mut size) };
    result?;
    let mut descriptor = Box::new(ReportDescriptor { size: 0, value: [0; 4096] });
    let size = usize::try_from(size).unwrap_or(0).min(descriptor.value.len());
    descriptor.size = u32::try_from(size).unwrap_or(0);
    // SAFETY: the descriptor is open, and the kernel writes as many bytes as `size` says, which are no more than there
    // are.
    let result = unsafe { hidiocgrdesc(node.as_raw_fd(), &raw mut *descriptor) };
    result.map(|_| descriptor.value[..size].to_owned()).map_err(Into::into)
}

/// The name of a HID device: `HIDIOCGRAWNAME`. What is not UTF-8 is replaced.
pub(super) fn hidraw_name(node: BorrowedFd<'_>) -> io::Result<String> {
    let mut name = [0_u8; 256];
    let request = request_code_read!(b'H', 0x04, size_of_val(&name));
    // SAFETY: the descriptor is open, and the kernel writes at most the size that is in the request, of bytes.
    let result = unsafe { libc::ioctl(node.as_raw_fd(), request, name.as_mut_ptr()) };
    Errno::result(result)?;
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    Ok(String::from_utf8_lossy(&name[..end]).into_owned())
}

/// What a HID device answers when it is asked for an input report, without its number: `HIDIOCGINPUT`, since
/// Linux 5.11.
pub(super) fn input_report(node: BorrowedFd<'_>, number: u8) -> io::Result<Vec<u8>> {
    let mut report = vec![0_u8; 4096];
    report[0] = number;
    let request = request_code_readwrite!(b'H', 0x0a, report.len());
    // SAFETY: the descriptor is open, and the kernel reads and writes at most the size that is in the request, of
    // bytes.
    let length = unsafe { libc::ioctl(node.as_raw_fd(), request, report.as_mut_ptr()) };
    let length = Errno::result(length).map_err(io::Error::from)?;
    report.truncate(usize::try_from(length).unwrap_or(0));
    Ok(report.split_off(report.len().min(1)))
}
