//! The ioctls of uinput (include/uapi/linux/uinput.h).
#![expect(unsafe_code, reason = "ioctl(2) takes pointers")]

use std::marker::PhantomData;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc::{self, c_char, c_int};
use nix::libc::{UINPUT_MAX_NAME_SIZE, uinput_abs_setup, uinput_ff_erase, uinput_ff_upload};
use nix::sys::ioctl::ioctl_num_type;
use nix::{request_code_none, request_code_read, request_code_readwrite, request_code_write};

use super::IoctlError;

/// `UINPUT_IOCTL_BASE`.
const BASE: u8 = b'U';

/// Text with a NUL, as `struct uinput_setup` has it.
pub(super) type CText = [c_char; UINPUT_MAX_NAME_SIZE];

/// Room for `inputN` and its NUL; the kernel takes any size.
pub(super) const SYSNAME_SIZE: usize = 64;

pub(super) const UI_DEV_CREATE: Request<Nothing> = Request::none("UI_DEV_CREATE", 1);
pub(super) const UI_DEV_SETUP: Request<In<libc::uinput_setup>> = Request::write("UI_DEV_SETUP", 3);
pub(super) const UI_ABS_SETUP: Request<In<uinput_abs_setup>> = Request::write("UI_ABS_SETUP", 4);
pub(super) const UI_SET_EVBIT: Request<Int> = Request::int("UI_SET_EVBIT", 100);
pub(super) const UI_SET_KEYBIT: Request<Int> = Request::int("UI_SET_KEYBIT", 101);
pub(super) const UI_SET_RELBIT: Request<Int> = Request::int("UI_SET_RELBIT", 102);
pub(super) const UI_SET_ABSBIT: Request<Int> = Request::int("UI_SET_ABSBIT", 103);
pub(super) const UI_SET_LEDBIT: Request<Int> = Request::int("UI_SET_LEDBIT", 105);
pub(super) const UI_SET_FFBIT: Request<Int> = Request::int("UI_SET_FFBIT", 107);
pub(super) const UI_SET_PHYS: Request<Text> = Request::text("UI_SET_PHYS", 108);
pub(super) const UI_SET_PROPBIT: Request<Int> = Request::int("UI_SET_PROPBIT", 110);
pub(super) const UI_BEGIN_FF_UPLOAD: Request<InOut<uinput_ff_upload>> =
    Request::read_write("UI_BEGIN_FF_UPLOAD", 200);
pub(super) const UI_END_FF_UPLOAD: Request<In<uinput_ff_upload>> =
    Request::write("UI_END_FF_UPLOAD", 201);
pub(super) const UI_BEGIN_FF_ERASE: Request<InOut<uinput_ff_erase>> =
    Request::read_write("UI_BEGIN_FF_ERASE", 202);
pub(super) const UI_END_FF_ERASE: Request<In<uinput_ff_erase>> =
    Request::write("UI_END_FF_ERASE", 203);
pub(super) const UI_GET_SYSNAME: Request<InOut<[u8; SYSNAME_SIZE]>> =
    Request::read("UI_GET_SYSNAME", 44);

/// An ioctl request, typed by its argument.
#[derive(Debug)]
pub(super) struct Request<A> {
    name: &'static str,
    number: ioctl_num_type,
    argument: PhantomData<fn(A)>,
}

/// No argument.
#[derive(Debug)]
pub(super) struct Nothing;
/// A number in place of a pointer, although the request says `int`.
#[derive(Debug)]
pub(super) struct Int;
/// A pointer to text. The request has the size of the *pointer*.
#[derive(Debug)]
pub(super) struct Text;
/// A pointer to what the kernel reads.
#[derive(Debug)]
pub(super) struct In<T>(PhantomData<T>);
/// A pointer to what the kernel reads and writes, or only writes.
#[derive(Debug)]
pub(super) struct InOut<T>(PhantomData<T>);

impl<A> Request<A> {
    const fn new(name: &'static str, number: ioctl_num_type) -> Self {
        Self { name, number, argument: PhantomData }
    }

    fn check(&self, result: c_int) -> Result<(), IoctlError> {
        let failed = |errno: Errno| IoctlError {
            name: self.name,
            number: self.code(),
            source: errno.into(),
        };
        Errno::result(result).map(drop).map_err(failed)
    }

