//! What the tests share: pads, programs that read them, and waiting for either.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use evdev::InputEvent;
use evdev::raw_stream::RawDevice;
use nix::libc::O_NONBLOCK;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vinput::uhid::{CreateError, DEFAULT_PATH, Device, Feedback, Mac, Model};
use vinput::{DeviceName, Node};

pub(crate) const KEY: u16 = 1;
pub(crate) const ABS: u16 = 3;

/// A pad whose address belongs to the test, or `None` where there is no uhid to test.
pub(crate) fn create(model: Model, test: &str) -> Option<Device> {
    if !Path::new(DEFAULT_PATH).exists() {
        assert!(std::env::var_os("HOTSEAT_VM").is_none(), "no {DEFAULT_PATH} in the test machine");
        // Not eprintln!, which the test harness keeps to itself.
        std::io::stderr().write_all(b"SKIP(no /dev/uhid)\n").unwrap();
        return None;
    }
    Some(try_create(model, test).unwrap())
}

pub(crate) fn try_create(model: Model, test: &str) -> Result<Device, CreateError> {
    let name = DeviceName::new(model.device_name()).unwrap();
    let phys = DeviceName::new(format!("test/{test}")).unwrap();
    Device::create(model, &name, &phys, Mac::derived_from(test))
}

/// A program that has one of the event nodes open.
pub(crate) fn reader(node: &Node) -> RawDevice {
    let path = Path::new("/dev").join(&node.devname);
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).custom_flags(O_NONBLOCK).open(path).unwrap();
    RawDevice::try_from(file).unwrap()
}

/// The event node of the input device that has this in its name.
pub(crate) fn event_node(device: &Device, part_of_name: &str) -> RawDevice {
    let events = device.nodes().iter().filter(|node| node.is_event()).map(reader);
    let mut found = events.filter(|it| it.name().is_some_and(|name| name.contains(part_of_name)));
    found.next().unwrap()
}

/// The event node of the gamepad, which comes first.
pub(crate) fn gamepad(device: &Device) -> RawDevice {
    reader(device.nodes().iter().find(|node| node.is_event()).unwrap())
}

/// Waits until these are so, or were so in an event; a minute is for ever.
pub(crate) fn wait_for(reader: &mut RawDevice, expected: &[(u16, u16, i32)]) {
    let started = Instant::now();
    let mut missing = expected.to_vec();
    loop {
        let event = |event: InputEvent| (event.event_type().0, event.code(), event.value());
        match reader.fetch_events().map(|events| events.map(event).collect::<Vec<_>>()) {
            Ok(events) => missing.retain(|it| !events.contains(it)),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}"),
        }
        let keys = reader.get_key_state().unwrap();
        let axes: Vec<_> = reader.get_absinfo().unwrap().collect();
        missing.retain(|(kind, code, value)| match *kind {
            KEY => keys.contains(evdev::KeyCode(*code)) != (*value != 0),
            _ => !axes.iter().any(|(axis, info)| (axis.0, info.value()) == (*code, *value)),
        });
        if missing.is_empty() {
            return;
        }
        let left = Duration::from_secs(60).saturating_sub(started.elapsed());
        let mut fds = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut fds, PollTimeout::try_from(left).unwrap()).unwrap();
        assert!(ready != 0 && !left.is_zero(), "{missing:?} of {axes:?}");
    }
}

/// Takes feedback until this comes.
pub(crate) fn expect_feedback(device: &Device, expected: Feedback) {
    wait_for_feedback(device, &format!("{expected:?}"), |feedback| *feedback == expected);
}

/// Takes feedback until one is like this; drivers and SDL set lights and motors of their own accord too.
pub(crate) fn wait_for_feedback(device: &Device, what: &str, is_it: impl Fn(&Feedback) -> bool) {
    let mut seen = Vec::new();
    loop {
        while let Some(feedback) = device.take_feedback() {
            if is_it(&feedback) {
                return;
            }
            seen.push(feedback);
        }
        let mut fds = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut fds, PollTimeout::from(60_000_u16)).unwrap();
        assert_ne!(ready, 0, "no {what}, but {seen:?}");
    }
}

/// The only thing in a folder of the device, like its battery.
pub(crate) fn only(device: &Device, folder: &str) -> PathBuf {
    let mut entries = fs::read_dir(device.syspath().join(folder)).unwrap();
    let only = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none());
    only
}

/// The light whose name ends like this.
pub(crate) fn light(device: &Device, name_ends: &str) -> PathBuf {
    let entries = fs::read_dir(device.syspath().join("leds")).unwrap();
    let mut lights = entries.map(|entry| entry.unwrap().path());
    lights.find(|path| path.to_str().unwrap().ends_with(name_ends)).unwrap()
}

/// Turns the row of player lights off, whichever player the driver takes this for, and then one on.
pub(crate) fn light_only_player(device: &Device, player: u8, lights: u8) {
    for number in 1..=lights {
        fs::write(light(device, &format!(":player-{number}")).join("brightness"), "0").unwrap();
    }
    expect_feedback(device, Feedback::PlayerLeds { on: 0, blinking: 0 });
    fs::write(light(device, &format!(":player-{player}")).join("brightness"), "1").unwrap();
    expect_feedback(device, Feedback::PlayerLeds { on: 1 << (player - 1), blinking: 0 });
}
