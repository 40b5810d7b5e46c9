//! Whatever the network does, what a player did has happened in the end: once, and nothing more.

use std::time::Duration;

use hotseat_wire::{Axes, Battery, Change, Contact, Kind, Motion, Pen, Place, State};
use proptest::prelude::*;

use crate::world::{Device, Network, World};

const SLOTS: [u8; 2] = [0, 63];

fn networks() -> impl Strategy<Value = Network> {
    let spike = (1000..2000_u32, 1..300_u32, 1..1500_u32);
    let spikes = prop::collection::vec(spike, 0..3);
    let skew = prop_oneof![Just(0), any::<u32>().prop_map(u64::from)];
    (0..=30_u32, 0..=20_u32, 0..120_u32, 0..60_u32, spikes, skew, any::<u64>()).prop_map(
        |(loss, doubled, delay, jitter, spikes, skew, seed)| {
            let spikes = spikes.into_iter().map(|(at, long, more)| (at, at + long, more)).collect();
            Network { loss, doubled, delay, jitter, spikes, skew, seed }
        },
    )
}

fn changes() -> impl Strategy<Value = Change> {
    let place = || (any::<u16>(), any::<u16>()).prop_map(|(x, y)| Place { x, y });
    let stick = || any::<[i16; 2]>();
    prop_oneof![
        6 => (0..6_u8, any::<bool>()).prop_map(|(button, down)| Change::Button { button, down }),
        4 => (1..=255_u8, any::<bool>()).prop_map(|(key, down)| Change::Key { key, down }),
        2 => (30..33_u8, any::<bool>()).prop_map(|(key, down)| Change::Key { key, down }),
        2 => (0..5_u8, any::<bool>())
            .prop_map(|(button, down)| Change::MouseButton { button, down }),
        3 => (any::<i32>(), -9..9).prop_map(|(dx, dy)| Change::Move { dx, dy }),
        1 => (-240..240, any::<i32>())
            .prop_map(|(vertical, horizontal)| Change::Wheel { vertical, horizontal }),
        2 => (stick(), stick(), any::<u16>()).prop_map(|(left_stick, right_stick, left_trigger)| {
            Change::Axes(Axes { left_stick, right_stick, left_trigger, right_trigger: 0 })
        }),
        1 => place().prop_map(Change::Place),
        3 => (0..3_u16, place(), any::<u16>())
            .prop_map(|(id, place, pressure)| Change::Touch(Contact { id, place, pressure })),
        3 => (0..3_u16).prop_map(|id| Change::Lift { id }),
        2 => (0..5_u8, any::<bool>()).prop_map(|(button, down)| Change::PenButton { button, down }),
        1 => (0..5_u8, place(), any::<u16>(), -90..90_i8).prop_map(|(tool, place, pressure, tilt)| {
            Change::Pen(Pen { tool, place, pressure, distance: 0, tilt: [tilt, -tilt] })
        }),
        1 => any::<[f32; 3]>()
            .prop_map(|gyro| Change::Motion(Motion { time: 1, gyro, accel: [0.0, 9.8, 0.0] })),
        1 => any::<bool>().prop_map(|charging| Change::Battery(Battery { percent: 7, charging })),
        2 => (0..14_u8, any::<bool>())
            .prop_map(|(button, down)| Change::JoystickButton { button, down }),
        1 => any::<[i16; 8]>().prop_map(Change::JoystickAxes),
    ]
}

/// Milliseconds to wait, slot, change.
type Script = Vec<(u32, u8, Change)>;

fn scripts() -> impl Strategy<Value = Script> {
    let wait = prop_oneof![3 => Just(0), 5 => 1..20_u32, 1 => 20..200_u32];
    let slot = prop::sample::select(&SLOTS[..]);
    prop::collection::vec((wait, slot, changes()), 1..60)
}

