//! What sysfs says about a device.

use std::io;
use std::path::{Path, PathBuf};
use std::{fs, str};

use crate::device_id::{DeviceId, DeviceIdError};
use crate::input_id::{Bitmap, Capabilities};
use crate::names;
use crate::properties::{Properties, breaks};

/// Why a device could not be read from sysfs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The path or a file below it could not be read. `NotFound` and `ENODEV`: the device is gone.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The path does not lie in sysfs, or not below `/sys/devices` as a device should.
    #[error("{} is not the path of a device in {}", syspath.display(), sysfs.display())]
    NotADevice {
        /// The path, links followed.
        syspath: PathBuf,
        /// Where sysfs was expected.
        sysfs: PathBuf,
    },
    /// Subsystem and name do not make a device id.
    #[error("no id for {}", syspath.display())]
    Id {
        /// The path.
        syspath: PathBuf,
        /// Why.
        #[source]
        source: DeviceIdError,
    },
    /// An attribute that is not in the kernel's format.
    #[error("`{}` is not a value for {}", value.escape_debug(), path.display())]
    Malformed {
        /// The attribute.
        path: PathBuf,
        /// What it says.
        value: String,
    },
}

/// A device as sysfs describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SysDevice {
    id: DeviceId,
    kernel: Properties,
    devnum: Option<(u32, u32)>,
    input: Option<Input>,
}

/// What is known of an input device or, for its event, js and mouse nodes, of the device they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Input {
    /// What it can do, and its bus.
    pub capabilities: Capabilities,
    /// `id/vendor`.
    pub vendor: u16,
    /// `id/product`.
    pub product: u16,
    /// `name`; whoever made the device chose it.
    pub name: String,
    /// `phys`, where the device is plugged in; often empty.
    pub phys: String,
    // ID_INPUT_WIDTH_MM and _HEIGHT_MM need the ranges of ABS_X and ABS_Y, which only the node tells
    // (EVIOCGABS); they would be a field here and two properties in rules/input.rs.
}

impl SysDevice {
    /// Reads the device at `syspath`, a directory in `/sys/devices` or a link to one.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when it is not the directory of a device, or vanishes meanwhile.
    pub fn read(syspath: &Path) -> Result<Self, ReadError> {
        Self::read_in(Path::new("/sys"), syspath)
    }

    /// [`read`](Self::read) with sysfs, or a copy of it, at another place.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_in(sysfs: &Path, syspath: &Path) -> Result<Self, ReadError> {
        let canonical = |path: &Path| {
            path.canonicalize().map_err(|source| ReadError::Io { path: path.to_owned(), source })
        };
        let sysfs = canonical(sysfs)?;
        let syspath = canonical(syspath)?;

        let Some(devpath) = devpath(&sysfs, &syspath) else {
            return Err(ReadError::NotADevice { syspath, sysfs });
        };
        let subsystem = read_subsystem(&syspath)?;
        let devnum = read_devnum(&syspath)?;
        // Before the uevent file: no line of that can be trusted if the name contains line breaks.
        let input = if subsystem == "input" { Input::of(&sysfs, &syspath)? } else { None };

        let mut kernel = Properties::new();
        kernel.put("DEVPATH", &devpath);
        kernel.put("SUBSYSTEM", &subsystem);
        add_uevent(&mut kernel, &required(&syspath, "uevent")?, devnum.is_some());
        if let Some((major, minor)) = devnum {
            kernel.put("MAJOR", &major.to_string());
            kernel.put("MINOR", &minor.to_string());
        }
        let id = DeviceId::of_kernel(&kernel)
            .map_err(|source| ReadError::Id { syspath: syspath.clone(), source })?;
        Ok(Self { id, kernel, devnum, input })
    }

    /// The device's id in the database.
    pub fn device_id(&self) -> &DeviceId {
        &self.id
    }

    /// The path in sysfs, without `/sys`.
    pub fn devpath(&self) -> &str {
        self.kernel.get("DEVPATH").unwrap_or_default()
    }

    /// The subsystem, such as `input`.
    pub fn subsystem(&self) -> &str {
        self.kernel.get("SUBSYSTEM").unwrap_or_default()
    }

    /// The last component of the devpath, such as `event5`.
    pub fn sysname(&self) -> &str {
        self.devpath().rsplit('/').next().unwrap_or_default()
    }

    /// The node's absolute path in /dev, if there is a node.
    pub fn devname(&self) -> Option<&str> {
        self.kernel.get("DEVNAME")
    }

    /// Major and minor number of the node, if there is one.
    pub fn devnum(&self) -> Option<(u32, u32)> {
        self.devnum
    }

    /// What the kernel says in its events, in the order of udev's messages: `DEVPATH` and `SUBSYSTEM`,
    /// the keys of the `uevent` file with an absolute `DEVNAME`, `MAJOR` and `MINOR`.
    pub fn kernel_properties(&self) -> &Properties {
        &self.kernel
    }

    /// The input device that this is or belongs to.
    pub fn input(&self) -> Option<&Input> {
        self.input.as_ref()
    }
}

