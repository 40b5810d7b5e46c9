//! Copies of the part of sysfs that an input device makes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use udev_forge::{Forged, Hwdb, Stamp, SysDevice, Sysfs};

/// An input device, in the words of its sysfs directory.
#[derive(Clone, Copy)]
pub(crate) struct InputDevice {
    pub(crate) sysname: &'static str,
    /// `bus/vendor/product/version`, hexadecimal without leading zeros.
    pub(crate) product: &'static str,
    pub(crate) name: &'static str,
    pub(crate) phys: &'static str,
    pub(crate) prop: &'static str,
    pub(crate) ev: &'static str,
    pub(crate) key: &'static str,
    pub(crate) rel: &'static str,
    pub(crate) abs: &'static str,
    pub(crate) ff: &'static str,
    pub(crate) modalias: &'static str,
    /// Name and minor of the nodes.
    pub(crate) nodes: &'static [(&'static str, u32)],
}

pub(crate) const PAD: InputDevice = InputDevice {
    sysname: "input20",
    product: "3/45e/2ea/408",
    name: "Wolf X-Box One (virtual) pad",
    phys: "",
    prop: "0",
    ev: "20000b",
    key: "7cdb000000000000 0 0 0 0",
    rel: "0",
    abs: "3003f",
    ff: "100010000 0",
    modalias: "input:b0003v045Ep02EAe0408-e0,1,3,15,k130,131,133,134,136,137,13A,13B,13C,13D,13E,\
               ra0,1,2,3,4,5,10,11,mlsf50,60,w",
    nodes: &[("event5", 69), ("js0", 0)],
};

pub(crate) const MOUSE: InputDevice = InputDevice {
    sysname: "input21",
    product: "3/ab00/ab01/1",
    name: "Wolf mouse virtual device",
    ev: "7",
    key: "1f0000 0 0 0 0",
    rel: "1943",
    abs: "0",
    ff: "0",
    modalias: "input:b0003vAB00pAB01e0001-e0,1,2,k110,111,112,113,114,r0,1,6,8,B,C,amlsfw",
    nodes: &[("event6", 70), ("mouse0", 32)],
    ..PAD
};

pub(crate) const KEYBOARD: InputDevice = InputDevice {
    sysname: "input23",
    product: "3/ab00/ab05/1",
    name: "Wolf (virtual) keyboard",
    ev: "100003",
    key: "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe",
    modalias: "input:b0003vAB00pAB05e0001-e0,1,14,kramlsfw",
    nodes: &[("event8", 72)],
    ..MOUSE
};

/// A sysfs with one input device.
pub(crate) struct FakeSysfs(TempDir);

impl FakeSysfs {
    pub(crate) fn with(device: &InputDevice) -> Self {
        let sysfs = Self(TempDir::new().unwrap());
        let dir = sysfs.device_dir(device);
        let ids: Vec<u16> =
            device.product.split('/').map(|id| u16::from_str_radix(id, 16).unwrap()).collect();
        let attributes = [
            ("uevent", input_uevent(device)),
            ("name", device.name.to_owned()),
            ("phys", device.phys.to_owned()),
            ("uniq", String::new()),
            ("properties", device.prop.to_owned()),
            ("capabilities/ev", device.ev.to_owned()),
            ("capabilities/key", device.key.to_owned()),
            ("capabilities/rel", device.rel.to_owned()),
            ("capabilities/abs", device.abs.to_owned()),
            ("id/bustype", format!("{:04x}", ids[0])),
            ("id/vendor", format!("{:04x}", ids[1])),
            ("id/product", format!("{:04x}", ids[2])),
        ];
        for (name, value) in attributes {
            write(&dir.join(name), &format!("{value}\n"));
        }
        symlink("../../../../class/input", dir.join("subsystem")).unwrap();
        for (node, minor) in device.nodes {
            let uevent = format!("MAJOR=13\nMINOR={minor}\nDEVNAME=input/{node}\n");
            write(&dir.join(node).join("uevent"), &uevent);
            write(&dir.join(node).join("dev"), &format!("13:{minor}\n"));
            symlink("../../../../../class/input", dir.join(node).join("subsystem")).unwrap();
        }
        sysfs
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn device_dir(&self, device: &InputDevice) -> PathBuf {
        self.root().join("devices/virtual/input").join(device.sysname)
    }
}

fn input_uevent(device: &InputDevice) -> String {
    let mut lines = format!("PRODUCT={}\nNAME=\"{}\"\n", device.product, device.name);
    if !device.phys.is_empty() {
        lines += &format!("PHYS=\"{}\"\n", device.phys);
    }
    lines += &format!("PROP={}\nEV={}\n", device.prop, device.ev);
    let bitmaps =
        [("KEY", device.key), ("REL", device.rel), ("ABS", device.abs), ("FF", device.ff)];
    for (key, bitmap) in bitmaps.iter().filter(|(_, bitmap)| *bitmap != "0") {
        lines += &format!("{key}={bitmap}\n");
    }
    lines + "MODALIAS=" + device.modalias
}

pub(crate) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The input device itself, or one of its nodes.
pub(crate) fn read(device: &InputDevice, node: Option<&str>) -> SysDevice {
    let sysfs = FakeSysfs::with(device);
    let dir = sysfs.device_dir(device);
    Sysfs::at(sysfs.root()).read(&dir.join(node.unwrap_or("."))).unwrap()
}

pub(crate) fn forge(device: &InputDevice, node: Option<&str>, seqnum: u64, usec: u64) -> Forged {
    Forged::add(&read(device, node), &hwdb(), Stamp { seqnum, usec_initialized: usec })
}

/// The entries of 70-joystick.hwdb and 70-touchpad.hwdb for whatever comes by radio.
pub(crate) fn hwdb() -> Hwdb {
    let lines = [
        "joystick:bluetooth:* ID_INPUT_JOYSTICK_INTEGRATION=external",
        "touchpad:bluetooth:* ID_INPUT_TOUCHPAD_INTEGRATION=external",
    ];
    Hwdb::parse(crate::hwdb::compile(&lines)).unwrap()
}
