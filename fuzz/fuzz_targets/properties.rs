//! Properties set one after the other, and read from the body of a message.

#![no_main]

use hotseat_fuzz::{check_message, fields};
use libfuzzer_sys::fuzz_target;
use udev_forge::{Message, Properties};

fuzz_target!(|input: &[u8]| {
    let mut properties = Properties::new();
    for (letter, text) in fields(input) {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if letter == b'-' {
            properties.remove(key);
            assert_eq!(properties.get(key), None);
        } else if properties.set(key, value).is_ok() {
            assert_eq!(properties.get(key), Some(value));
        }
    }
    check(properties);
    if let Ok(properties) = Properties::from_wire(input) {
        check(properties);
    }
});

fn check(properties: Properties) {
    let mut wire = Vec::new();
    for (key, value) in properties.iter() {
        wire.extend_from_slice(format!("{key}={value}\0").as_bytes());
    }
    if !wire.is_empty() {
        assert_eq!(Properties::from_wire(&wire).as_ref(), Ok(&properties));
    }
    if let Ok(message) = Message::new(properties) {
        check_message(&message);
    }
}
