//! A device of the host: what sysfs says of it, and what udev says.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use device_gate::{Danger, Device, DeviceKind, Devices};
use udev_forge::{Forged, Hwdb, Parts, PartsError, ReadError, Record, Stamp, SysDevice, Sysfs};

/// A device of the host as it is now. One that goes and comes back is another one, whatever its name and numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostDevice {
    /// The path in sysfs, without `/sys`.
    pub devpath: String,
    /// The inode of that directory: sysfs gives every device one of its own (`__kernfs_new_node` in fs/kernfs/dir.c).
    pub inode: u64,
    /// The subsystem.
    pub subsystem: String,
    /// The node's path below /dev; `None` for an input device, which shows only by its nodes, and for the interface of a
    /// USB device.
    pub devname: Option<String>,
    /// The node's number.
    pub number: Option<Device>,
    /// What is dangerous about that number.
    pub danger: Option<Danger>,
    /// The drivers of the device and its parents, the device's own first.
    pub drivers: Vec<String>,
    /// The USB device that it is or belongs to.
    pub usb: Option<Usb>,
    /// The class of the USB interface that it belongs to, or those of a USB device's own interfaces.
    pub interface_classes: Vec<String>,
    /// Whether Hotseat made it, for some session.
    pub is_ours: bool,
    /// What udev says of it.
    pub said: Said,
}

/// The identity of a USB device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usb {
    /// `idVendor`, four hexadecimal digits.
    pub vendor: String,
    /// `idProduct`, likewise.
    pub product: String,
    /// `serial`, if it has one.
    pub serial: Option<String>,
}

/// What the host's udevd says of a device, or would say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Properties.
    pub properties: Vec<(String, String)>,
    /// Tags.
    pub tags: Vec<String>,
    /// Other names of the node, below /dev.
    pub devlinks: Vec<String>,
    /// When the device was first initialised, in microseconds of `CLOCK_MONOTONIC`; 0 is unknown.
    pub usec_initialized: u64,
}

impl HostDevice {
    /// Whether the device of this directory is still the same one, and not about to go: the kernel takes `dev` away before it
    /// says so (`device_del` in drivers/base/core.c).
    pub(crate) fn is_there(&self) -> bool {
        let syspath = Path::new("/sys").join(self.devpath.trim_start_matches('/'));
        let is_same = fs::metadata(&syspath).is_ok_and(|found| found.ino() == self.inode);
        let number = self.number.map(|number| format!("{}:{}", number.major, number.minor));
        is_same && number.is_none_or(|number| attribute(&syspath, "dev") == Some(number))
    }
}

/// What is between the host's udevd and its own seats and services, and means nothing in a container.
const NOT_PASSED_ON: [&str; 6] = [
    "ID_SEAT",
    "ID_AUTOSEAT",
    "LIBINPUT_IGNORE_DEVICE",
    "SYSTEMD_WANTS",
    "SYSTEMD_USER_WANTS",
    "SYSTEMD_ALIAS",
];

/// Where the host's devices are described.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) sys: PathBuf,
    /// The database of the host's udevd; `None` where none works: then we say what it would.
    pub(crate) udev: Option<PathBuf>,
}

/// USB devices and their interfaces, below /sys.
const USB: &str = "bus/usb/devices";

/// The USB class of disks (usb.org, "Defined Class Codes").
const MASS_STORAGE: &str = "08";

