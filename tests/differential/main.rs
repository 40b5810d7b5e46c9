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

use std::path::Path;

use compare::Comparison;
use genuine::Udevd;
use vinput::uinput::Device;
use vinput::{DeviceName, Profile, Reaper};

/// Plugs and unplugs a device, compares everything that is said of it, and fails on a difference that is not
/// known.
fn compare<D>(what: &str, create: impl FnOnce() -> D, destroy: impl FnOnce(D)) {
    let udevd = Udevd::listen();
    let mut comparison = Comparison::new(what);
    let device = create();
    comparison.added(&udevd.settled());
    destroy(device);
    comparison.removed(&udevd.settled());
    comparison.finish();
}

#[test]
fn every_profile() {
    let reaper = Reaper::new().unwrap();
    for profile in Profile::builtins() {
        for phys in ["", "hotseat/differential/0"] {
            let create = || {
                let phys = DeviceName::new(phys).unwrap();
                Device::create(profile, profile.device_name(), &phys).unwrap()
            };
            compare(profile.name(), create, |device| reaper.close(device).wait());
        }
    }
}

#[test]
fn hid_devices() {
    for model in hid::MODELS {
        compare(model.name, || hid::Uhid::create(model), drop);
    }
}

#[test]
fn usb_devices() {
    // QEMU's controller is unplugged and plugged again with everything on it: genuine events, not those of
    // `udevadm trigger`.
    let driver = Path::new("/sys/bus/pci/drivers/xhci_hcd");
    let entries = std::fs::read_dir(driver).unwrap().map(|entry| entry.unwrap().file_name());
    let address = entries.into_iter().find(|name| name.to_string_lossy().contains(':')).unwrap();
    let write = |file| std::fs::write(driver.join(file), address.as_encoded_bytes()).unwrap();
    write("unbind");
    compare("usb", || write("bind"), |()| write("unbind"));
    write("bind");
}
