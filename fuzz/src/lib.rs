//! What the fuzz targets share.

use udev_forge::{Forged, Message, Record, Stamp};

/// The parts of the fuzzer's input: texts behind a letter, divided by a byte that is in no UTF-8 text.
/// What is not UTF-8 is left out.
pub fn fields(input: &[u8]) -> impl Iterator<Item = (u8, &str)> {
    input.split(|byte| *byte == 0xff).filter_map(|field| {
        let (letter, text) = field.split_first()?;
        Some((*letter, str::from_utf8(text).ok()?))
    })
}

/// Checks that every libudev would understand the device's messages and record, and that the journal
/// brings it back.
pub fn check(forged: &Forged) {
    let stamp = Stamp { seqnum: 0, usec_initialized: 2 };
    let on_bus = [forged.bind_message(stamp), forged.unbind_message(stamp)];
    let always = [forged.add_message(), forged.remove_message(stamp)];
    for message in on_bus.into_iter().flatten().chain(always) {
        check_message(&message);
    }
    check_record(forged.record());
    assert_eq!(Forged::from_parts(forged.to_parts()).as_ref(), Ok(forged));
}

/// Checks that a message is read as it was written, if it is not too large to be sent.
pub fn check_message(message: &Message) {
    let datagram = message.encode();
    if datagram.len() < Message::SIZE_LIMIT {
        assert_eq!(Message::parse(&datagram).as_ref(), Ok(message));
    }
}

/// Checks that a record's text is read as it was written: all lines ended, nothing lost, nothing more.
pub fn check_record(record: &Record) {
    let text = record.text();
    assert!(text.is_empty() || text.ends_with("\nV:1\n"), "{text}");
    let again = Record::parse(record.device_id().clone(), &text).unwrap();
    assert_eq!(again.text(), text);
    if !text.is_empty() {
        assert_eq!(again.tags(), record.tags());
        let stored = record
            .properties()
            .iter()
            .filter(|(key, value)| !key.starts_with('.') && !value.is_empty());
        assert!(again.properties().iter().eq(stored));
    }
}
