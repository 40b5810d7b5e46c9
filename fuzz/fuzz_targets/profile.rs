//! A profile that somebody wrote.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vinput::AnyProfile;

fuzz_target!(|text: &str| {
    let names: Vec<String> = match AnyProfile::parse(text) {
        Ok(AnyProfile::Uinput(profile)) => {
            profile.controls().iter().map(|control| control.name().to_owned()).collect()
        }
        Ok(AnyProfile::Uhid(profile)) => {
            profile.controls().iter().map(|control| control.name().to_owned()).collect()
        }
        // Whoever wrote it is told where and why.
        Err(error) => return assert!(error.to_string().starts_with("line "), "{error}"),
    };
    let mut sorted = names.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), names.len(), "{names:?}");
});
