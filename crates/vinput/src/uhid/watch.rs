//! Waits until a driver has taken a pad, and looks at what else is on the host.
//!
//! The driver's probe runs after `UHID_CREATE2` has returned (`uhid_device_add_worker`). That it is
//! through is told by one thing only: the `bind` message of the device (`driver_bound` in
//! drivers/base/dd.c); the `driver` link in sysfs is there from the probe's beginning.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, socket,
};

use super::error::CreateError;
use super::mac::Mac;

/// The driver for what no other driver knows.
const GENERIC: &str = "hid-generic";

/// Where the devices of uhid are in sysfs.
const UHID: &str = "/devices/virtual/misc/uhid/";

/// `HIDRAW_MAX_DEVICES` (include/linux/hidraw.h).
const HIDRAW_MAX: usize = 64;

/// A device that a driver has taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) syspath: PathBuf,
    pub(crate) driver: String,
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// What people call the device.
    pub(crate) device: &'a str,
    /// The drivers that are right for it; without any, the first one that takes it is.
    pub(crate) drivers: &'a [&'a str],
    pub(crate) uniq: Mac,
}

impl Wanted<'_> {
    fn takes(&self, driver: &str) -> bool {
        self.drivers.is_empty() || self.drivers.contains(&driver)
    }
}

/// Receives the kernel's messages about devices.
#[derive(Debug)]
pub(crate) struct Watch(OwnedFd);

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Message<'a> {
    header: &'a str,
    fields: &'a str,
}

impl Watch {
    /// Starts to listen: what happens from now on is not missed.
    pub(crate) fn new() -> io::Result<Self> {
        /// The group of the kernel's own messages (`uevent_net_init` in lib/kobject_uevent.c).
        const KERNEL: u32 = 1;
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkKObjectUEvent,
        )?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL))?;
        Ok(Self(socket))
    }

    /// Waits until one of the right drivers has taken the device. `stopped` is readable when a driver has
    /// let go of it.
    pub(crate) fn wait(
        &self,
        wanted: Wanted<'_>,
        stopped: &EventFd,
        patience: Duration,
    ) -> Result<Bound, CreateError> {
        let started = Instant::now();
        let mut generic = false;
        loop {
            let left = patience.saturating_sub(started.elapsed());
            if left.is_zero() {
                // The message may have been lost among too many others.
                if let Some(bound) = bound_by(Path::new("/sys"), wanted) {
                    return Ok(bound);
                }
                let (device, waited) = (wanted.device.to_owned(), patience);
                return Err(match wanted.drivers.first() {
                    Some(driver) if generic => {
                        let driver = driver.trim_start_matches("hid-").to_owned();
                        let found = GENERIC.to_owned();
                        CreateError::DriverMissing { device, driver, found, waited }
                    }
                    _ => CreateError::TimedOut { device, waited },
                });
            }
            let readable = readable([self.0.as_fd(), stopped.as_fd()], left);
            let [message, stop] = readable.map_err(CreateError::Listen)?;
            if message {
                match self.next_bind(wanted.uniq).map_err(CreateError::Listen)? {
                    Some(bound) if wanted.takes(&bound.driver) => return Ok(bound),
                    // The better driver may still be on its way: udevd loads its module because this
                    // device has appeared, and the kernel then takes the device from the generic
                    // driver.
                    Some(_) => generic = true,
                    None => {}
                }
            } else if stop {
                // The generic driver makes room once, any other one has given up.
                let stops = stopped.read().unwrap_or_default();
                if !generic || stops > 1 {
                    return Err(CreateError::DriverFailed { device: wanted.device.to_owned() });
                }
                generic = false;
            }
        }
    }

    /// Takes one message; gives what was bound if it says that of the device.
    fn next_bind(&self, uniq: Mac) -> io::Result<Option<Bound>> {
        let mut buffer = [0; 8192];
        let (length, sender) = match recvfrom::<NetlinkAddr>(self.0.as_raw_fd(), &mut buffer) {
            Ok(received) => received,
            // Lost messages: ours may be among them; then the deadline tells.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if sender.is_none_or(|sender| sender.pid() != 0) {
            return Ok(None); // not the kernel
        }
        let message = std::str::from_utf8(&buffer[..length]).ok().and_then(Message::parse);
        Ok(message.and_then(|message| message.bound(uniq)))
    }
}

impl<'a> Message<'a> {
    /// `ACTION@DEVPATH`, then `KEY=VALUE` lines, each ended by a NUL.
    fn parse(text: &'a str) -> Option<Self> {
        let (header, fields) = text.split_once('\0')?;
        Some(Self { header, fields })
    }

    fn field(&self, key: &str) -> Option<&'a str> {
        let value = |line: &'a str| line.strip_prefix(key)?.strip_prefix('=');
        self.fields.split('\0').find_map(value)
    }

    fn bound(&self, uniq: Mac) -> Option<Bound> {
        let devpath = self.header.strip_prefix("bind@")?;
        // A real device may have any text as its serial number, also our address.
        let is_ours = devpath.starts_with(UHID)
            && self.field("SUBSYSTEM") == Some("hid")
            && self.field("HID_UNIQ").is_some_and(|it| it.eq_ignore_ascii_case(&uniq.to_string()));
        let driver = self.field("DRIVER").filter(|_| is_ours)?;
        Some(Bound { syspath: format!("/sys{devpath}").into(), driver: driver.to_owned() })
    }
}

