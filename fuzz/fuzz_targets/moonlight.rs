//! Input packets of a Moonlight client.

#![no_main]

use hotseat_wire::moonlight::{Device, Event, MAX_PADS, Packet, Player};
use hotseat_wire::{Change, Motion, State};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut player = Player::new();
    let Ok(events) = player.handle(bytes) else {
        // Nothing has happened.
        return assert_eq!(player.handle(&[]), Ok(&[][..]));
    };
    // What is the same as before is no event, and what an event says is in range.
    let mut states = vec![(Device::Keyboard, State::default()); 5];
    for (state, device) in
        states.iter_mut().zip([Device::Mouse, Device::Pointer, Device::Touchscreen, Device::Tablet])
    {
        state.0 = device;
    }
    let mut pads = [None::<State>; MAX_PADS as usize];
    for event in events {
        match event {
            Event::Arrived { pad, .. } => {
                assert!(pads[usize::from(*pad)].replace(State::default()).is_none());
            }
            Event::Left { pad } => assert!(pads[usize::from(*pad)].take().is_some()),
            Event::Change { device, change } => {
                let state = match device {
                    Device::Pad(pad) => pads[usize::from(*pad)].as_mut().unwrap(),
                    device => &mut states.iter_mut().find(|(other, _)| other == device).unwrap().1,
                };
                assert!(state.apply(change), "{change:?}");
                if let Change::Motion(Motion { gyro, accel, .. }) = change {
                    let mut numbers = gyro.iter().chain(accel);
                    assert!(numbers.all(|number| number.abs() <= Motion::MOST));
                }
            }
            Event::Text(text) => assert!(text.len() <= 32),
        }
    }
    // It does not matter whether packets come together.
    let mut again = Player::new();
    let mut one_by_one = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let before = rest;
        let _ = Packet::take(&mut rest);
        let packet = &before[..before.len() - rest.len()];
        one_by_one.extend(again.handle(packet).unwrap().iter().cloned());
    }
    assert_eq!(one_by_one, events);
});
