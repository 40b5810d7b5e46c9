//! The id of a device, which becomes a file's name.

#![no_main]

use libfuzzer_sys::fuzz_target;
use udev_forge::{Action, DeviceId, Record};

fuzz_target!(|text: &str| {
    if let Ok(id) = text.parse::<DeviceId>() {
        assert_eq!(id.as_str(), text);
        assert!(text.len() <= 255 && !text.contains(['/', '\0', '\n']));
        assert_eq!(Record::empty(id).file_name(), text);
    }
    if let Ok(action) = text.parse::<Action>() {
        assert_eq!(action.as_str(), text);
    }
});
