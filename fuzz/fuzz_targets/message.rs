//! A datagram from anybody who may send to the group of udev's messages.

#![no_main]

use hotseat_fuzz::check_message;
use libfuzzer_sys::fuzz_target;
use udev_forge::Message;

fuzz_target!(|datagram: &[u8]| {
    if let Ok(message) = Message::parse(datagram) {
        check_message(&message);
        assert!(message.seqnum() > 0 && !message.subsystem().is_empty());
        assert!(message.devpath().starts_with('/'));
    }
});
