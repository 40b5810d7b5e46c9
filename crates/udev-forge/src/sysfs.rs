//! Reading sysfs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str;
use std::sync::Arc;

use crate::device::{Input, ReadError, SysDevice};
use crate::input_id::{Bitmap, Capabilities};
use crate::names;
use crate::properties::{Properties, breaks};

/// A look at sysfs: every directory is read once, when it is first needed.
///
/// One look serves all nodes of a piece of hardware, whose parents are mostly the same. For what comes
/// later, make another.
///
/// ```no_run
/// use std::path::Path;
/// use udev_forge::Sysfs;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sysfs = Sysfs::new();
/// let input = sysfs.read(Path::new("/sys/devices/virtual/input/input20"))?;
/// let node = sysfs.read(Path::new("/sys/devices/virtual/input/input20/event5"))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Sysfs {
    root: PathBuf,
    objects: RefCell<BTreeMap<PathBuf, Option<Arc<Object>>>>,
    machine: RefCell<Option<Arc<str>>>,
}

/// The directory of a device, as far as rules look at it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) devpath: String,
    /// Empty for a bridge such as `/sys/devices/pci0000:00`.
    pub(crate) subsystem: String,
    pub(crate) driver: Option<String>,
    /// The lines of the `uevent` file.
    pub(crate) uevent: Properties,
    /// Those of [`attributes_of`] that are there.
    pub(crate) attributes: BTreeMap<&'static str, String>,
    /// The USB descriptors of a USB device, the report descriptor of a HID device.
    pub(crate) descriptors: Vec<u8>,
    /// For a directory with `capabilities`.
    pub(crate) input: Option<Input>,
}

impl Object {
    pub(crate) fn sysname(&self) -> &str {
        self.devpath.rsplit('/').next().unwrap_or_default()
    }

    pub(crate) fn devtype(&self) -> &str {
        self.uevent.get("DEVTYPE").unwrap_or_default()
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

/// The attributes that rules look at, without those of input devices.
fn attributes_of(subsystem: &str, devtype: &str) -> &'static [&'static str] {
    match (subsystem, devtype) {
        ("usb", "usb_device") => &[
            "bDeviceClass",
            "bDeviceProtocol",
            "bcdDevice",
            "idProduct",
            "idVendor",
            "manufacturer",
            "product",
            "serial",
            "speed",
        ],
        ("usb", "usb_interface") => &["bInterfaceClass", "bInterfaceNumber", "bInterfaceSubClass"],
        ("usb-serial", _) => &["port_number"],
        ("pci", _) => &["device", "vendor"],
        ("tty", _) => &["iomem_base", "port"],
        _ => &[],
    }
}

/// The file with an object's descriptors.
fn descriptors_of(subsystem: &str, devtype: &str) -> Option<&'static str> {
    match (subsystem, devtype) {
        ("usb", "usb_device") => Some("descriptors"),
        ("hid", _) => Some("report_descriptor"),
        _ => None,
    }
}

impl Default for Sysfs {
    fn default() -> Self {
        Self::new()
    }
}

impl Sysfs {
    /// A look at `/sys`.
    pub fn new() -> Self {
        Self::at(Path::new("/sys"))
    }

