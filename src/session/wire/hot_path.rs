//! From a client's datagram to what is written to the device: nothing is allocated on the way.

use std::convert::Infallible;
use std::time::Duration;

use hotseat_wire::{
    Action, Axes, Change, ClientCore, Contact, MAX_DATAGRAM, Motion, Place, ServerCore,
};
use metrics_exporter_prometheus::PrometheusBuilder;
use vinput::Profile;
use vinput::uhid::State;

use super::{Named, Pad};
use crate::metrics;

/// How many times this thread allocated during `work`.
fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

/// A player who uses everything.
fn play(client: &mut ClientCore, round: u16) {
    let down = round.is_multiple_of(2);
    let button = u8::try_from(round % 8).unwrap();
    let place = Place { x: round * 60, y: 1 };
    for slot in 0..4 {
        let axes = Axes { left_stick: [i16::try_from(round).unwrap(); 2], ..Axes::default() };
        for change in [
            Change::Axes(axes),
            Change::Button { button, down },
            Change::Key { key: 30 + button, down },
            Change::MouseButton { button, down },
            Change::Move { dx: 1, dy: -1 },
            Change::Touch(Contact { id: round / 2, place, pressure: 1 }),
            Change::Motion(Motion { time: 0, gyro: [f32::from(round); 3], accel: [0.0; 3] }),
        ] {
            client.apply(slot, &change);
        }
        if !down {
            client.apply(slot, &Change::Lift { id: round / 2 });
        }
    }
}

#[test]
fn nothing_is_allocated_from_a_datagram_to_what_is_written() {
    let (mut client, mut server) = (ClientCore::new(Duration::ZERO), ServerCore::new());
    let profiles =
        ["gamepad", "keyboard", "mouse", "touchscreen"].map(|it| Profile::builtin(it).unwrap());
    let mut devices = profiles.map(Named::of_uinput);
    let (mut pad, mut state) = (Pad::default(), State::NEUTRAL);
    for (slot, device) in (0..).zip(&devices) {
        let kinds = device.kinds();
        client.plugged(slot, server.plug(slot, kinds).unwrap(), kinds);
    }
    let kinds = Pad::kinds(vinput::uhid::Model::DualSense);
    client.plugged(4, server.plug(4, kinds).unwrap(), kinds);

    let mut changes = Vec::with_capacity(64);
    let mut written = 0;
    let mut perform = |actions: &[Action]| {
        for action in actions {
            match *action {
                Action::Change { change, .. } => changes.push(change),
                Action::Sync { slot } => {
                    match usize::from(slot) {
                        4 => changes.iter().for_each(|change| pad.apply(&mut state, change)),
                        at => {
                            let write = |frame: &vinput::Frame| {
                                written += usize::from(!frame.is_empty());
                                Ok::<_, Infallible>(())
                            };
                            devices[at].change(profiles[at], &changes, write).unwrap();
                        }
                    }
                    changes.clear();
                }
            }
        }
    };
    let mut buffer = [0; MAX_DATAGRAM];
    let mut count = 0;
    for round in 0..1000 {
        let now = Duration::from_millis(u64::from(round) * 4);
        play(&mut client, round);
        while let Some(datagram) = client.poll_transmit(now, &mut buffer) {
            count += allocations(|| perform(server.handle(now, datagram).unwrap()));
        }
    }
    count += allocations(|| perform(server.handle_timeout(Duration::from_secs(3600))));
    assert!(written > 3000, "{written}");
    assert_eq!(count, 0);
}

#[test]
fn nothing_is_allocated_to_count_a_frame() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let frames = ::metrics::with_local_recorder(&recorder, metrics::frames);
    assert_eq!(allocations(|| frames.increment(1)), 0);
    assert!(recorder.handle().render().contains("hotseat_frames_total 1"));
}