    /// The number, whose type differs between C libraries.
    fn code(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "requests have 32 bits")]
        let code = self.number as u32;
        code
    }
}

impl Request<Nothing> {
    const fn none(name: &'static str, nr: u8) -> Self {
        Self::new(name, request_code_none!(BASE, nr))
    }

    pub(super) fn call(&self, fd: BorrowedFd<'_>) -> Result<(), IoctlError> {
        // SAFETY: the descriptor is open, and the request has no argument.
        self.check(unsafe { libc::ioctl(fd.as_raw_fd(), self.number) })
    }
}

impl Request<Int> {
    const fn int(name: &'static str, nr: u8) -> Self {
        Self::new(name, request_code_write!(BASE, nr, size_of::<c_int>()))
    }

    pub(super) fn call(&self, fd: BorrowedFd<'_>, argument: u16) -> Result<(), IoctlError> {
        // SAFETY: the descriptor is open, and the argument is a number that the kernel does not follow.
        self.check(unsafe { libc::ioctl(fd.as_raw_fd(), self.number, c_int::from(argument)) })
    }
}

impl Request<Text> {
    const fn text(name: &'static str, nr: u8) -> Self {
        Self::new(name, request_code_write!(BASE, nr, size_of::<*const c_char>()))
    }

    pub(super) fn call(&self, fd: BorrowedFd<'_>, mut text: CText) -> Result<(), IoctlError> {
        text[UINPUT_MAX_NAME_SIZE - 1] = 0;
        // SAFETY: the descriptor is open, and the kernel reads up to a NUL, of which there is one at the
        // end at the latest.
        self.check(unsafe { libc::ioctl(fd.as_raw_fd(), self.number, text.as_ptr()) })
    }
}

impl<T> Request<In<T>> {
    const fn write(name: &'static str, nr: u8) -> Self {
        Self::new(name, request_code_write!(BASE, nr, size_of::<T>()))
    }

    pub(super) fn call(&self, fd: BorrowedFd<'_>, argument: &T) -> Result<(), IoctlError> {
        // SAFETY: the descriptor is open, and the kernel reads `size_of::<T>()` bytes, the size that is
        // in the number, from a `T`.
        self.check(unsafe { libc::ioctl(fd.as_raw_fd(), self.number, &raw const *argument) })
    }
}

impl<T: Plain> Request<InOut<T>> {
    const fn read(name: &'static str, nr: u8) -> Self {
        Self::new(name, request_code_read!(BASE, nr, size_of::<T>()))
    }

    const fn read_write(name: &'static str, nr: u8) -> Self {
        Self::new(name, request_code_readwrite!(BASE, nr, size_of::<T>()))
    }

    pub(super) fn call(&self, fd: BorrowedFd<'_>, argument: &mut T) -> Result<(), IoctlError> {
        // SAFETY: the descriptor is open, and the kernel reads and writes at most `size_of::<T>()` bytes,
        // the size that is in the number, of a `T`, for which any bytes are valid.
        self.check(unsafe { libc::ioctl(fd.as_raw_fd(), self.number, &raw mut *argument) })
    }
}

/// Types for which any bytes are valid.
///
/// # Safety
///
/// All fields must be integers or arrays of integers.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: `request_id`, `retval` and the effects' fields are integers, the union an array of them.
unsafe impl Plain for uinput_ff_upload {}
// SAFETY: `request_id`, `retval` and `effect_id` are integers.
unsafe impl Plain for uinput_ff_erase {}
// SAFETY: bytes are integers.
unsafe impl<const N: usize> Plain for [u8; N] {}

/// The argument of `UI_BEGIN_FF_UPLOAD` for a request.
pub(super) fn ff_upload(request_id: u32) -> uinput_ff_upload {
    // SAFETY: any bytes are valid for `Plain` types, zeroes too.
    let zeroed: uinput_ff_upload = unsafe { mem::zeroed() };
    uinput_ff_upload { request_id, ..zeroed }
}

/// The argument of `UI_BEGIN_FF_ERASE` for a request.
pub(super) fn ff_erase(request_id: u32) -> uinput_ff_erase {
    uinput_ff_erase { request_id, retval: 0, effect_id: 0 }
}

#[cfg(test)]
mod tests;
