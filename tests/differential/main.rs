//! The forger against the genuine article: what systemd-udevd says of a device, in its messages, records
//! and tags, is compared line by line with what udev-forge says of it. What differs, and why, is in
//! `known.rs`.
//!
//! Needs root, udevd, uinput and uhid, and the USB devices of the test machine (`cargo xtask test`).

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and prints what a failure needs"
)]

mod compare;
mod genuine;
mod hid;
mod known;

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use compare::Comparison;
use genuine::Udevd;
use udev_forge::Sysfs;
use vinput::uinput::Device;
use vinput::{DeviceName, Profile, Reaper, uhid};

/// Plugs and unplugs a device, compares everything that is said of what is below `place` in sysfs, and fails
/// on a difference that is not known.
fn compare<D>(what: &str, place: &str, create: impl FnOnce(&Udevd) -> D, destroy: impl FnOnce(D)) {
    let udevd = Udevd::listen(place);
    let mut comparison = Comparison::new(what);
    let device = create(&udevd);
    comparison.added(&udevd.settled());
    destroy(device);
    comparison.removed(&udevd.settled());
    comparison.finish();
}

#[test]
fn every_profile() {
    let reaper = Reaper::new().unwrap();
    for profile in Profile::builtins() {
        for phys in ["differential/0", "usb-0000:00:14.0-6.3.1/input0"] {
            let create = |_: &Udevd| {
                let phys = DeviceName::new(phys).unwrap();
                Device::create(profile, profile.device_name(), &phys).unwrap()
            };
            let destroy = |device| reaper.close(device).wait();
            compare(profile.name(), "/devices/virtual/input/", create, destroy);
        }
    }
}

#[test]
fn hid_devices() {
    for model in hid::MODELS {
        let create = |udevd: &Udevd| {
            let device = hid::Uhid::create(model);
            // The last that the driver's probe brings about.
            udevd.wait_until(|| udevd.has_bound());
            device
        };
        compare(model.name, "/devices/virtual/misc/uhid/", create, drop);
    }
}

#[test]
fn whole_pads() {
    // Otherwise the generic driver has the first pad for a while.
    let modules = ["-a", "uhid", "hid-playstation", "hid-nintendo"];
    assert!(Command::new("modprobe").args(modules).status().unwrap().success());
    let reaper = Reaper::new().unwrap();
    for model in uhid::Model::ALL {
        let create = |_: &Udevd| {
            let name = DeviceName::new(model.device_name()).unwrap();
            let phys = DeviceName::new("differential/0").unwrap();
            uhid::Device::create(model, &name, &phys, uhid::Mac::derived_from("differential"))
                .unwrap()
        };
        let destroy = |device| reaper.close(device).wait();
        compare(model.name(), "/devices/virtual/misc/uhid/", create, destroy);
    }
}

#[test]
fn usb_devices() {
    // QEMU's controller is unplugged and plugged again with everything on it: genuine events, not those of
    // `udevadm trigger`.
    let driver = Path::new("/sys/bus/pci/drivers/xhci_hcd");
    let entries = fs::read_dir(driver).unwrap().map(|entry| entry.unwrap().file_name());
    let address = entries.into_iter().find(|name| name.to_string_lossy().contains(':')).unwrap();
    let controller = driver.join(&address).canonicalize().unwrap();
    let place = format!("/{}/usb", controller.strip_prefix("/sys").unwrap().display());
    let devices = || Sysfs::new().tree(&controller).unwrap().len();

    let all = devices();
    let plugged = Plugged { driver, address: &address };
    plugged.write("unbind");
    let bind = |udevd: &Udevd| {
        plugged.write("bind");
        // Hubs look for their devices in their own time.
        udevd.wait_until(|| devices() == all);
    };
    compare("usb", &place, bind, |()| plugged.write("unbind"));

    let udevd = Udevd::listen(&place);
    bind(&udevd);
    udevd.settled();
}

/// A controller that is bound to its driver again, whatever became of the test.
struct Plugged<'a> {
    driver: &'a Path,
    address: &'a OsStr,
}

impl Plugged<'_> {
    fn write(&self, file: &str) {
        fs::write(self.driver.join(file), self.address.as_encoded_bytes()).unwrap();
    }
}

impl Drop for Plugged<'_> {
    fn drop(&mut self) {
        // Fails when it is bound.
        let _ = fs::write(self.driver.join("bind"), self.address.as_encoded_bytes());
    }
}

#[test]
fn what_is_there_already() {
    genuine::settle();
    let sysfs = Sysfs::new();
    let mut comparison = Comparison::new("everything");
    for class in [
        "bus/hid/devices",
        "bus/usb/devices",
        "class/hidraw",
        "class/input",
        "class/leds",
        "class/power_supply",
        "class/tty",
    ] {
        // A class that this machine has nothing of need not be there.
        for entry in fs::read_dir(Path::new("/sys").join(class)).into_iter().flatten() {
            comparison.there(&sysfs, &entry.unwrap().path());
        }
    }
    comparison.finish();
}
