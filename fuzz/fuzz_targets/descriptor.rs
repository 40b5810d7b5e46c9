//! A HID report descriptor, and the profile of a device that has it.

#![no_main]

use std::fmt::Write as _;

use libfuzzer_sys::fuzz_target;
use vinput::InputError;
use vinput::hid::{Descriptor, Profile};

fuzz_target!(|bytes: &[u8]| {
    let Ok(descriptor) = Descriptor::parse(bytes) else { return };
    assert_eq!(descriptor.as_bytes(), bytes);
    for report in descriptor.reports() {
        assert!(report.size() <= 4096);
    }
    let mut text = "backend = \"uhid\"\nname = \"a\"\ntitle = \"a\"\ndevice_name = \"a\"\nbus = \"usb\"\nvendor = 1\n\
        product = 1\nversion = 1\nreport_descriptor = \""
        .to_owned();
    bytes.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
    text.push_str("\"\n");
    // What it means has names, and every one can be set.
    let profile = Profile::parse(&text).unwrap();
    assert_eq!(profile.descriptor(), &descriptor);
    for control in profile.controls() {
        match profile.frame([format!("{}=1", control.name())]) {
            Ok(frame) => assert!(!frame.is_empty()),
            // It takes other values: a relative one of -127 to 0, for example.
            Err(error) => assert!(matches!(error, InputError::Value { .. }), "{error}"),
        }
    }
});
