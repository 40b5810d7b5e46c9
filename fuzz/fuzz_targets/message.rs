//! Messages from anybody who can send to the group.

#![no_main]

use libfuzzer_sys::fuzz_target;
use udev_forge::Message;

fuzz_target!(|datagram: &[u8]| {
    if let Ok(message) = Message::parse(datagram) {
        assert_eq!(Message::parse(&message.encode()).as_ref(), Ok(&message));
    }
});
