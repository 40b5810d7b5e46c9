//! A device in sysfs, attribute by attribute: whoever made it chose some of them, and a device of another
//! driver may have any.

#![no_main]

use std::cell::OnceCell;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::Path;

use hotseat_fuzz::{check, fields};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use udev_forge::{Forged, Hwdb, Stamp, Sysfs};

/// The attributes of the device, each with its letter.
const DEVICE: [(u8, &str); 13] = [
    (b'U', "uevent"),
    (b'n', "name"),
    (b'p', "phys"),
    (b'q', "uniq"),
    (b'i', "properties"),
    (b'e', "capabilities/ev"),
    (b'k', "capabilities/key"),
    (b'r', "capabilities/rel"),
    (b'a', "capabilities/abs"),
    (b'B', "id/bustype"),
    (b'V', "id/vendor"),
    (b'P', "id/product"),
    (b'D', "dev"),
];

/// And of its node.
const NODE: [(u8, &str); 2] = [(b'u', "uevent"), (b'd', "dev")];

const DEVPATH: &str = "devices/virtual/input/input20";

thread_local! {
    /// Thousands of trees are written each second: TMPDIR should be in memory.
    static SYSFS: OnceCell<TempDir> = const { OnceCell::new() };
}

fuzz_target!(|input: &[u8]| {
    SYSFS.with(|sysfs| {
        let sysfs = sysfs.get_or_init(|| TempDir::new().unwrap()).path();
        build(sysfs, input);
        for path in ["", "event5"] {
            let device = Sysfs::at(sysfs).read(&sysfs.join(DEVPATH).join(path));
            if let Ok(device) = device {
                check(&Forged::add(
                    &device,
                    &Hwdb::empty(),
                    Stamp { seqnum: 0, usec_initialized: 1 },
                ));
            }
        }
    });
});

/// The device and its node, with the attributes that the input gives: `S` begins the subsystem's name.
fn build(sysfs: &Path, input: &[u8]) {
    let device = sysfs.join(DEVPATH);
    match fs::remove_dir_all(&device) {
        Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
        _ => {}
    }
    for dir in ["capabilities", "id", "event5"] {
        fs::create_dir_all(device.join(dir)).unwrap();
    }
    let mut subsystem = "input";
    for (letter, text) in fields(input) {
        if letter == b'S' && !text.is_empty() && !text.contains('\0') {
            subsystem = text;
        }
        for (_, name) in DEVICE.iter().filter(|(own, _)| *own == letter) {
            fs::write(device.join(name), text).unwrap();
        }
        for (_, name) in NODE.iter().filter(|(own, _)| *own == letter) {
            fs::write(device.join("event5").join(name), text).unwrap();
        }
    }
    for dir in [&device, &device.join("event5")] {
        // A name may be too long for a link; then there is none.
        let _ = symlink(Path::new("/sys/class").join(subsystem), dir.join("subsystem"));
    }
}
