//! A feedback datagram that a server sent.

#![no_main]

use std::time::Duration;

use hotseat_wire::feedback::{Builder, Datagram};
use hotseat_wire::{Change, ClientCore, Kind, MAX_DATAGRAM};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut client = ClientCore::new(Duration::from_millis(4));
    client.plugged(0, 1, Kind::EVERY);
    client.apply(0, &Change::Key { key: 30, down: true });
    let mut buffer = [0; MAX_DATAGRAM];
    assert!(client.poll_transmit(Duration::ZERO, &mut buffer).is_some());
    let before = *client.state(0).unwrap();
    let Ok(datagram) = Datagram::parse(bytes) else {
        assert!(client.handle(Duration::ZERO, bytes).is_err());
        return;
    };
    let frames: Vec<_> = datagram.frames().collect();
    let mut builder = Builder::new(&mut buffer, datagram.receipt);
    assert!(frames.iter().all(|frame| builder.push(frame)));
    let again = Datagram::parse(builder.finish()).unwrap();
    assert_eq!(again.receipt, datagram.receipt);
    assert!(again.frames().eq(frames));

    client.handle(Duration::from_millis(5), bytes).unwrap();
    assert_eq!(client.state(0), Some(&before));
    // Motors stop in the end, whatever the server says.
    let mut now = Duration::from_millis(5);
    for _ in 0..bytes.len() {
        while client.poll_feedback(now).is_some() {}
        now += Duration::from_secs(70);
    }
    assert_eq!(client.poll_feedback(now), None);
    // What is held is still said.
    assert!(client.poll_transmit(now, &mut buffer).is_some());
});
