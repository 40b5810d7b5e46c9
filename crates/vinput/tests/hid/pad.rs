//! A pad that nobody sells.

use std::io::Write as _;
use std::os::fd::AsFd;
use std::{fs, fs::OpenOptions};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vinput::Reaper;
use vinput::hid::{Device, Output, Profile, ReportKind};
use vinput::uhid::CreateError;

use crate::harness::{
    create, every_control_arrives, has_uhid, hidraw, next_events, readers, skip, try_create,
};
use crate::program::Program;

/// Buttons, a hat switch and two sticks in report 1, triggers in report 2, motors in output report 3, and a feature
/// report 4.
const PAD: &str = r#"
backend = "uhid"
name = "own-pad"
title = "A pad of one's own"
device_name = "Own pad"
bus = "usb"
vendor = 0x1209
product = 0xbeef
version = 0x0100
driver = "hid-generic"
report_descriptor = """
05 01 09 05 a1 01
85 01 05 09 19 01 29 0c 15 00 25 01 75 01 95 0c 81 02
05 01 09 39 15 00 25 07 75 04 95 01 81 42
09 30 09 31 09 33 09 34 15 00 26 ff 00 75 08 95 04 81 02
85 02 09 32 09 35 26 ff 03 75 10 95 02 81 02
85 03 06 00 ff 09 01 26 ff 00 75 08 95 02 91 02
85 04 09 02 95 03 b1 02
c0
"""
"#;

fn pad(test: &str) -> Option<Device> {
    has_uhid().then(|| create(&Profile::parse(PAD).unwrap(), test))
}

fn next_output(pad: &Device) -> Output {
    loop {
        if let Some(output) = pad.take_output() {
            return output;
        }
        let mut fds = [PollFd::new(pad.as_fd(), PollFlags::POLLIN)];
        assert_ne!(poll(&mut fds, PollTimeout::from(60_000_u16)).unwrap(), 0, "no output came");
    }
}

#[test]
fn it_has_event_and_hidraw_nodes_and_every_control_arrives() {
    let Some(pad) = pad("own-controls") else { return };
    let kinds: Vec<_> =
        pad.nodes().iter().map(|it| it.sysname().trim_end_matches(char::is_numeric)).collect();
    assert_eq!(kinds, ["event", "js", "hidraw"]);
    let uevent = fs::read_to_string(pad.syspath().join("uevent")).unwrap();
    for line in
        ["HID_NAME=Own pad", "HID_PHYS=test/own-controls", &format!("HID_UNIQ={}", pad.mac())]
    {
        assert!(uevent.lines().any(|it| it == line), "{line}: {uevent}");
    }
    // Sticks are in the middle before anything was sent.
    let axes: Vec<_> = readers(pad.nodes())[0]
        .get_absinfo()
        .unwrap()
        .map(|(axis, info)| (axis.0, info.value()))
        .collect();
    assert_eq!(axes, [(0, 127), (1, 127), (2, 0), (3, 127), (4, 127), (5, 0), (16, 0), (17, 0)]);
    every_control_arrives(&pad);
}

#[test]
fn evtest_sees_the_pads_controls() {
    let Some(pad) = pad("own-evtest") else { return };
    if std::env::var_os("HOTSEAT_VM").is_none() {
        return skip("evtest is in the test machine");
    }
    let node = format!("/dev/{}", pad.nodes()[0].devname);
    let mut evtest = Program::start(&["stdbuf", "-oL", "evtest", &node]);
    evtest.expect("Input device name: \"Own pad\"");
    evtest.expect("Testing ...");
    let frames = [
        ("button1=1", "(BTN_SOUTH), value 1"),
        ("dpad_y=-1", "(ABS_HAT0Y), value -1"),
        ("lx=-1", "(ABS_X), value 0"),
        ("ry=1", "(ABS_RY), value 255"),
        ("rt=1", "(ABS_RZ), value 1023"),
        ("button1=0", "(BTN_SOUTH), value 0"),
    ];
    for (input, line) in frames {
        pad.write(&pad.profile().frame([input]).unwrap()).unwrap();
        evtest.expect(line);
    }
}

