//! The loop with a socket pair in place of `/dev/uhid`: it keeps records apart as uhid does.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use super::*;
use crate::uhid::Button;

/// A pad with its loop, and the kernel's end.
struct Fixture {
    core: Arc<Core>,
    kernel: File,
    thread: Option<JoinHandle<()>>,
}

impl Fixture {
    fn new(model: Model) -> Self {
        let (ours, kernel) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .unwrap();
        let core =
            Core::new(File::from(nonblocking(ours)), model, Mac([2, 0, 0, 0, 0, 1])).unwrap();
        let core = Arc::new(core);
        let looping = Arc::clone(&core);
        let thread = Some(thread::spawn(move || looping.run()));
        Self { core, kernel: File::from(kernel), thread }
    }

    /// Sends a record that starts like this.
    fn send(&self, start: &[u8]) {
        (&self.kernel).write_all(start).unwrap();
    }

    fn receive(&self) -> Vec<u8> {
        let mut record = [0; EVENT_SIZE];
        let length = (&self.kernel).read(&mut record).unwrap();
        record[..length].to_owned()
    }

    fn wait_for_news(&self) {
        let mut fds = [PollFd::new(self.core.news.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, PollTimeout::from(60_000_u16)).unwrap(), 1);
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.core.end();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn nonblocking(fd: OwnedFd) -> OwnedFd {
    std::os::unix::net::UnixStream::from(fd.try_clone().unwrap()).set_nonblocking(true).unwrap();
    fd
}

fn get_report(id: u32, number: u8) -> Vec<u8> {
    [&9_u32.to_ne_bytes()[..], &id.to_ne_bytes(), &[number, 0]].concat()
}

fn output(report: &[u8]) -> Vec<u8> {
    let mut record = [&6_u32.to_ne_bytes()[..], report].concat();
    record.resize(4100, 0);
    record.extend(u16::try_from(report.len()).unwrap().to_ne_bytes());
    record.push(1);
    record
}

/// The report in a record of `UHID_INPUT2`.
fn input(record: &[u8]) -> &[u8] {
    assert_eq!(record[..4], 12_u32.to_ne_bytes());
    &record[6..]
}

#[test]
fn a_report_that_is_asked_for_is_answered_with_the_id_of_the_request() {
    let pad = Fixture::new(Model::DualSense);
    pad.send(&get_report(77, 0x09));
    let reply = pad.receive();
    assert_eq!(reply[..8], [10_u32.to_ne_bytes(), 77_u32.to_ne_bytes()].concat());
    assert_eq!(reply[8..12], [[0, 0], 20_u16.to_ne_bytes()].concat());
    assert_eq!(reply[12..19], [0x09, 1, 0, 0, 0, 0, 2]);
}

#[test]
fn a_report_that_is_not_there_is_refused_and_not_left_open() {
    let pad = Fixture::new(Model::DualSense);
    pad.send(&get_report(5, 0x66));
    let reply = pad.receive();
    assert_eq!((&reply[4..8], &reply[8..10]), (&5_u32.to_ne_bytes()[..], &5_u16.to_ne_bytes()[..]));
}

#[test]
fn a_report_that_is_set_is_confirmed() {
    let pad = Fixture::new(Model::DualShock4);
    let request = [&13_u32.to_ne_bytes()[..], &8_u32.to_ne_bytes(), &[0x05, 0, 0, 0]].concat();
    pad.send(&request);
    let expected = [&14_u32.to_ne_bytes()[..], &8_u32.to_ne_bytes(), &[0, 0]].concat();
    assert_eq!(pad.receive(), expected);
}

#[test]
fn nobody_reading_feedback_holds_up_the_answers() {
    let pad = Fixture::new(Model::DualSense);
    let mut rumble = [0; 48];
    rumble[..5].copy_from_slice(&[0x02, 0x03, 0x00, 0x00, 0xff]);
    for _ in 0..500 {
        pad.send(&output(&rumble));
    }
    pad.send(&get_report(1, 0x05));
    assert_eq!(pad.receive()[..4], 10_u32.to_ne_bytes());
    pad.wait_for_news();
    assert_eq!(pad.core.take_feedback(), Some(Feedback::Rumble { low: 1.0, high: 0.0 }));
    assert_eq!(pad.core.take_feedback(), None);
}

#[test]
fn news_are_readable_until_all_is_taken_and_again_with_the_next() {
    let pad = Fixture::new(Model::DualShock4);
    let readable = || {
        let mut fds = [PollFd::new(pad.core.news.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).unwrap() == 1
    };
    assert!(!readable());
    for strength in [1, 2] {
        pad.send(&output(&[0x05, 0x01, 0, 0, 0, strength, 0, 0, 0, 0, 0]));
        pad.wait_for_news();
        assert!(pad.core.take_feedback().is_some());
        assert_eq!(pad.core.take_feedback(), None);
        assert!(!readable());
    }
}

#[test]
fn a_change_is_written_at_once_and_only_once() {
    let pad = Fixture::new(Model::DualSense);
    let state = State { buttons: Button::South.into(), ..State::NEUTRAL };
    pad.core.set(&state).unwrap();
    pad.core.set(&state).unwrap();
    pad.core.neutral().unwrap();
    let (pressed, released) = (pad.receive(), pad.receive());
    assert_eq!((input(&pressed)[0], input(&pressed)[8]), (0x01, 0x28));
    // The sequence says that there was nothing in between.
    assert_eq!((input(&released)[7], input(&released)[8]), (2, 0x08));
}

#[test]
fn a_pad_repeats_itself_while_a_driver_has_it() {
    let pad = Fixture::new(Model::DualSense);
    pad.send(&2_u32.to_ne_bytes());
    let reports: Vec<_> =
        std::iter::repeat_with(|| input(&pad.receive()).to_owned()).take(3).collect();
    assert!(reports.windows(2).all(|pair| pair[1][7] == pair[0][7] + 1));
    pad.send(&3_u32.to_ne_bytes());
    let mut fds = [PollFd::new(pad.core.stopped.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut fds, PollTimeout::from(60_000_u16)).unwrap(), 1);
}

#[test]
fn a_switch_pad_is_silent_until_it_is_asked_and_answers_at_once() {
    let pad = Fixture::new(Model::SwitchPro);
    pad.core.set(&State { left_trigger: 1.0, ..State::NEUTRAL }).unwrap();
    pad.send(&output(&[0x80, 0x02]));
    assert_eq!(input(&pad.receive())[..2], [0x81, 0x02]);
    pad.send(&2_u32.to_ne_bytes());
    pad.send(&output(&[&[0x01, 0x00][..], &[0; 8], &[0x03, 0x30]].concat()));
    let answer = pad.receive();
    assert_eq!((input(&answer)[0], input(&answer)[5], input(&answer)[14]), (0x21, 0x80, 0x03));
    assert_eq!(input(&pad.receive())[0], 0x30);
}

#[test]
fn the_loop_ends_when_the_kernel_does() {
    let mut pad = Fixture::new(Model::DualSense);
    let (other, _) = std::os::unix::net::UnixStream::pair().unwrap();
    drop(std::mem::replace(&mut pad.kernel, File::from(OwnedFd::from(other))));
    pad.thread.take().unwrap().join().unwrap();
    pad.thread = Some(thread::spawn(|| {}));
}

#[test]
fn a_record_of_any_length_and_kind_leaves_the_loop_alive() {
    let pad = Fixture::new(Model::DualSense);
    for kind in 0_u32..20 {
        pad.send(&kind.to_ne_bytes());
        pad.send(&[&kind.to_ne_bytes()[..], &[0xff; 4376]].concat());
    }
    pad.send(&get_report(0xabcd, 0x20));
    let id = 0xabcd_u32.to_ne_bytes();
    while {
        let record = pad.receive();
        record[..4] != 10_u32.to_ne_bytes() || record[4..8] != id
    } {}
}

#[test]
fn a_pad_that_is_taken_over_lets_go_at_once_and_tells_its_owner_how_things_are() {
    let before = Fixture::new(Model::DualShock4);
    let battery = crate::uhid::Battery { percent: 30, charging: true };
    let state = State { buttons: Button::South.into(), battery, ..State::NEUTRAL };
    before.core.set(&state).unwrap();
    before.send(&output(&[0x05, 0x03, 0, 0, 9, 9, 1, 2, 3, 0, 0]));
    before.wait_for_news();
    while before.core.take_feedback().is_some() {}
    let snapshot = before.core.snapshot();

    let after = Fixture::new(Model::DualShock4);
    after.core.resume(&Snapshot::parse(&snapshot.to_bytes()).unwrap()).unwrap();
    let report = after.receive();
    // The hat in the middle and no button; charging, 3 tenths.
    assert_eq!((input(&report)[5], input(&report)[30]), (0x08, 0x13));
    // No driver starts once more, and yet the pad repeats itself.
    assert_eq!(input(&after.receive())[0], 0x01);
    let told: Vec<_> = std::iter::from_fn(|| after.core.take_feedback()).collect();
    let colour = Feedback::Lightbar { red: 1, green: 2, blue: 3 };
    assert_eq!(told, [Feedback::Rumble { low: 0.0, high: 0.0 }, colour]);
}

#[test]
fn a_switch_pad_that_is_taken_over_goes_on_reporting_and_knows_its_lights() {
    let pad = Fixture::new(Model::SwitchPro);
    let feedback = vec![Feedback::PlayerLeds { on: 5, blinking: 2 }];
    pad.core.resume(&Snapshot { feedback, ..Snapshot::default() }).unwrap();
    assert_eq!(input(&pad.receive())[0], 0x30);
    pad.send(&output(&[&[0x01, 0x00][..], &[0; 8], &[0x31]].concat()));
    let reply = std::iter::repeat_with(|| input(&pad.receive()).to_owned());
    let reply = reply.into_iter().find(|report| report[0] == 0x21).unwrap();
    assert_eq!(reply[13..16], [0xb0, 0x31, 0x25]);
}

#[test]
fn what_has_been_asked_before_the_pad_is_taken_over_is_answered_by_its_new_owner() {
    let (ours, kernel) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
    let mut kernel = File::from(kernel);
    kernel.write_all(&get_report(77, 0x09)).unwrap();
    let core = Core::new(File::from(nonblocking(ours)), Model::DualSense, Mac([2; 6])).unwrap();
    core.resume(&Snapshot::default()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| core.run());
        let mut record = [0; EVENT_SIZE];
        while {
            let length = kernel.read(&mut record).unwrap();
            assert!(length > 0);
            record[..8] != *[10_u32.to_ne_bytes(), 77_u32.to_ne_bytes()].concat()
        } {}
        core.end();
    });
}
