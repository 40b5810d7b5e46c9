//! The test vectors of docs/protocol.md, in both directions, and the page's own examples and tables.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod json;
mod page;

use hotseat_wire::control::Message;
use hotseat_wire::{DecodeError, MAX_DATAGRAM, feedback, input};
use serde_json::Value;

/// The vectors of a file: their names, their bytes, and all that is said about them.
fn vectors(file: &str) -> Vec<(String, Vec<u8>, Value)> {
    let path = format!("{}/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let all: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let read = |vector: Value| {
        let text = |key: &str| vector[key].as_str().unwrap().to_owned();
        (text("name"), bytes(&text("hex")), vector)
    };
    let vectors: Vec<_> = all.into_iter().map(read).collect();
    assert!(!vectors.is_empty());
    vectors
}

/// The bytes that hexadecimal digits say, with blanks between fields.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| *byte != b' ').collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn input_datagrams_are_read_and_written_as_the_vectors_have_them() {
    for (name, bytes, vector) in vectors("input") {
        let frames: Vec<input::Frame> =
            vector["frames"].as_array().unwrap().iter().map(json::input_frame).collect();
        let datagram = input::Datagram::parse(&bytes).unwrap();
        let (tick, time) = (json::number(&vector["tick"]), json::number(&vector["time"]));
        assert_eq!((datagram.tick, datagram.time), (tick, time), "{name}");
        assert_eq!(datagram.frames().collect::<Vec<_>>(), frames, "{name}");
        if vector["decode_only"] == true {
            continue;
        }
        let mut buffer = [0; MAX_DATAGRAM];
        let mut builder = input::Builder::new(&mut buffer, tick, time);
        assert!(frames.iter().all(|frame| builder.push(frame)));
        assert_eq!(builder.finish(), bytes, "{name}");
    }
}

#[test]
fn feedback_datagrams_are_read_and_written_as_the_vectors_have_them() {
    for (name, bytes, vector) in vectors("feedback") {
        let frames: Vec<feedback::Frame> =
            vector["frames"].as_array().unwrap().iter().map(json::feedback_frame).collect();
        let datagram = feedback::Datagram::parse(&bytes).unwrap();
        let receipt = feedback::Receipt {
            count: json::number(&vector["count"]),
            tick: json::number(&vector["tick"]),
            time: json::number(&vector["time"]),
            delay: json::number(&vector["delay"]),
        };
        assert_eq!(datagram.receipt, receipt, "{name}");
        assert_eq!(datagram.frames().collect::<Vec<_>>(), frames, "{name}");
        let mut buffer = [0; MAX_DATAGRAM];
        let mut builder = feedback::Builder::new(&mut buffer, receipt);
        assert!(frames.iter().all(|frame| builder.push(frame)));
        assert_eq!(builder.finish(), bytes, "{name}");
    }
}

#[test]
fn messages_are_read_and_written_as_the_vectors_have_them() {
    let mut stream = Vec::new();
    let mut messages = Vec::new();
    for (name, bytes, vector) in vectors("control") {
        let message = json::message(&vector["message"]);
        assert_eq!(Message::take(&mut &bytes[..]).as_ref(), Ok(&Some(message.clone())), "{name}");
        let mut written = Vec::new();
        message.write(&mut written);
        assert_eq!(written, bytes, "{name}");
        stream.extend(bytes);
        messages.push(message);
    }
    let mut received = &stream[..];
    let all = std::iter::from_fn(|| Message::take(&mut received).unwrap());
    assert_eq!(all.collect::<Vec<_>>(), messages);
}

#[test]
fn what_is_wrong_is_refused_as_the_vectors_say() {
    for (name, bytes, vector) in vectors("refused") {
        let refused: DecodeError = match vector["way"].as_str().unwrap() {
            "input" => input::Datagram::parse(&bytes).map(drop).unwrap_err(),
            "feedback" => feedback::Datagram::parse(&bytes).map(drop).unwrap_err(),
            "control" => Message::take(&mut &bytes[..]).map(drop).unwrap_err(),
            way => panic!("{way}"),
        };
        assert_eq!(refused.to_string(), vector["error"].as_str().unwrap(), "{name}");
    }
}

#[test]
fn every_prefix_of_a_datagram_is_refused_or_has_fewer_frames() {
    for (name, bytes, _) in vectors("input") {
        let all = input::Datagram::parse(&bytes).unwrap().frames().count();
        for len in 0..bytes.len() {
            if let Ok(datagram) = input::Datagram::parse(&bytes[..len]) {
                assert!(
                    datagram.frames().count() < all || name.contains("skipped"),
                    "{name} {len}"
                );
            }
        }
    }
}
