//! A snapshot that another process left.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vinput::{SnapshotError, feedback, hid, uhid};

fuzz_target!(|bytes: &[u8]| {
    let version = matches!(feedback::Snapshot::parse(bytes), Err(SnapshotError::Version { .. }));
    assert_eq!(version, bytes.first().is_some_and(|it| *it != 1));
    // What is read is written the same, and is of one kind only.
    let written = [
        feedback::Snapshot::parse(bytes).map(|it| it.to_bytes()),
        uhid::Snapshot::parse(bytes).map(|it| it.to_bytes()),
        hid::Snapshot::parse(bytes).map(|it| it.to_bytes()),
    ];
    assert!(written.iter().flatten().count() <= 1);
    assert!(written.iter().flatten().all(|it| it == bytes));
});
