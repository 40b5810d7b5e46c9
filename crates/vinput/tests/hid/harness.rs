//! What the tests share.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evdev::InputEvent;
use evdev::raw_stream::RawDevice;
use nix::libc::O_NONBLOCK;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vinput::hid::{Device, Profile};
use vinput::uhid::{CreateError, DEFAULT_PATH, Mac};
use vinput::{DeviceName, Node};

/// Whether there is a kernel to test; says so where there is none.
pub(crate) fn has_uhid() -> bool {
    let is_there = Path::new(DEFAULT_PATH).exists();
    if !is_there {
        skip("no /dev/uhid");
    }
    is_there
}

/// Says that a test skips, which it must not in the test machine.
pub(crate) fn skip(reason: &str) {
    assert!(std::env::var_os("HOTSEAT_VM").is_none(), "{reason} in the test machine");
    // Not eprintln!, which the test harness keeps to itself.
    std::io::stderr().write_all(format!("SKIP({reason})\n").as_bytes()).unwrap();
}

pub(crate) fn try_create(profile: &Profile, test: &str) -> Result<Device, CreateError> {
    let phys = DeviceName::new(format!("test/{test}")).unwrap();
    Device::create(&Arc::new(profile.clone()), None, &phys, Mac::derived_from(test))
}

pub(crate) fn create(profile: &Profile, test: &str) -> Device {
    try_create(profile, test).unwrap()
}

/// Where the device's hidraw node is.
pub(crate) fn hidraw(device: &Device) -> PathBuf {
    let node = device.nodes().last().unwrap();
    assert_eq!(node.subsystem, "hidraw");
    Path::new("/dev").join(&node.devname)
}

/// Programs that have the event nodes open.
pub(crate) fn readers(nodes: &[Node]) -> Vec<RawDevice> {
    let open = |node: &Node| {
        let path = Path::new("/dev").join(&node.devname);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).custom_flags(O_NONBLOCK).open(path).unwrap();
        RawDevice::try_from(file).unwrap()
    };
    nodes.iter().filter(|node| node.is_event()).map(open).collect()
}

/// What one of the readers finds to read: type, code and value. A minute is for ever.
pub(crate) fn next_events(readers: &mut [RawDevice]) -> Vec<(u16, u16, i32)> {
    let mut fds: Vec<_> =
        readers.iter().map(|it| PollFd::new(it.as_fd(), PollFlags::POLLIN)).collect();
    assert_ne!(poll(&mut fds, PollTimeout::from(60_000_u16)).unwrap(), 0, "no event came");
    drop(fds);
    let event = |event: InputEvent| (event.event_type().0, event.code(), event.value());
    let read = |it: &mut RawDevice| {
        it.fetch_events().map(|events| events.map(event).collect()).unwrap_or_default()
    };
    readers.iter_mut().flat_map(|reader| -> Vec<_> { read(reader) }).collect()
}

/// Everything that programs can ask of a HID device and that a profile decides: its report descriptor, and of each
/// input device its identity, capabilities, and the ranges of its axes.
pub(crate) fn looks(syspath: &Path) -> Vec<String> {
    let mut looks = vec![format!("{:?}", fs::read(syspath.join("report_descriptor")).unwrap())];
    let inputs = fs::read_dir(syspath.join("input")).unwrap();
    let mut inputs: Vec<_> = inputs.map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    for input in inputs {
        let read = |file: &str| {
            let text = fs::read_to_string(input.join(file)).unwrap();
            format!("{file}: {}", text.trim())
        };
        let capabilities = ["ev", "key", "rel", "abs", "msc", "sw", "led", "snd", "ff"];
        looks.extend(capabilities.map(|name| read(&format!("capabilities/{name}"))));
        looks.extend(
            ["name", "properties", "id/bustype", "id/vendor", "id/product", "id/version"].map(read),
        );
        let event = fs::read_dir(&input).unwrap().map(|entry| entry.unwrap().file_name());
        let event = event.map(|it| it.into_string().unwrap()).find(|it| it.starts_with("event"));
        let reader = RawDevice::open(format!("/dev/input/{}", event.unwrap())).unwrap();
        for (axis, info) in reader.get_absinfo().unwrap() {
            let range =
                (info.minimum(), info.maximum(), info.fuzz(), info.flat(), info.resolution());
            looks.push(format!("{axis:?}: {range:?}"));
        }
    }
    looks
}

/// Sets each control and lets go of it: programs must hear of both.
pub(crate) fn every_control_arrives(device: &Device) {
    let mut readers = readers(device.nodes());
    for control in device.profile().controls() {
        let name = control.name();
        device.write(&device.profile().frame([format!("{name}=1")]).unwrap()).unwrap();
        let events = next_events(&mut readers);
        // Of type key, motion or place; what a scan code is called comes along (EV_MSC).
        assert!(events.iter().any(|event| (1..=3).contains(&event.0)), "{name}: {events:?}");
        let is_motion = matches!(control.kind(), vinput::hid::ControlKind::Relative { .. });
        let is_place =
            matches!(control.kind(), vinput::hid::ControlKind::Absolute(it) if it.position);
        device.neutral().unwrap();
        if !is_motion && !is_place {
            next_events(&mut readers);
        }
    }
}
