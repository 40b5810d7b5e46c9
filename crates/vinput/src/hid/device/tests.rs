//! The loop with a socket pair in place of `/dev/uhid`: it keeps records apart as uhid does.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use super::*;
use crate::hid::Snapshot;
use crate::hid::profile::tests::pad;

/// A device's loop, and the kernel's end.
struct Fixture {
    core: Arc<Core>,
    kernel: File,
    thread: Option<JoinHandle<()>>,
}

impl Fixture {
    fn new() -> Self {
        let (ours, kernel) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .unwrap();
        let profile = Arc::new(pad("").unwrap());
        let core = Arc::new(Core::new(File::from(nonblocking(ours)), profile).unwrap());
        let looping = Arc::clone(&core);
        let thread = Some(thread::spawn(move || looping.run()));
        Self { core, kernel: File::from(kernel), thread }
    }

    /// Sends a record, and gives what is answered.
    fn ask(&self, record: &[u8]) -> Vec<u8> {
        (&self.kernel).write_all(record).unwrap();
        let mut answer = [0; EVENT_SIZE];
        let length = (&self.kernel).read(&mut answer).unwrap();
        answer[..length].to_owned()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.core.end.write(1);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn nonblocking(fd: OwnedFd) -> OwnedFd {
    std::os::unix::net::UnixStream::from(fd.try_clone().unwrap()).set_nonblocking(true).unwrap();
    fd
}

const FEATURE: u8 = 0;
const INPUT: u8 = 2;

fn get_report(number: u8, kind: u8) -> Vec<u8> {
    [&9_u32.to_ne_bytes()[..], &7_u32.to_ne_bytes(), &[number, kind]].concat()
}

fn set_report(number: u8, kind: u8, data: &[u8]) -> Vec<u8> {
    let size = u16::try_from(data.len()).unwrap().to_ne_bytes();
    [&13_u32.to_ne_bytes()[..], &8_u32.to_ne_bytes(), &[number, kind], &size, data].concat()
}

/// Error and report of an answer to `UHID_GET_REPORT`.
fn reply(record: &[u8]) -> (u16, &[u8]) {
    assert_eq!(
        (&record[..4], &record[4..8]),
        (&10_u32.to_ne_bytes()[..], &7_u32.to_ne_bytes()[..])
    );
    (u16::from_ne_bytes([record[8], record[9]]), &record[12..])
}

#[test]
fn a_report_that_is_asked_for_is_what_the_device_reported_or_was_told_last() {
    let device = Fixture::new();
    let frame = device.core.profile.frame(["button1=1"]).unwrap();
    device.core.lock().apply(&device.core.profile, &frame, |_| Ok::<(), ()>(())).unwrap();
    assert_eq!(reply(&device.ask(&get_report(1, INPUT))), (0, &[1, 1, 8, 0, 0][..]));
    assert_eq!(reply(&device.ask(&get_report(5, FEATURE))), (0, &[5, 0, 0][..]));
    let set = device.ask(&set_report(5, FEATURE, &[5, 0xaa, 0xbb]));
    assert_eq!(set[..10], [&14_u32.to_ne_bytes()[..], &8_u32.to_ne_bytes(), &[0, 0]].concat());
    assert_eq!(reply(&device.ask(&get_report(5, FEATURE))), (0, &[5, 0xaa, 0xbb][..]));
    let output = device.core.queue.take().unwrap();
    assert_eq!((output.kind, output.data), (ReportKind::Feature, vec![5, 0xaa, 0xbb]));
}

#[test]
fn a_report_that_there_is_not_is_refused_at_once() {
    let device = Fixture::new();
    for (number, kind) in [(9, FEATURE), (1, FEATURE), (5, INPUT), (1, 77)] {
        let (error, data) = (5, &[][..]);
        assert_eq!(reply(&device.ask(&get_report(number, kind))), (error, data), "{number} {kind}");
        let set = device.ask(&set_report(number, kind, &[number]));
        assert_eq!(set[8..10], 5_u16.to_ne_bytes(), "{number} {kind}");
    }
    assert_eq!(device.core.queue.take(), None);
}

#[test]
fn a_device_that_is_taken_over_reports_all_and_answers_what_it_was_told_before() {
    let before = Fixture::new();
    before.ask(&set_report(5, FEATURE, &[5, 0xaa, 0xbb]));
    let frame = before.core.profile.frame(["button1=1"]).unwrap();
    before.core.lock().apply(&before.core.profile, &frame, |_| Ok::<(), ()>(())).unwrap();
    // Answered when the report before has been kept.
    before.ask(&get_report(5, FEATURE));
    let snapshot = before.core.snapshot();

    let after = Fixture::new();
    after.core.resume(&Snapshot::parse(&snapshot.to_bytes()).unwrap()).unwrap();
    let mut record = [0; EVENT_SIZE];
    let length = (&after.kernel).read(&mut record).unwrap();
    // `UHID_INPUT2`: nothing is held. Then there is the other report.
    assert_eq!(
        (&record[..4], &record[6..length]),
        (&12_u32.to_ne_bytes()[..], &[1, 0, 8, 0, 0][..])
    );
    assert!((&after.kernel).read(&mut [0; EVENT_SIZE]).unwrap() > 0);
    assert_eq!(reply(&after.ask(&get_report(5, FEATURE))), (0, &[5, 0xaa, 0xbb][..]));
    let output = after.core.queue.take().unwrap();
    assert_eq!((output.kind, output.data), (ReportKind::Feature, vec![5, 0xaa, 0xbb]));
}
