//! What Wolf, or anybody, hands to the command as it would to fake-udev.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hotseat_fuzz::check_message;
use libfuzzer_sys::fuzz_target;
use udev_forge_cli::fake_udev;

fuzz_target!(|input: &[u8]| {
    // The first reading seldom gets through base64, the second always does.
    for base64 in [input, STANDARD.encode(input).as_bytes()] {
        if let Ok(message) = fake_udev::message(base64) {
            check_message(&message);
        }
    }
});
