//! A database record: the first line is its id, the rest its text.

#![no_main]

use hotseat_fuzz::check_record;
use libfuzzer_sys::fuzz_target;
use udev_forge::Record;

fuzz_target!(|input: &str| {
    let Some((id, text)) = input.split_once('\n') else { return };
    let Ok(id) = id.parse() else { return };
    if let Ok(record) = Record::parse(id, text) {
        check_record(&record);
    }
});
