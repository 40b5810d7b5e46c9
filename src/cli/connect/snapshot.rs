//! How a device is now, as events would say it: at the start, and after events were lost.

use std::io;
use std::os::fd::AsFd;

use evdev::raw_stream::{EventStream, RawDevice};
use evdev::{AbsoluteAxisCode, EventType, InputEvent};
use futures_util::FutureExt;

use super::abilities::Abilities;
use super::sys;

/// The codes of a finger that the mapping knows, its number first.
const OF_A_FINGER: [AbsoluteAxisCode; 4] = [
    AbsoluteAxisCode::ABS_MT_TRACKING_ID,
    AbsoluteAxisCode::ABS_MT_POSITION_X,
    AbsoluteAxisCode::ABS_MT_POSITION_Y,
    AbsoluteAxisCode::ABS_MT_PRESSURE,
];

/// The state of everything that a device has.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) events: Vec<InputEvent>,
    /// Whether a key or button is held.
    pub(super) is_held: bool,
}

/// More events than the kernel keeps for a program: of eight reports, and 64 at least (drivers/input/evdev.c,
/// `evdev_compute_buffer_size`).
const MOST_WAITING: usize = 4096;

/// Asks a device how it is. What comes from the stream afterwards is newer.
pub(super) fn take(stream: &mut EventStream, abilities: &Abilities) -> io::Result<Snapshot> {
    throw_away(stream)?;
    ask(stream.device(), abilities)
}

/// Throws away the events that have come so far. They are older than the state, and what ends them may be gone: the kernel
/// takes the keys that it says the state of from its queue, so that a key which goes down in what was read before would stay
/// down; and a finger's place would be taken for that of the finger which is the current one now. libevdev does the same
/// (`drain_events` in its libevdev.c).
fn throw_away(stream: &mut EventStream) -> io::Result<()> {
    for _ in 0..MOST_WAITING {
        // What was read. Without tokio's budget, at whose end there would seem to be no more.
        if let Some(event) = tokio::task::unconstrained(stream.next_event()).now_or_never() {
            event?;
            continue;
        }
        // And what tokio has not heard of yet.
        match stream.device_mut().fetch_events() {
            Ok(events) => drop(events),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The kernel takes from its queue what it says so.
fn ask(device: &RawDevice, abilities: &Abilities) -> io::Result<Snapshot> {
    let mut events = Vec::new();
    let held = device.get_key_state()?;
    let is_held = held.iter().next().is_some();
    for key in &abilities.keys {
        let value = i32::from(held.contains(evdev::KeyCode(*key)));
        events.push(InputEvent::new(EventType::KEY.0, *key, value));
    }
    let abs = |code: AbsoluteAxisCode, value| InputEvent::new(EventType::ABSOLUTE.0, code.0, value);
    if !abilities.absolute.is_empty() {
        let values = device.get_abs_state()?;
        let plain = |code: &&u16| **code < AbsoluteAxisCode::ABS_MT_SLOT.0;
        for code in abilities.absolute.keys().filter(plain) {
            events.push(abs(AbsoluteAxisCode(*code), values[usize::from(*code)].value));
        }
        if let Some(slots) = abilities.absolute.get(&AbsoluteAxisCode::ABS_MT_SLOT.0) {
            let count = usize::try_from(slots.most).map_or(0, |most| sys::SLOTS.min(most + 1));
            fingers(device, abilities, count, &mut events)?;
            let slot = values[usize::from(AbsoluteAxisCode::ABS_MT_SLOT.0)].value;
            events.push(abs(AbsoluteAxisCode::ABS_MT_SLOT, slot));
        }
    }
    Ok(Snapshot { events, is_held })
}

fn fingers(
    device: &RawDevice,
    abilities: &Abilities,
    count: usize,
    events: &mut Vec<InputEvent>,
) -> io::Result<()> {
    let abs = |code: AbsoluteAxisCode, value| InputEvent::new(EventType::ABSOLUTE.0, code.0, value);
    let mut columns = Vec::new();
    for code in OF_A_FINGER.into_iter().filter(|code| abilities.has_absolute(*code)) {
        columns.push((code, sys::slots(device.as_fd(), code.0, count)?));
    }
    for (slot, number) in (0..count).zip(0..) {
        events.push(abs(AbsoluteAxisCode::ABS_MT_SLOT, number));
        for (code, values) in &columns {
            events.extend(values.get(slot).map(|value| abs(*code, *value)));
        }
    }
    Ok(())
}
