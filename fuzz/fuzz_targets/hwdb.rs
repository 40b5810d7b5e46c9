//! A hardware database, and what is asked of it: the modalias, a NUL, and then the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use udev_forge::Hwdb;

fuzz_target!(|input: &[u8]| {
    let Some(end) = input.iter().position(|byte| *byte == 0) else { return };
    let Ok(modalias) = str::from_utf8(&input[..end]) else { return };
    let mut file = input[end + 1..].to_vec();
    if file.len() >= 24 {
        // The size of the file is part of it, which a fuzzer does not guess.
        let size = file.len() as u64;
        file[16..24].copy_from_slice(&size.to_le_bytes());
    }
    if let Some(hwdb) = Hwdb::parse(file) {
        for (key, value) in hwdb.lookup(modalias).iter() {
            assert!(!key.is_empty() && !key.contains('=') && !value.contains(['\n', '\0']));
        }
    }
});