impl Input {
    /// The nearest directory from `syspath` upward that has capabilities.
    fn of(sysfs: &Path, syspath: &Path) -> Result<Option<Self>, ReadError> {
        for dir in syspath.ancestors().take_while(|dir| *dir != sysfs) {
            if let Some(ev) = attribute(dir, "capabilities/ev")? {
                return Self::read(dir, &ev).map(Some);
            }
        }
        Ok(None)
    }

    fn read(dir: &Path, ev: &str) -> Result<Self, ReadError> {
        let bitmap = |name| Ok(Bitmap::parse(&attribute(dir, name)?.unwrap_or_default()));
        let number = |name| {
            let text = attribute(dir, name)?.unwrap_or_default();
            Ok(u16::from_str_radix(&text, 16).unwrap_or(0))
        };
        one_line(dir, "uniq")?;
        Ok(Self {
            capabilities: Capabilities {
                ev: Bitmap::parse(ev),
                key: bitmap("capabilities/key")?,
                rel: bitmap("capabilities/rel")?,
                abs: bitmap("capabilities/abs")?,
                properties: bitmap("properties")?,
                bustype: number("id/bustype")?,
            },
            vendor: number("id/vendor")?,
            product: number("id/product")?,
            name: one_line(dir, "name")?,
            phys: one_line(dir, "phys")?,
        })
    }
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
    match fs::read(&path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            Ok(Some(text.strip_suffix('\n').unwrap_or(&text).to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ReadError::Io { path, source }),
    }
}

fn required(dir: &Path, name: &str) -> Result<String, ReadError> {
    attribute(dir, name)?.ok_or_else(|| ReadError::Io {
        path: dir.join(name),
        source: io::ErrorKind::NotFound.into(),
    })
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

fn read_subsystem(syspath: &Path) -> Result<String, ReadError> {
    let path = syspath.join("subsystem");
    let target = match fs::read_link(&path) {
        Ok(target) => target,
        Err(source) => return Err(ReadError::Io { path, source }),
    };
    let name = target.file_name().and_then(|name| name.to_str());
    match name.filter(|name| names::is_file_name(name)) {
        Some(name) => Ok(name.to_owned()),
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

/// Adds what the `uevent` file says, except what is known better. Lines that are no property are
/// skipped, as in udev (`device_read_uevent_file`).
fn add_uevent(kernel: &mut Properties, uevent: &str, has_node: bool) {
    const OURS: [&str; 12] = [
        "ACTION",
        "CURRENT_TAGS",
        "DEVLINKS",
        "DEVPATH",
        "MAJOR",
        "MINOR",
        "SEQNUM",
        "SUBSYSTEM",
        "SYNTH_UUID",
        "TAGS",
        "UDEV_DATABASE_VERSION",
        "USEC_INITIALIZED",
    ];
    for line in uevent.split(['\n', '\r']) {
        let Some((key, value)) = line.split_once('=') else { continue };
        if OURS.contains(&key) {
            continue;
        }
        if key != "DEVNAME" {
            // An error is a line to skip.
            let _ = kernel.set(key, value);
        } else if let Some(path) = names::dev_path(value).filter(|_| has_node) {
            kernel.put(key, &path);
        }
    }
}
