//! An input datagram that a client sent.

#![no_main]

use std::time::Duration;

use hotseat_wire::input::{Builder, Datagram};
use hotseat_wire::{Action, Kind, MAX_DATAGRAM, MAX_SLOTS, ServerCore, State};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut server = ServerCore::new();
    let mut devices = [State::default(); MAX_SLOTS as usize];
    (0..MAX_SLOTS).for_each(|slot| assert_eq!(server.plug(slot, Kind::EVERY), Some(1)));
    let Ok(datagram) = Datagram::parse(bytes) else {
        assert!(server.handle(Duration::ZERO, bytes).is_err());
        return;
    };
    // What was read is written and read again, the same.
    let frames: Vec<_> = datagram.frames().collect();
    let mut buffer = [0; MAX_DATAGRAM];
    let mut builder = Builder::new(&mut buffer, datagram.tick, datagram.time);
    assert!(frames.iter().all(|frame| builder.push(frame)));
    let written = builder.finish();
    assert!(written.len() <= bytes.len());
    let again = Datagram::parse(written).unwrap();
    assert_eq!((again.tick, again.time), (datagram.tick, datagram.time));
    assert!(again.frames().eq(frames));

    // What is to be done makes what the server takes the devices for, and a second time does nothing.
    let mut follow = |actions: &[Action]| {
        for action in actions {
            if let Action::Change { slot, change } = action {
                devices[usize::from(*slot)].apply(change);
            }
        }
    };
    follow(server.handle(Duration::ZERO, bytes).unwrap());
    assert_eq!(server.handle(Duration::ZERO, bytes), Ok(&[][..]));
    let _ = server.poll_transmit(Duration::from_secs(1), &mut buffer);
    follow(server.handle_timeout(Duration::from_secs(1)));
    for (slot, device) in (0..).zip(&devices) {
        assert_eq!(Some(device), server.state(slot));
        assert!(Kind::ALL.iter().all(|kind| device.is_at_rest(*kind)));
    }
});