#[test]
fn a_report_that_is_not_new_is_not_written() {
    let Some(pad) = pad("own-again") else { return };
    let mut readers = readers(pad.nodes());
    let raw = OpenOptions::new().read(true).open(hidraw(&pad)).unwrap();
    let frame = |inputs: &[&str]| pad.profile().frame(inputs).unwrap();
    pad.write(&frame(&["button1=1"])).unwrap();
    pad.write(&frame(&["button1=1"])).unwrap();
    pad.write(&frame(&["lt=1"])).unwrap();
    let mut raw = raw;
    let mut next = || {
        let mut report = [0; 64];
        let length = std::io::Read::read(&mut raw, &mut report).unwrap();
        report[..length].to_owned()
    };
    assert_eq!(next(), [1, 1, 0x80, 127, 127, 127, 127]);
    assert_eq!(next(), [2, 0xff, 0x03, 0, 0]);
    assert!(!next_events(&mut readers).is_empty());
}

#[test]
fn what_a_program_writes_to_hidraw_comes_back() {
    let Some(pad) = pad("own-output") else { return };
    let mut raw = OpenOptions::new().write(true).open(hidraw(&pad)).unwrap();
    for report in [[3, 0xaa, 0x55], [3, 0, 0]] {
        raw.write_all(&report).unwrap();
        let output = next_output(&pad);
        assert_eq!((output.kind, &output.data[..]), (ReportKind::Output, &report[..]));
    }
}

/// `HIDIOCGFEATURE`, `HIDIOCSFEATURE` and `HIDIOCGINPUT` (include/uapi/linux/hidraw.h).
const ASK: &str = "
import fcntl, sys
raw = open(sys.argv[1], 'r+b', buffering=0)
def ask(number, *report):
    buffer = bytearray(report)
    try:
        length = fcntl.ioctl(raw, 3 << 30 | len(buffer) << 16 | ord('H') << 8 | number, buffer)
        print(list(buffer[:length]), flush=True)
    except OSError as error:
        print(error.strerror, flush=True)
ask(0x07, 4, 9, 9, 9)
ask(0x06, 4, 1, 2, 3)
ask(0x07, 4, 9, 9, 9)
ask(0x0a, 1, 0, 0, 0, 0, 0, 0)
ask(0x07, 9, 0)
";

#[test]
fn reports_that_are_asked_for_and_set_are_answered() {
    let Some(pad) = pad("own-asked") else { return };
    pad.write(&pad.profile().frame(["button2=1"]).unwrap()).unwrap();
    let node = hidraw(&pad);
    let answers = Program::python(ASK, &[node.to_str().unwrap()]).rest();
    let expected = "[4, 0, 0, 0]\n[4, 1, 2, 3]\n[4, 1, 2, 3]\n[1, 2, 128, 127, 127, 127, 127]\nInput/output error\n";
    assert_eq!(answers, expected);
    let output = next_output(&pad);
    assert_eq!((output.kind, &output.data[..]), (ReportKind::Feature, &[4, 1, 2, 3][..]));
}

#[test]
fn a_second_device_with_the_same_address_is_refused_with_the_first_ones_name() {
    let Some(pad) = pad("own-twice") else { return };
    let error = try_create(pad.profile(), "own-twice").unwrap_err();
    let CreateError::DuplicateMac { mac, other } = error else { panic!("{error:?}") };
    assert_eq!(mac, pad.mac());
    assert_eq!(fs::canonicalize(other).unwrap(), pad.syspath());
}

#[test]
fn a_closed_device_is_gone_and_its_place_is_free() {
    for _ in 0..2 {
        let Some(pad) = pad("own-closed") else { return };
        let syspath = pad.syspath().to_owned();
        Reaper::new().unwrap().close(pad).wait();
        assert!(!syspath.exists());
    }
}
