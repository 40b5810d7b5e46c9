//! What programs that nobody here wrote make of each built-in profile: SDL 2 and 3, libinput, python-evdev, evtest,
//! fftest and ffcfstress, as Debian ships them, on devices in a real kernel with the real udevd. For the test machine.
//!
//! What they find is the table in docs/profiles.md: each test holds its column against it, and writes it where
//! `HOTSEAT_UPDATE_DOCS` is set.

#![expect(clippy::unwrap_used, reason = "tests")]

mod feedback;
mod libinput;
mod program;
mod python_evdev;
mod sdl;
mod table;

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use vinput::uinput::{DEFAULT_PATH, Device};
use vinput::{DeviceName, Profile};

use crate::table::Table;

/// Holds what a program found of each profile against its column of the table, or writes it.
fn check(column: &str, found: &[(&Profile, String)]) {
    let table = Table {
        tests: "consumers",
        rows: Profile::builtins().map(Profile::name).collect(),
        columns: &["SDL 3", "SDL 2", "libinput", "python-evdev", "evtest", "fftest"],
    };
    let found: Vec<_> = found.iter().map(|(it, cell)| (it.name(), cell.clone())).collect();
    table.check(column, &found);
}

/// Whether this is the test machine; says that it skips where it is not.
fn in_machine() -> bool {
    let is_machine = std::env::var_os("HOTSEAT_VM").is_some();
    if is_machine {
        assert!(Path::new(DEFAULT_PATH).exists(), "no {DEFAULT_PATH} in the test machine");
    } else {
        // Not eprintln!, which the test harness keeps to itself.
        std::io::stderr().write_all(b"SKIP(needs the programs of the test machine)\n").unwrap();
    }
    is_machine
}

/// A device that udevd has looked at.
struct Plugged {
    profile: &'static Profile,
    device: Device,
    /// `/dev/input/eventN`.
    node: String,
}

impl Plugged {
    fn new(profile: &'static Profile) -> Self {
        // Not `hotseat/`, which a rule gives to no seat.
        let phys = DeviceName::new("vinput-test/0").unwrap();
        let device = Device::create(profile, profile.device_name(), &phys).unwrap();
        let node = format!("/dev/{}", device.nodes()[0].devname);
        let settled = Command::new("udevadm").args(["settle", "--timeout=120"]).status().unwrap();
        assert!(settled.success());
        Self { profile, device, node }
    }

    /// Writes one frame.
    fn send(&self, inputs: &[&str]) {
        self.device.write(&self.profile.frame(inputs).unwrap()).unwrap();
    }
}