/// Plays a script. Returns what each device should have been told.
fn play(world: &mut World, script: &Script) -> Vec<Device> {
    let mut expected: Vec<Device> = SLOTS.iter().map(|_| Device::default()).collect();
    for (wait, slot, change) in script {
        world.run(Duration::from_millis((*wait).into()));
        world.apply(*slot, change);
        let device = &mut expected[usize::from(*slot != SLOTS[0])];
        // What is out of range is brought into it.
        let change = match *change {
            Change::Motion(motion) => Change::Motion(motion.clamped()),
            change => change,
        };
        device.change(&change);
    }
    expected
}

/// Fingers have other numbers there.
fn without_ids(state: &State) -> State {
    let mut contacts: Vec<Contact> = state.contacts.to_vec();
    contacts.sort_by_key(|contact| (contact.place.x, contact.place.y, contact.pressure));
    let contacts = contacts.into_iter().map(|contact| Contact { id: 0, ..contact }).collect();
    State { contacts, ..*state }
}

fn cases(number: u32) -> ProptestConfig {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    // PROPTEST_CASES asks for others.
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    if asked { config } else { ProptestConfig { cases: number, ..config } }
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn in_the_end_the_device_is_as_the_player_left_it(network in networks(), script in scripts()) {
        let mut world = World::new(network, &SLOTS);
        play(&mut world, &script);
        world.settle();
        for slot in SLOTS {
            let device = &world.devices[&slot].state;
            let client = world.client.state(slot).unwrap();
            prop_assert_eq!(without_ids(device), without_ids(client));
            prop_assert_eq!(Some(device), world.server.state(slot));
        }
    }
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn every_tap_happens_once_and_every_count_arrives(network in networks(), script in scripts()) {
        // Where the server lets go of what is held, it is pressed again: no tap of the player's.
        let mut world = World::new(network, &SLOTS);
        world.server.set_rtt(Duration::from_secs(3600));
        let expected = play(&mut world, &script);
        world.settle();
        for (slot, expected) in SLOTS.into_iter().zip(expected) {
            let device = &world.devices[&slot];
            prop_assert_eq!(&device.presses, &expected.presses);
            prop_assert_eq!(device.fingers, expected.fingers);
            // Sums wrap.
            for (sum, expected) in device.sums.into_iter().zip(expected.sums) {
                prop_assert_eq!((sum - expected).rem_euclid(1 << 32), 0);
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn no_tap_is_lost_or_doubled_by_letting_go(network in networks(), script in scripts()) {
        // Only taps: nothing is held when the server lets go, but all else may happen.
        let mut world = World::new(network, &SLOTS);
        let mut taps = 0;
        for (wait, slot, change) in &script {
            world.run(Duration::from_millis((*wait).into()));
            if let Change::Button { button, .. } = *change {
                world.apply(*slot, &Change::Button { button: 20 + button, down: true });
                world.apply(*slot, &Change::Button { button: 20 + button, down: false });
                taps += 1;
            } else {
                world.apply(*slot, change);
            }
        }
        world.settle();
        let is_tap = |(kind, number): &(Kind, u8)| *kind == Kind::Gamepad && *number >= 20;
        let presses = world.devices.values().flat_map(|device| &device.presses);
        let made: u32 = presses.filter(|(what, _)| is_tap(what)).map(|(_, count)| count).sum();
        prop_assert_eq!(made, taps);
    }
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn nothing_is_held_when_the_client_is_gone(
        network in networks(),
        script in scripts(),
        dies in any::<bool>(),
    ) {
        let mut world = World::new(network, &SLOTS);
        play(&mut world, &script);
        if dies {
            // Nobody says that it is gone, and what is under way still arrives.
            world.is_cut = true;
            world.run(Duration::from_secs(5));
        } else {
            world.disconnect();
        }
        for device in world.devices.values() {
            prop_assert!(Kind::ALL.iter().all(|kind| device.state.is_at_rest(*kind)));
        }
        // It comes back, and all is as it should be.
        world.is_cut = false;
        world.disconnect();
        world.reconnect();
        world.settle();
        for slot in SLOTS {
            let client = world.client.state(slot).unwrap();
            prop_assert_eq!(without_ids(&world.devices[&slot].state), without_ids(client));
        }
    }
}