    /// A look at sysfs, or a copy of it, at another place.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), objects: RefCell::default(), machine: RefCell::default() }
    }

    /// Reads the device at `syspath`, a directory in `/sys/devices` or a link to one, and its parents.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when it is not the directory of a device, or vanishes meanwhile.
    pub fn read(&self, syspath: &Path) -> Result<SysDevice, ReadError> {
        let canonical = |path: &Path| {
            path.canonicalize().map_err(|source| ReadError::Io { path: path.to_owned(), source })
        };
        let sysfs = canonical(&self.root)?;
        let syspath = canonical(syspath)?;
        let devices = sysfs.join("devices");
        if syspath == devices || !syspath.starts_with(&devices) {
            return Err(ReadError::NotADevice { syspath, sysfs });
        }

        // What any device must have is asked for by name: the error says what is missing.
        let without_uevent = || ReadError::Io {
            path: syspath.join("uevent"),
            source: io::ErrorKind::NotFound.into(),
        };
        let mut chain = vec![self.object(&sysfs, &syspath)?.ok_or_else(without_uevent)?];
        for dir in syspath.ancestors().skip(1).take_while(|dir| *dir != devices) {
            chain.extend(self.object(&sysfs, dir)?);
        }
        SysDevice::of_chain(&syspath, chain, read_devnum(&syspath)?, self.machine())
    }

    /// The paths of `syspath` and of every device below it, parents first; of two that are siblings the one
    /// whose name comes first, numbers by their value.
    ///
    /// A directory that vanishes meanwhile is left out.
    ///
    /// # Errors
    ///
    /// [`ReadError::Io`] when `syspath` itself cannot be read.
    pub fn tree(&self, syspath: &Path) -> Result<Vec<PathBuf>, ReadError> {
        let top = syspath.canonicalize();
        let top = top.map_err(|source| ReadError::Io { path: syspath.to_owned(), source })?;
        let mut found = Vec::new();
        collect_tree(&top, &mut found);
        Ok(found)
    }

    /// The modalias of the machine itself, which some hardware needs to be known by.
    pub(crate) fn machine(&self) -> Arc<str> {
        let read = || {
            let dmi = attribute(&self.root.join("class/dmi/id"), "modalias").ok().flatten();
            dmi.unwrap_or_default().into()
        };
        Arc::clone(self.machine.borrow_mut().get_or_insert_with(read))
    }

    /// The device that `dir` is, if it is one.
    fn object(&self, sysfs: &Path, dir: &Path) -> Result<Option<Arc<Object>>, ReadError> {
        if let Some(known) = self.objects.borrow().get(dir) {
            return Ok(known.clone());
        }
        let object = read_object(sysfs, dir)?.map(Arc::new);
        self.objects.borrow_mut().insert(dir.to_owned(), object.clone());
        Ok(object)
    }
}

fn collect_tree(dir: &Path, found: &mut Vec<PathBuf>) {
    if fs::symlink_metadata(dir.join("subsystem")).is_ok_and(|link| link.is_symlink()) {
        found.push(dir.to_owned());
    }
    // Directories only: links lead to other devices.
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut dirs: Vec<PathBuf> = dirs.map(|entry| entry.path()).collect();
    dirs.sort_by_cached_key(|dir| {
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let letters = name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let number = name[letters..].parse::<u64>().unwrap_or(0);
        (name[..letters].to_owned(), number, name)
    });
    for dir in dirs {
        collect_tree(&dir, found);
    }
}

fn read_object(sysfs: &Path, dir: &Path) -> Result<Option<Object>, ReadError> {
    // Before the uevent file: no line of that can be trusted if the name contains line breaks.
    let input = match attribute(dir, "capabilities/ev")? {
        Some(ev) => Some(read_input(dir, &ev)?),
        None => None,
    };
    let Some(text) = attribute(dir, "uevent")? else { return Ok(None) };
    let not_a_device =
        || ReadError::NotADevice { syspath: dir.to_owned(), sysfs: sysfs.to_owned() };
    let devpath = devpath(sysfs, dir).ok_or_else(not_a_device)?;

    let subsystem = link_name(dir, "subsystem")?.unwrap_or_default();
    if subsystem == "hid" {
        only_hid_lines(dir, &text)?;
    }
    let mut uevent = Properties::new();
    for line in text.split(['\n', '\r']) {
        // A line that is no property is skipped, as in udev (`device_read_uevent_file`).
        if let Some((key, value)) = line.split_once('=') {
            let _ = uevent.set(key, value);
        }
    }
    let devtype = uevent.get("DEVTYPE").unwrap_or_default();
    let mut attributes = BTreeMap::new();
    for name in attributes_of(&subsystem, devtype) {
        if let Some(value) = attribute(dir, name)? {
            attributes.insert(*name, value);
        }
    }
    let descriptors = match descriptors_of(&subsystem, devtype) {
        Some(name) => fs::read(dir.join(name)).unwrap_or_default(),
        None => Vec::new(),
    };
    let driver = link_name(dir, "driver")?;
    Ok(Some(Object { devpath, subsystem, driver, uevent, attributes, descriptors, input }))
}