impl Places {
    /// Every device with a node, and the interfaces of USB devices.
    pub(super) fn devpaths(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for kind in ["dev/char", "dev/block", USB] {
            let entries = match fs::read_dir(self.sys.join(kind)) {
                // Not every host has USB.
                Err(error) if kind == USB && error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                // It may have gone since.
                let Ok(syspath) = fs::canonicalize(entry?.path()) else { continue };
                let devpath = syspath.strip_prefix(&self.sys).ok().and_then(Path::to_str);
                found.extend(devpath.map(|devpath| format!("/{devpath}")));
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// The device as it is now; `None` when it is gone, going, no device that could be passed on, or when the host's udevd
    /// has not seen it yet.
    pub(super) fn read(&self, devpath: &str, hwdb: &Hwdb) -> Option<HostDevice> {
        let syspath = self.syspath(devpath);
        // The kernel takes `dev` away before it says that a device goes (`device_del` in drivers/base/core.c).
        let number = attribute(&syspath, "dev").and_then(|text| {
            let (major, minor) = text.split_once(':')?;
            Some((major.parse().ok()?, minor.parse().ok()?))
        });
        let subsystem = link_name(&syspath, "subsystem")?;
        if number.is_none() && subsystem != "input" && !is_usb_interface(&syspath) {
            return None;
        }
        let kind = if subsystem == "block" { DeviceKind::Block } else { DeviceKind::Char };
        let number = number.map(|(major, minor)| Device { kind, major, minor });
        let devname = uevent_value(&syspath, "DEVNAME");
        let mut device = HostDevice {
            devpath: devpath.to_owned(),
            inode: fs::metadata(&syspath).ok()?.ino(),
            subsystem,
            devname: devname.map(|name| name.trim_start_matches("/dev/").to_owned()),
            number,
            danger: number.and_then(|number| Devices::from(number).danger()),
            ..HostDevice::default()
        };
        device.said = match &self.udev {
            Some(database) => recorded(database, &device)?,
            None => self.forge(&syspath, hwdb)?,
        };
        self.climb(&mut device);
        // Whoever opens its node can have the kernel's driver let go of it, and read the disk itself.
        if device.subsystem == "usb"
            && device.interface_classes.iter().any(|class| class == MASS_STORAGE)
        {
            device.danger = Some(Danger::Disk);
        }
        Some(device)
    }

    fn syspath(&self, devpath: &str) -> PathBuf {
        self.sys.join(devpath.trim_start_matches('/'))
    }

    /// What the device's parents say of it.
    fn climb(&self, device: &mut HostDevice) {
        let interfaces = device.said.property("ID_USB_INTERFACES").unwrap_or_default();
        if device.subsystem == "usb" {
            let classes = interfaces.split(':').filter_map(|interface| interface.get(..2));
            device.interface_classes = classes.map(str::to_owned).collect();
        }
        let syspath = self.syspath(&device.devpath);
        let devices = self.sys.join("devices");
        for directory in syspath.ancestors().take_while(|path| **path != devices) {
            device.drivers.extend(link_name(directory, "driver"));
            let phys = attribute(directory, "phys").or_else(|| uevent_value(directory, "HID_PHYS"));
            device.is_ours |= phys.is_some_and(|phys| phys.starts_with("hotseat/"));
            if device.subsystem != "usb" && device.interface_classes.is_empty() {
                device.interface_classes.extend(attribute(directory, "bInterfaceClass"));
            }
            if device.usb.is_none()
                && let Some(vendor) = attribute(directory, "idVendor")
                && let Some(product) = attribute(directory, "idProduct")
            {
                device.usb = Some(Usb { vendor, product, serial: attribute(directory, "serial") });
            }
        }
    }

    /// What udevd would say.
    fn forge(&self, syspath: &Path, hwdb: &Hwdb) -> Option<Said> {
        let device = Sysfs::at(&self.sys).read(syspath).ok()?;
        let stamp = Stamp::now().ok()?;
        Some(Said::of(Forged::add(&device, hwdb, stamp).record()))
    }
}

/// What udevd says in its record. It makes one of every node; without one it has not come to this one yet. A device
/// without a node may have nothing to be said about it.
fn recorded(database: &Path, device: &HostDevice) -> Option<Said> {
    let name = match device.number {
        Some(Device { kind: DeviceKind::Block, major, minor }) => format!("b{major}:{minor}"),
        Some(Device { kind: DeviceKind::Char, major, minor }) => format!("c{major}:{minor}"),
        None => format!("+{}:{}", device.subsystem, device.sysname()),
    };
    match fs::read_to_string(database.join(&name)) {
        Ok(text) => Record::parse(name.parse().ok()?, &text).ok().map(|record| Said::of(&record)),
        Err(_) if device.number.is_none() => Some(Said::default()),
        Err(_) => None,
    }
}

impl Said {
    fn of(record: &Record) -> Self {
        let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        Self {
            properties: record.properties().iter().map(own).collect(),
            tags: record.current_tags().to_vec(),
            devlinks: record.devlinks().to_vec(),
            usec_initialized: record.usec_initialized(),
        }
    }

    /// The value of a property.
    pub fn property(&self, key: &str) -> Option<&str> {
        self.properties.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }
}

/// What a container is to be told of a device could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// The device could not be read; most likely it is gone.
    #[error("could not read it")]
    Read(#[source] ReadError),
    /// What the host's udevd says of it makes no message.
    #[error("what the host's udev says of it makes no message")]
    Parts(#[source] PartsError),
}

impl HostDevice {
    /// The last part of its devpath.
    pub fn sysname(&self) -> &str {
        self.devpath.rsplit('/').next().unwrap_or_default()
    }

    /// Where its node is, on the host as in a container; for a device without one, its place in sysfs.
    pub fn path(&self) -> String {
        match &self.devname {
            Some(devname) => format!("/dev/{devname}"),
            None => format!("/sys{}", self.devpath),
        }
    }

    /// Whether both are the same life of the same device.
    pub fn is(&self, other: &Self) -> bool {
        self.inode == other.inode && self.devpath == other.devpath && self.number == other.number
    }

    /// What its container is told: the kernel's words, and those of the host's udevd but for what is about the host's own
    /// seats and services; with these links to its node.
    ///
    /// # Errors
    ///
    /// [`TellError`].
    pub fn tell(&self, devlinks: Vec<String>, stamp: Stamp) -> Result<Forged, TellError> {
        let syspath = Path::new("/sys").join(self.devpath.trim_start_matches('/'));
        let read = SysDevice::read(&syspath).map_err(TellError::Read)?;
        let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let passed_on = |(key, _): &&(String, String)| !NOT_PASSED_ON.contains(&key.as_str());
        // A seat's devices have its name as a tag (73-seat-late.rules of systemd).
        let is_seat = |tag: &String| self.said.property("ID_SEAT") == Some(tag);
        let parts = Parts {
            kernel: read.kernel_properties().iter().map(own).collect(),
            driver: read.driver().map(str::to_owned),
            rules: self.said.properties.iter().filter(passed_on).cloned().collect(),
            tags: self.said.tags.iter().filter(|tag| !is_seat(tag)).cloned().collect(),
            devlinks,
            seqnum: stamp.seqnum,
            usec_initialized: match self.said.usec_initialized {
                0 => stamp.usec_initialized,
                known => known,
            },
        };
        Forged::from_parts(parts).map_err(TellError::Parts)
    }
}

fn is_usb_interface(syspath: &Path) -> bool {
    uevent_value(syspath, "DEVTYPE").is_some_and(|devtype| devtype == "usb_interface")
}

fn attribute(directory: &Path, name: &str) -> Option<String> {
    let value = fs::read(directory.join(name)).ok()?;
    Some(String::from_utf8_lossy(&value).trim_end_matches('\n').to_owned())
}

fn uevent_value(directory: &Path, key: &str) -> Option<String> {
    let text = attribute(directory, "uevent")?;
    let value = |line: &str| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
    text.lines().find_map(value)
}

fn link_name(directory: &Path, name: &str) -> Option<String> {
    let target = fs::read_link(directory.join(name)).ok()?;
    Some(target.file_name()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const TTY: &str = "/devices/usb1/1-1/1-1:1.0/tty/ttyACM0";

    /// A ConBee II as sysfs has it, in a directory.
    fn conbee() -> (tempfile::TempDir, Places) {
        let directory = tempfile::tempdir().unwrap();
        let sys = fs::canonicalize(directory.path()).unwrap().join("sys");
        let write = |path: &str, text: &str| {
            let path = sys.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let device = "devices/usb1/1-1";
        write(&format!("{device}/idVendor"), "1cf1\n");
        write(&format!("{device}/idProduct"), "0030\n");
        write(&format!("{device}/serial"), "DE2706277\n");
        write(&format!("{device}/dev"), "189:1\n");
        write(&format!("{device}/uevent"), "MAJOR=189\nMINOR=1\nDEVNAME=bus/usb/001/002\n");
        write(&format!("{device}/1-1:1.0/bInterfaceClass"), "02\n");
        write(&format!("{}/dev", &TTY[1..]), "166:0\n");
        write(&format!("{}/uevent", &TTY[1..]), "MAJOR=166\nMINOR=0\nDEVNAME=ttyACM0\n");
        symlink("/bus/usb", sys.join(device).join("subsystem")).unwrap();
        symlink("/bus/usb/drivers/cdc_acm", sys.join(device).join("1-1:1.0/driver")).unwrap();
        symlink("/class/tty", sys.join(&TTY[1..]).join("subsystem")).unwrap();
        fs::create_dir_all(sys.join("dev/char")).unwrap();
        fs::create_dir_all(sys.join("dev/block")).unwrap();
        symlink(sys.join(&TTY[1..]), sys.join("dev/char/166:0")).unwrap();
        let udev = directory.path().join("data");
        fs::create_dir(&udev).unwrap();
        (directory, Places { sys, udev: Some(udev) })
    }

    #[test]
    fn a_device_is_there_when_the_hosts_udevd_has_seen_it_and_until_the_kernel_takes_its_number() {
        let (_directory, places) = conbee();
        let hwdb = Hwdb::in_place_of_systems();
        assert_eq!(places.devpaths().unwrap(), [TTY]);
        assert_eq!(places.read(TTY, &hwdb), None, "without a record");
        let record = places.udev.as_ref().unwrap().join("c166:0");
        fs::write(&record, "S:serial/by-id/x\nI:5\nE:ID_MODEL=ConBee_II\nG:a\nG:b\nQ:b\nV:1\n")
            .unwrap();
        let device = places.read(TTY, &hwdb).unwrap();
        assert_eq!(
            (device.devname.as_deref(), device.path().as_str()),
            (Some("ttyACM0"), "/dev/ttyACM0")
        );
        assert_eq!(device.number, Some(Device::char(166, 0)));
        assert_eq!(device.drivers, ["cdc_acm"]);
        assert_eq!(device.interface_classes, ["02"]);
        let usb = device.usb.clone().unwrap();
        assert_eq!((usb.vendor.as_str(), usb.product.as_str()), ("1cf1", "0030"));
        assert_eq!(usb.serial.as_deref(), Some("DE2706277"));
        assert_eq!(device.said.property("ID_MODEL"), Some("ConBee_II"));
        assert_eq!(
            (device.said.tags.as_slice(), device.said.usec_initialized),
            (&["b".to_owned()][..], 5)
        );
        assert!(!device.is_ours);

        fs::remove_file(places.sys.join(&TTY[1..]).join("dev")).unwrap();
        assert_eq!(places.read(TTY, &hwdb), None, "the kernel lets go of it");
    }

    #[test]
    fn a_usb_device_has_the_classes_of_its_interfaces() {
        let (_directory, places) = conbee();
        let record = places.udev.as_ref().unwrap().join("c189:1");
        fs::write(record, "I:5\nE:ID_USB_INTERFACES=:020201:0a0000:\nV:1\n").unwrap();
        let device = places.read("/devices/usb1/1-1", &Hwdb::in_place_of_systems()).unwrap();
        assert_eq!(device.interface_classes, ["02", "0a"]);
        assert_eq!(device.devname.as_deref(), Some("bus/usb/001/002"));
        assert_eq!(device.danger, None);

        let record = places.udev.as_ref().unwrap().join("c189:1");
        fs::write(record, "I:5\nE:ID_USB_INTERFACES=:080650:\nV:1\n").unwrap();
        let disk = places.read("/devices/usb1/1-1", &Hwdb::in_place_of_systems()).unwrap();
        assert_eq!(disk.danger, Some(Danger::Disk));
    }

    #[test]
    fn the_interface_of_a_usb_device_is_there_without_a_node_or_a_record() {
        let (_directory, places) = conbee();
        let interface = "/devices/usb1/1-1/1-1:1.0";
        let syspath = places.syspath(interface);
        fs::create_dir_all(places.sys.join(USB)).unwrap();
        symlink(&syspath, places.sys.join(USB).join("1-1:1.0")).unwrap();
        symlink("/bus/usb", syspath.join("subsystem")).unwrap();
        assert_eq!(places.devpaths().unwrap(), [interface, TTY]);
        let hwdb = Hwdb::in_place_of_systems();
        assert_eq!(places.read(interface, &hwdb), None, "another device without a node");
        fs::write(syspath.join("uevent"), "DEVTYPE=usb_interface\n").unwrap();
        let device = places.read(interface, &hwdb).unwrap();
        assert_eq!((device.number, device.said), (None, Said::default()));
    }

    #[test]
    fn what_hotseat_made_is_known_by_its_place() {
        let (_directory, places) = conbee();
        fs::write(places.udev.as_ref().unwrap().join("c166:0"), "").unwrap();
        for (file, text) in [("phys", "hotseat/s/0\n"), ("uevent", "HID_PHYS=hotseat/s/0\n")] {
            let path = places.sys.join("devices/usb1/1-1/1-1:1.0").join(file);
            fs::write(&path, text).unwrap();
            assert!(places.read(TTY, &Hwdb::in_place_of_systems()).unwrap().is_ours, "{file}");
            fs::remove_file(path).unwrap();
        }
    }
}
