//! The kernel's nodes of a device, read from sysfs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One device node: what a program opens to use a device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Node {
    /// The subsystem: `input`.
    pub subsystem: String,
    /// Its directory in sysfs, like `/sys/devices/virtual/input/input5/event3`.
    pub syspath: PathBuf,
    /// Its name relative to /dev, as the kernel gives it: `input/event3`.
    pub devname: String,
    /// The major number of the character device.
    pub major: u32,
    /// The minor number; above 255 on hosts with many devices.
    pub minor: u32,
}

/// Sysfs did not have what the kernel always puts there.
#[derive(Debug, Error)]
#[error("cannot read {}", path.display())]
pub struct SysfsError {
    /// The file.
    pub path: PathBuf,
    /// What went wrong.
    #[source]
    pub source: io::Error,
}

impl Node {
    /// The kernel's name of the node: `event3`.
    #[must_use]
    pub fn sysname(&self) -> &str {
        self.devname.rsplit('/').next().unwrap_or(&self.devname)
    }

    /// Whether this is the evdev node, which all programs but the oldest use.
    #[must_use]
    pub fn is_event(&self) -> bool {
        self.sysname().starts_with("event")
    }

    /// The nodes of the input device with this directory: `event*`, then `js*`, then `mouse*`.
    pub(crate) fn of_device(syspath: &Path) -> Result<Vec<Self>, SysfsError> {
        let failed = |source| SysfsError { path: syspath.to_owned(), source };
        let mut nodes = Vec::new();
        for entry in fs::read_dir(syspath).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // Links lead away from the device, and what has no number (power/, LEDs) has no node.
            let is_directory = entry.file_type().map_err(failed)?.is_dir();
            if is_directory && entry.path().join("dev").exists() {
                nodes.push(Self::read(entry.path())?);
            }
        }
        let rank = |node: &Self| {
            let order = ["event", "js", "mouse"];
            order.iter().position(|prefix| node.sysname().starts_with(prefix)).unwrap_or(3)
        };
        nodes.sort_by_key(|node| (rank(node), node.minor));
        Ok(nodes)
    }

    fn read(syspath: PathBuf) -> Result<Self, SysfsError> {
        let dev = read(&syspath, "dev")?;
        let numbers = dev.trim_end().split_once(':');
        let (major, minor) = numbers
            .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
            .ok_or_else(|| malformed(&syspath, "dev"))?;
        let uevent = read(&syspath, "uevent")?;
        let devname = uevent
            .lines()
            .find_map(|line| line.strip_prefix("DEVNAME="))
            .ok_or_else(|| malformed(&syspath, "uevent"))?
            .to_owned();
        let link = syspath.join("subsystem");
        let target = fs::read_link(&link).map_err(|source| SysfsError { path: link, source })?;
        let subsystem = target
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| malformed(&syspath, "subsystem"))?
            .to_owned();
        Ok(Self { subsystem, syspath, devname, major, minor })
    }
}

fn read(directory: &Path, file: &str) -> Result<String, SysfsError> {
    let path = directory.join(file);
    fs::read_to_string(&path).map_err(|source| SysfsError { path, source })
}

fn malformed(directory: &Path, file: &str) -> SysfsError {
    SysfsError { path: directory.join(file), source: io::ErrorKind::InvalidData.into() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A copy of what sysfs has for a device, removed with it.
    struct Sysfs(PathBuf);

    impl Sysfs {
        fn new(test: &str) -> Self {
            let name = format!("vinput-{}-{test}", std::process::id());
            let root = std::env::temp_dir().join(name);
            fs::create_dir_all(root.join("power")).unwrap();
            fs::create_dir_all(root.join("input7::capslock")).unwrap();
            fs::write(root.join("uevent"), "PRODUCT=3/45e/2ea/408\n").unwrap();
            Self(root)
        }

        fn node(&self, name: &str, dev: &str) -> &Self {
            let directory = self.0.join(name);
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("dev"), format!("{dev}\n")).unwrap();
            let uevent = format!("MAJOR=13\nMINOR=1\nDEVNAME=input/{name}\n");
            fs::write(directory.join("uevent"), uevent).unwrap();
            symlink("../../../../../class/input", directory.join("subsystem")).unwrap();
            self
        }
    }

    impl Drop for Sysfs {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn nodes_are_sorted_event_first_then_js_then_mouse() {
        let sysfs = Sysfs::new("sorted");
        sysfs.node("mouse0", "13:32").node("js0", "13:0").node("event256", "13:256");
        let nodes = Node::of_device(&sysfs.0).unwrap();
        let names: Vec<_> = nodes.iter().map(Node::sysname).collect();
        assert_eq!(names, ["event256", "js0", "mouse0"]);
        let event = Node {
            subsystem: "input".into(),
            syspath: sysfs.0.join("event256"),
            devname: "input/event256".into(),
            major: 13,
            minor: 256,
        };
        assert_eq!(nodes[0], event);
        assert!(nodes[0].is_event() && !nodes[1].is_event());
    }

    #[test]
    fn directories_and_links_without_a_number_are_no_nodes() {
        let sysfs = Sysfs::new("others");
        sysfs.node("event3", "13:67");
        symlink(sysfs.0.join("event3"), sysfs.0.join("device")).unwrap();
        assert_eq!(Node::of_device(&sysfs.0).unwrap().len(), 1);
    }

    #[test]
    fn a_malformed_number_is_an_error_that_names_the_file() {
        let sysfs = Sysfs::new("malformed");
        sysfs.node("event3", "13");
        let error = Node::of_device(&sysfs.0).unwrap_err();
        assert!(error.to_string().ends_with("/event3/dev"), "{error}");
    }
}