fn read_input(dir: &Path, ev: &str) -> Result<Input, ReadError> {
    let bitmap = |name| Ok(Bitmap::parse(&attribute(dir, name)?.unwrap_or_default()));
    let number = |name| {
        let text = attribute(dir, name)?.unwrap_or_default();
        Ok(u16::from_str_radix(&text, 16).unwrap_or(0))
    };
    one_line(dir, "uniq")?;
    Ok(Input {
        capabilities: Capabilities {
            ev: Bitmap::parse(ev),
            key: bitmap("capabilities/key")?,
            rel: bitmap("capabilities/rel")?,
            abs: bitmap("capabilities/abs")?,
            properties: bitmap("properties")?,
            bustype: number("id/bustype")?,
        },
        ev: ev.to_owned(),
        vendor: number("id/vendor")?,
        product: number("id/product")?,
        name: one_line(dir, "name")?,
        phys: one_line(dir, "phys")?,
    })
}

/// The part of the path that the kernel calls the device by.
fn devpath(sysfs: &Path, syspath: &Path) -> Option<String> {
    let devpath = format!("/{}", syspath.strip_prefix(sysfs).ok()?.to_str()?);
    (devpath.starts_with("/devices/") && names::is_clean_path(&devpath)).then_some(devpath)
}

/// The value of an attribute, without the line feed at its end; `None` when there is no such attribute.
/// What is not UTF-8 becomes U+FFFD.
fn attribute(dir: &Path, name: &str) -> Result<Option<String>, ReadError> {
    let path = dir.join(name);
    match read_small(&path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            Ok(Some(text.strip_suffix('\n').unwrap_or(&text).to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ReadError::Io { path, source }),
    }
}

/// The content of a small file. [`fs::read`] would ask for the size, which sysfs does not know, and for more
/// after the end; what is read costs less than these calls.
fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    // More than the page that an attribute has at most, so that it comes at once.
    let mut content = vec![0; 4097];
    let size = file.read(&mut content)?;
    let is_whole = size < content.len();
    content.truncate(size);
    if !is_whole {
        file.read_to_end(&mut content)?;
    }
    Ok(content)
}

/// An attribute that the maker of the device chose freely. With a line break in it, it would forge
/// lines of the `uevent` file, where the kernel repeats it.
fn one_line(dir: &Path, name: &str) -> Result<String, ReadError> {
    let value = attribute(dir, name)?.unwrap_or_default();
    if breaks(&value) {
        Err(ReadError::Malformed { path: dir.join(name), value })
    } else {
        Ok(value)
    }
}

/// Refuses the `uevent` file of a HID device with a line that is not the kernel's (`hid_uevent` in
/// drivers/hid/hid-core.c): name, place and serial number come from the device and have no attribute of
/// their own by which [`one_line`] could tell.
fn only_hid_lines(dir: &Path, uevent: &str) -> Result<(), ReadError> {
    let mut keys = vec![
        "DRIVER",
        "HID_FIRMWARE_VERSION",
        "HID_ID",
        "HID_NAME",
        "HID_PHYS",
        "HID_UNIQ",
        "MODALIAS",
    ];
    for line in uevent.split(['\n', '\r']) {
        let key = line.split('=').next().unwrap_or_default();
        match keys.iter().position(|known| *known == key) {
            // Once each.
            Some(place) => drop(keys.remove(place)),
            None => {
                return Err(ReadError::Malformed {
                    path: dir.join("uevent"),
                    value: line.to_owned(),
                });
            }
        }
    }
    Ok(())
}

/// The name of what a link points to; `None` when there is no such link.
fn link_name(dir: &Path, name: &str) -> Result<Option<String>, ReadError> {
    let path = dir.join(name);
    let target = match fs::read_link(&path) {
        Ok(target) => target,
        // A file or directory of that name is something else.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) =>
        {
            return Ok(None);
        }
        Err(source) => return Err(ReadError::Io { path, source }),
    };
    let name = target.file_name().and_then(|name| name.to_str());
    match name.filter(|name| names::is_file_name(name)) {
        Some(name) => Ok(Some(name.to_owned())),
        None => Err(ReadError::Malformed { path, value: target.to_string_lossy().into_owned() }),
    }
}

/// Major and minor number. They are taken from `dev`, which only the kernel writes.
fn read_devnum(syspath: &Path) -> Result<Option<(u32, u32)>, ReadError> {
    let Some(value) = attribute(syspath, "dev")? else { return Ok(None) };
    let numbers = value.split_once(':');
    match numbers.map(|(major, minor)| (major.parse(), minor.parse())) {
        Some((Ok(major @ ..0x1000), Ok(minor @ ..0x10_0000))) => Ok(Some((major, minor))),
        _ => Err(ReadError::Malformed { path: syspath.join("dev"), value }),
    }
}
