//! `/dev/uhid` as every HID device of this crate uses it: what there has to be before a device is made, and records in
//! and out.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

use super::abi::{EVENT_SIZE, Event};
use super::{CreateError, Mac, Reservation, Watch, check_host};
use crate::minors;

/// What a device is made with.
pub(crate) struct Ready {
    /// uhid, which does not block.
    pub(crate) file: File,
    /// Listens already, so that nothing about the device is missed.
    pub(crate) watch: Watch,
    /// Keeps the address from others of this process.
    pub(crate) reservation: Reservation,
}

impl Ready {
    /// Looks at the host and opens uhid, for a device of which the driver makes so many input devices.
    pub(crate) fn new(mac: Mac, input_devices: usize) -> Result<Self, CreateError> {
        minors::check(input_devices).map_err(CreateError::Minors)?;
        check_host(mac)?;
        let path = Path::new(super::DEFAULT_PATH);
        let reservation = Reservation::take(mac)
            .ok_or_else(|| CreateError::DuplicateMac { mac, other: path.to_owned() })?;
        let watch = Watch::new().map_err(CreateError::Listen)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NONBLOCK); // O_CLOEXEC is std's default
        let file = options.open(path).map_err(|source| CreateError::from_open(path, source))?;
        Ok(Self { file, watch, reservation })
    }
}

/// Reads one record. `Ok(None)`: there is none now.
///
/// # Errors
///
/// The descriptor is at its end.
pub(crate) fn read<'a>(
    mut file: &File,
    record: &'a mut [u8; EVENT_SIZE],
) -> io::Result<Option<Event<'a>>> {
    let length = match file.read(record) {
        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(length) => length,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    record[length..].fill(0);
    Ok(Some(Event::decode(record)))
}

/// One `write(2)`, repeated only when a signal interrupts it. The kernel takes all or nothing.
pub(crate) fn write(mut file: &File, record: &[u8]) -> io::Result<()> {
    loop {
        match file.write(record) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map(drop),
        }
    }
}
