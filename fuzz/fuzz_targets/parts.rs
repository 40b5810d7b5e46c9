//! A journal that somebody else may have written: `k` and `r` begin the kernel's and the rules' properties,
//! `d` the driver, `t` tags, `l` links, `s` and `u` the numbers of the event.

#![no_main]

use hotseat_fuzz::{check, fields};
use libfuzzer_sys::fuzz_target;
use udev_forge::{Forged, Parts};

fuzz_target!(|input: &[u8]| {
    let mut parts = Parts {
        kernel: Vec::new(),
        driver: None,
        rules: Vec::new(),
        tags: Vec::new(),
        devlinks: Vec::new(),
        seqnum: 1,
        usec_initialized: 1,
    };
    for (letter, text) in fields(input) {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        let pair = (key.to_owned(), value.to_owned());
        match letter {
            b'k' => parts.kernel.push(pair),
            b'r' => parts.rules.push(pair),
            b'd' => parts.driver = Some(text.to_owned()),
            b'l' => parts.devlinks.push(text.to_owned()),
            b't' => parts.tags.push(text.to_owned()),
            b's' => parts.seqnum = text.parse().unwrap_or(0),
            b'u' => parts.usec_initialized = text.parse().unwrap_or(0),
            _ => {}
        }
    }
    if let Ok(forged) = Forged::from_parts(parts) {
        check(&forged);
    }
});
