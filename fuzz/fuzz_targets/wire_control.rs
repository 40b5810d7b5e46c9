//! What comes on the control stream.

#![no_main]

use hotseat_wire::control::{MAX_MESSAGE, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut received = bytes;
    let mut messages = Vec::new();
    let ended = loop {
        match Message::take(&mut received) {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    // No more than the beginning of one message waits.
    assert!(!ended || received.len() < 4 + MAX_MESSAGE);
    // What was read is written and read again, the same.
    let mut written = Vec::new();
    messages.iter().for_each(|message| message.write(&mut written));
    let mut again = &written[..];
    for message in &messages {
        assert_eq!(Message::take(&mut again).as_ref(), Ok(&Some(message.clone())));
    }
    assert!(again.is_empty());
    // It does not matter in which pieces it comes.
    let mut held = Vec::new();
    let mut count = 0;
    for byte in bytes {
        held.push(*byte);
        let mut rest = &held[..];
        match Message::take(&mut rest) {
            Ok(Some(message)) => {
                assert_eq!(message, messages[count]);
                count += 1;
            }
            Ok(None) => {}
            Err(_) => break,
        }
        held = rest.to_vec();
    }
    assert_eq!(count, messages.len());
});
