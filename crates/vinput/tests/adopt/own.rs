//! HID devices of the user's own.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use vinput::hid::{Device, Profile, ReportKind, Snapshot};
use vinput::uhid::Mac;

use crate::harness::{ABS, KEY, reader, wait_for};
use crate::maker::Maker;

/// Buttons, two axes and a slider that stays where it is in report 1, motors in output report 3.
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
85 01 05 09 19 01 29 08 15 00 25 01 75 01 95 08 81 02
05 01 09 30 09 31 09 36 15 00 26 ff 00 75 08 95 03 81 02
85 03 06 00 ff 09 01 26 ff 00 75 08 95 02 91 02
c0
"""
[controls]
fire = 0x90001
lx = 0x10030
ly = 0x10031
slider = { usage = 0x10036, position = true }
"#;

pub(crate) fn profile() -> Arc<Profile> {
    Arc::new(Profile::parse(PAD).unwrap())
}

#[test]
fn a_device_goes_on_lets_go_of_everything_and_keeps_its_positions() {
    let Some(mut maker) = Maker::start("own", "adopt-own") else { return };
    let mut program = reader(&maker.nodes[0]);
    let hidraw = Path::new("/dev").join(&maker.nodes.last().unwrap().devname);
    let mut raw = OpenOptions::new().read(true).write(true).open(hidraw).unwrap();
    let held = [(KEY, 0x130, 1), (ABS, 0, 255), (ABS, 6, 255)];
    maker.set(&["fire=1", "lx=1", "slider=1"]);
    wait_for(&mut program, &held);
    let before = maker.set(&[]);
    raw.write_all(&[3, 1, 2]).unwrap();
    let told = std::iter::repeat_with(|| maker.set(&[])).find(|snapshot| *snapshot != before);
    let snapshot = Snapshot::parse(&told.unwrap()).unwrap();

    let (descriptor, left) = maker.kill();
    let (profile, mac) = (profile(), Mac::derived_from("adopt-own"));
    let pad = Device::adopt(descriptor, &profile, mac, &snapshot).unwrap();
    left.is_same(pad.nodes());
    wait_for(&mut program, &[(KEY, 0x130, 0), (ABS, 0, 127), (ABS, 6, 255)]);
    pad.write(&profile.frame(["fire=1", "ly=-1"]).unwrap()).unwrap();
    wait_for(&mut program, &[(KEY, 0x130, 1), (ABS, 1, 0), (ABS, 6, 255)]);
    let told = pad.take_output().unwrap();
    assert_eq!((told.kind, told.data), (ReportKind::Output, vec![3, 1, 2]));
}