/// Looks whether one of the right drivers has the device. During its probe that is so too early.
pub(crate) fn bound_by(sysfs: &Path, wanted: Wanted<'_>) -> Option<Bound> {
    let devices = fs::read_dir(sysfs.join(UHID.trim_start_matches('/'))).ok()?;
    let is_ours = |path: &PathBuf| {
        let uevent = fs::read_to_string(path.join("uevent")).unwrap_or_default();
        let mut addresses = uevent.lines().filter_map(|line| line.strip_prefix("HID_UNIQ="));
        addresses.any(|it| it.eq_ignore_ascii_case(&wanted.uniq.to_string()))
    };
    let syspath = devices.flatten().map(|entry| entry.path()).find(is_ours)?;
    let driver = fs::read_link(syspath.join("driver")).ok()?;
    let driver = driver.file_name()?.to_str()?.to_owned();
    wanted.takes(&driver).then_some(Bound { syspath, driver })
}

fn readable(fds: [BorrowedFd<'_>; 2], patience: Duration) -> io::Result<[bool; 2]> {
    let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    // Rounded up, or the last millisecond would be spent polling.
    let timeout = PollTimeout::try_from(patience + Duration::from_millis(1));
    match poll(&mut fds, timeout.unwrap_or(PollTimeout::MAX)) {
        Ok(_) => Ok(fds.map(|fd| fd.any().unwrap_or(true))),
        Err(Errno::EINTR) => Ok([false; 2]),
        Err(error) => Err(error.into()),
    }
}

/// Checks what would make the kernel refuse a pad, or make it less than a pad, without saying so.
pub(crate) fn check_host(mac: Mac) -> Result<(), CreateError> {
    if let Some(other) = holder_of(Path::new("/sys"), mac) {
        return Err(CreateError::DuplicateMac { mac, other });
    }
    let hidraw = fs::read_dir("/sys/class/hidraw").map_or(0, Iterator::count);
    if hidraw >= HIDRAW_MAX {
        return Err(CreateError::NoHidraw { max: HIDRAW_MAX });
    }
    Ok(())
}

/// The device with this address: of the HID subsystem, or an input device, where hid-nintendo puts the
/// address of a pad whose HID device has none.
fn holder_of(sysfs: &Path, mac: Mac) -> Option<PathBuf> {
    let mac = mac.to_string();
    let has = |file: PathBuf, prefix: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let value = |line: &str| line.strip_prefix(prefix).map(str::to_owned);
        text.lines().filter_map(value).any(|it| it.eq_ignore_ascii_case(&mac))
    };
    let all = |folder: &str| {
        let entries = fs::read_dir(sysfs.join(folder)).into_iter().flatten().flatten();
        entries.map(|entry| entry.path())
    };
    let mut hid = all("bus/hid/devices").filter(|path| has(path.join("uevent"), "HID_UNIQ="));
    let mut input = all("class/input").filter(|path| has(path.join("uniq"), ""));
    hid.next().or_else(|| input.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIND: &str = "bind@/devices/virtual/misc/uhid/0003:054C:0CE6.0005\0ACTION=bind\0\
        DEVPATH=/devices/virtual/misc/uhid/0003:054C:0CE6.0005\0SUBSYSTEM=hid\0DRIVER=playstation\0\
        HID_ID=0003:0000054C:00000CE6\0HID_UNIQ=02:00:00:00:00:AB\0SEQNUM=9\0";

    #[test]
    fn a_bind_message_tells_path_and_driver() {
        let bound = Message::parse(BIND).unwrap().bound(Mac([2, 0, 0, 0, 0, 0xab])).unwrap();
        assert_eq!(bound.driver, "playstation");
        let path = "/sys/devices/virtual/misc/uhid/0003:054C:0CE6.0005";
        assert_eq!(bound.syspath, Path::new(path));
    }

    #[test]
    fn messages_about_other_things_are_not_it() {
        let mac = Mac([2, 0, 0, 0, 0, 0xab]);
        let bound = |text: &str| Message::parse(text).and_then(|message| message.bound(mac));
        assert_eq!(bound(&BIND.replace("bind@", "unbind@")), None);
        assert_eq!(bound(&BIND.replace("=hid", "=input")), None);
        let real = "/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0/";
        assert_eq!(bound(&BIND.replace("/devices/virtual/misc/uhid/", real)), None);
        assert_eq!(bound(&BIND.replace("00:AB", "00:AC")), None);
        assert_eq!(bound(&BIND.replace("DRIVER", "DIVER")), None);
        assert_eq!(bound("bind@/devices"), None);
    }

    #[test]
    fn an_address_is_found_whoever_has_it() {
        let root = std::env::temp_dir().join(format!("vinput-uhid-sysfs-{}", std::process::id()));
        let (hid, input) = (root.join("bus/hid/devices/a"), root.join("class/input/input7"));
        fs::create_dir_all(&hid).unwrap();
        fs::create_dir_all(&input).unwrap();
        fs::write(hid.join("uevent"), "DRIVER=x\nHID_UNIQ=02:00:00:00:00:01\n").unwrap();
        fs::write(input.join("uniq"), "02:00:00:00:00:AB\n").unwrap();
        assert_eq!(holder_of(&root, Mac([2, 0, 0, 0, 0, 1])), Some(hid));
        assert_eq!(holder_of(&root, Mac([2, 0, 0, 0, 0, 0xab])), Some(input));
        assert_eq!(holder_of(&root, Mac([2, 0, 0, 0, 0, 2])), None);
        fs::remove_dir_all(&root).unwrap();
    }
}
