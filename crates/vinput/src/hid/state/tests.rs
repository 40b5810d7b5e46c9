use proptest::prelude::*;

use super::*;
use crate::hid::descriptor::tests::items;
use crate::hid::profile::tests::{PAD, pad};
use crate::hid::{Profile, descriptor_lines};

/// What is written for these inputs: the reports, without what comes before them in a record.
fn write(state: &mut State, profile: &Profile, inputs: &[&str]) -> Vec<Vec<u8>> {
    let mut written = Vec::new();
    let frame = profile.frame(inputs).unwrap();
    let result: Result<(), ()> = state.apply(profile, &frame, |record| {
        assert_eq!(record[..4], 12_u32.to_ne_bytes());
        assert_eq!(usize::from(u16::from_ne_bytes([record[4], record[5]])), record.len() - 6);
        written.push(record[6..].to_owned());
        Ok(())
    });
    result.unwrap();
    written
}

#[test]
fn only_the_reports_in_which_something_is_new_are_written() {
    let pad = pad("").unwrap();
    let mut state = State::new(&pad);
    let reports: Vec<_> = state.records().map(|record| record[6..].to_owned()).collect();
    // The hat is nowhere, and what should be the right stick is in its middle.
    assert_eq!(reports, [vec![1, 0, 8, 0, 0], vec![2, 0xff, 0x01]]);
    let mut write = |inputs: &[&str]| write(&mut state, &pad, inputs);
    assert_eq!(write(&["button1=1", "button8=1"]), [[1, 0x81, 8, 0, 0]]);
    assert_eq!(write(&["button1=1"]), [[0_u8; 0]; 0]);
    assert_eq!(write(&["lx=-1", "ly=1"]), [[1, 0x81, 8, 0x81, 0x7f]]);
    assert_eq!(write(&["dpad_x=1", "dpad_y=-1"]), [[1, 0x81, 1, 0x81, 0x7f]]);
    assert_eq!(write(&["dpad_x=0"]), [[1, 0x81, 0, 0x81, 0x7f]]);
    assert_eq!(write(&["rx=1"]), [[2, 0xff, 0x03]]);
    let both = write(&["button8=0", "rx=-1"]);
    assert_eq!(both, [vec![1, 1, 0, 0x81, 0x7f], vec![2, 0, 0]]);
}

#[test]
fn neutral_lets_go_of_everything() {
    let pad = pad("").unwrap();
    let mut state = State::new(&pad);
    let before: Vec<_> = state.records().map(<[u8]>::to_owned).collect();
    write(&mut state, &pad, &["button1=1", "lx=1", "dpad_y=1", "rx=1"]);
    let result: Result<(), ()> = state.apply(&pad, &pad.neutral(), |_| Ok(()));
    result.unwrap();
    assert_eq!(state.records().collect::<Vec<_>>(), before);
}

fn with_descriptor(descriptor: &[u8]) -> Profile {
    let head = &PAD[..PAD.find("report_descriptor").unwrap()];
    Profile::parse(&format!("{head}{}", descriptor_lines(descriptor))).unwrap()
}

#[test]
fn motion_is_told_once_and_each_time() {
    // X and Y of a mouse, 8 bits each.
    let mouse = with_descriptor(&[
        5, 1, 9, 2, 0xa1, 1, 9, 0x30, 9, 0x31, 0x15, 0x81, 0x25, 0x7f, 0x75, 8, 0x95, 2, 0x81, 6,
        0xc0,
    ]);
    let mut state = State::new(&mouse);
    for _ in 0..2 {
        assert_eq!(write(&mut state, &mouse, &["dx=5", "dy=-3"]), [[5, 0xfd]]);
    }
    assert_eq!(write(&mut state, &mouse, &["dy=1"]), [[0, 1]]);
    assert_eq!(write(&mut state, &mouse, &["dy=0"]), [[0_u8; 0]; 0]);
    let error = mouse.frame(["dx=128"]).unwrap_err().to_string();
    assert_eq!(error, "dx takes whole steps from -127 to 127, not \"128\"");
    let mut nearest = Frame::with_capacity(1);
    nearest.set_nearest(mouse.control("dx").unwrap(), 128.0);
    assert_eq!(nearest, mouse.frame(["dx=127"]).unwrap());
}

#[test]
fn an_array_has_what_is_held_as_far_as_there_is_room() {
    // Two keys of 0 to 101, as keyboards have six.
    let keyboard = with_descriptor(&[
        5, 7, 9, 6, 0xa1, 1, 0x19, 0, 0x29, 0x65, 0x15, 0, 0x25, 0x65, 0x75, 8, 0x95, 2, 0x81, 0,
        0xc0,
    ]);
    let mut state = State::new(&keyboard);
    let mut write = |inputs: &[&str]| write(&mut state, &keyboard, inputs);
    assert_eq!(write(&["b=1"]), [[5, 0]]);
    assert_eq!(write(&["a=1"]), [[4, 5]]);
    assert_eq!(write(&["c=1"]), [[0_u8; 0]; 0]);
    assert_eq!(write(&["a=0"]), [[5, 6]]);
    assert_eq!(write(&["b=0", "c=0"]), [[0, 0]]);
}

#[test]
fn what_has_a_name_and_what_has_none_rest_alike() {
    let all = pad("").unwrap();
    let one = pad("[controls]\nsouth = 0x90001\n").unwrap();
    let bytes = |profile: &Profile| -> Vec<_> {
        State::new(profile).records().map(<[u8]>::to_owned).collect()
    };
    assert_eq!(bytes(&all), bytes(&one));
}

#[test]
fn writing_a_frame_allocates_nothing() {
    let pad = pad("").unwrap();
    let mut state = State::new(&pad);
    let frames = [pad.frame(["button1=1", "lx=1", "dpad_x=1"]).unwrap(), pad.neutral()];
    let allocated = crate::allocations::allocations(|| {
        for frame in &frames {
            let result: Result<(), ()> = state.apply(&pad, frame, |_| Ok(()));
            result.unwrap();
        }
    });
    assert_eq!(allocated, 0);
}

proptest! {
    #[test]
    fn every_control_of_any_descriptor_can_be_set_and_let_go(bytes in items()) {
        let head = &PAD[..PAD.find("report_descriptor").unwrap()];
        let Ok(profile) = Profile::parse(&format!("{head}{}", descriptor_lines(&bytes))) else { return Ok(()) };
        let mut state = State::new(&profile);
        for control in profile.controls() {
            let frame = profile.frame([format!("{}=1", control.name())]).unwrap();
            let mut count = 0;
            let mut apply = |frame: &Frame| {
                let result: Result<(), ()> = state.apply(&profile, frame, |_| { count += 1; Ok(()) });
                result.unwrap();
            };
            apply(&frame);
            apply(&profile.neutral());
            let is_once = matches!(control.kind(), ControlKind::Relative { .. });
            let is_place = matches!(control.kind(), ControlKind::Absolute(axis) if axis.position);
            // A stick whose rest is an end may have nowhere to go.
            prop_assert!(count >= if is_once || is_place { 1 } else { 2 }, "{:?}: {}", control, count);
        }
    }
}
