//! One thing at a time.

use std::time::Duration;

use hotseat_wire::{
    Action, Axes, Change, Contact, Feedback, HEARTBEAT, Kind, MAX_DATAGRAM, Place, Set, button,
    joystick,
};

use crate::world::{Device, Network, World};

const MS: Duration = Duration::from_millis(1);

fn south(down: bool) -> Change {
    Change::Button { button: button::number("south").unwrap(), down }
}

fn push_stick(x: i16) -> Change {
    Change::Axes(Axes { left_stick: [x, 0], ..Axes::default() })
}

fn touch(id: u16, x: u16) -> Change {
    Change::Touch(Contact { id, place: Place { x, y: 0 }, pressure: 0 })
}

/// How many datagrams the client sends in a time in which none arrives.
fn sent_in(world: &mut World, time: Duration) -> usize {
    let (mut buffer, mut now) = ([0; MAX_DATAGRAM], world.client_now());
    let end = now + time;
    let mut count = 0;
    while let Some(next) = world.client.next_timeout().filter(|next| *next <= end) {
        now = now.max(next);
        count += usize::from(world.client.poll_transmit(now, &mut buffer).is_some());
    }
    count
}

#[test]
fn a_press_arrives_in_a_report_with_the_sticks_of_that_moment() {
    let mut world = World::new(Network::perfect(), &[0]);
    world.apply(0, &push_stick(5));
    world.apply(0, &south(true));
    world.run(10 * MS);
    // The stick was sent at once, and the button in the next datagram; what came in between shares it.
    assert_eq!(world.devices[&0].reports, [vec![push_stick(5)], vec![south(true)]]);
    world.client.apply(0, &push_stick(6));
    world.client.apply(0, &south(false));
    world.run(10 * MS);
    assert_eq!(world.devices[&0].reports[2], [push_stick(6), south(false)]);
}

#[test]
fn a_tap_between_two_datagrams_is_two_reports() {
    let mut world = World::new(Network::perfect(), &[0]);
    world.client.apply(0, &south(true));
    world.client.apply(0, &south(false));
    world.run(10 * MS);
    assert_eq!(world.devices[&0].reports, [vec![south(true)], vec![south(false)]]);
}

#[test]
fn a_wheel_is_let_go_of_and_a_lever_stays_where_it_is() {
    let mut world = World::new(Network::perfect(), &[0]);
    let gear = joystick::number("gear2").unwrap();
    let put = |clutch, throttle| {
        let mut axes = [0; 8];
        (axes[0], axes[joystick::THROTTLE]) = (clutch, throttle);
        Change::JoystickAxes(axes)
    };
    world.apply(0, &put(32767, 9000));
    world.apply(0, &Change::JoystickButton { button: gear, down: true });
    world.run(10 * MS);
    assert_eq!(world.devices[&0].state.joystick_axes[0], 32767);
    assert!(world.devices[&0].state.joystick_buttons.contains(gear));
    world.disconnect();
    let let_go = vec![put(0, 9000), Change::JoystickButton { button: gear, down: false }];
    assert_eq!(world.devices[&0].reports.last(), Some(&let_go));
    assert!(world.devices[&0].state.is_at_rest(Kind::Joystick));
}

#[test]
fn a_finger_that_taps_between_two_datagrams_is_seen_where_it_was() {
    let mut world = World::new(Network::perfect(), &[0]);
    world.client.apply(0, &touch(7, 500));
    world.client.apply(0, &Change::Lift { id: 7 });
    world.client.apply(0, &touch(7, 900));
    world.run(10 * MS);
    let [tap, rest] = &world.devices[&0].reports[..] else { panic!("two reports") };
    assert_eq!(tap, &[touch(1, 500)]);
    assert_eq!(rest, &[Change::Lift { id: 1 }, touch(2, 900)]);
}

#[test]
fn a_client_at_rest_is_silent_and_one_that_holds_something_is_not() {
    let mut world = World::new(Network::perfect(), &[0]);
    world.apply(0, &south(true));
    world.run(100 * MS);
    assert_eq!(sent_in(&mut world, 10 * HEARTBEAT), 10);
    let mut world = World::new(Network::perfect(), &[0]);
    world.apply(0, &south(true));
    world.apply(0, &south(false));
    world.run(100 * MS);
    assert_eq!(world.client.next_timeout(), None);
    assert_eq!(sent_in(&mut world, 10 * HEARTBEAT), 0);
}

#[test]
fn a_change_that_nobody_acknowledges_is_repeated_four_times_and_then_with_the_heartbeat() {
    let mut world = World::new(Network::perfect(), &[0]);
    world.client.apply(0, &Change::Place(Place { x: 1, y: 2 }));
    // At 0, 4, 8, 12, 16 and 66.
    assert_eq!(sent_in(&mut world, 66 * MS), 6);
}

#[test]
fn the_server_lets_go_of_what_a_silent_client_held_and_presses_it_again_when_it_is_back() {
    let mut world = World::new(Network::perfect(), &[0]);
    world.apply(0, &south(true));
    world.apply(0, &push_stick(9));
    world.run(100 * MS);
    world.is_cut = true;
    world.run(200 * MS);
    assert!(!world.devices[&0].state.is_at_rest(Kind::Gamepad));
    world.run(100 * MS);
    assert!(world.devices[&0].state.is_at_rest(Kind::Gamepad));
    assert_eq!(world.devices[&0].reports.last().unwrap(), &[push_stick(0), south(false)]);
    world.is_cut = false;
    world.run(200 * MS);
    assert_eq!(&world.devices[&0].state, world.client.state(0).unwrap());
    assert_eq!(world.devices[&0].presses[&(Kind::Gamepad, 0)], 2);
}

#[test]
fn what_is_held_is_said_as_soon_as_the_client_hears_of_a_new_epoch() {
    let mut world = World::new(Network::perfect(), &[0]);
    world.apply(0, &south(true));
    world.run(60 * MS);
    // Long enough after the server's last word, and before the heartbeat.
    let (now, mut buffer) = (world.client_now() + 20 * MS, [0; MAX_DATAGRAM]);
    assert_eq!(world.client.poll_transmit(now, &mut buffer), None);
    world.server.handle_timeout(now + Duration::from_secs(1));
    let epoch = world.server.poll_transmit(now, &mut buffer).unwrap().to_vec();
    world.client.handle(now, &epoch).unwrap();
    let again = world.client.poll_transmit(now, &mut buffer).unwrap();
    let press = Action::Change { slot: 0, change: south(true) };
    assert_eq!(world.server.handle(now, again), Ok(&[press, Action::Sync { slot: 0 }][..]));
}

#[test]
fn a_device_that_was_made_anew_is_told_what_is_held_and_nothing_twice() {
    let mut world = World::new(Network::perfect(), &[0]);
    world.apply(0, &south(true));
    world.apply(0, &Change::Move { dx: 50, dy: 0 });
    world.run(100 * MS);
    world.devices.insert(0, Device::default());
    world.server.replaced(0);
    world.run(100 * MS);
    let device = &world.devices[&0];
    assert!(device.state.buttons.contains(button::number("south").unwrap()));
    assert_eq!(device.sums, [0; 4]);
    world.client.apply(0, &Change::Move { dx: 3, dy: 0 });
    world.client.apply(0, &south(false));
    world.run(100 * MS);
    let device = &world.devices[&0];
    assert_eq!((device.state.buttons, device.sums), (Set::default(), [3, 0, 0, 0]));
}

#[test]
fn a_tap_while_there_was_no_connection_does_not_happen_on_the_next_one() {
    let mut world = World::new(Network::perfect(), &[0]);
    world.is_cut = true;
    world.apply(0, &south(true));
    world.apply(0, &south(false));
    world.apply(0, &touch(1, 5));
    world.apply(0, &Change::Lift { id: 1 });
    world.apply(0, &Change::Move { dx: 5, dy: 5 });
    world.disconnect();
    world.is_cut = false;
    world.reconnect();
    world.run(200 * MS);
    assert_eq!(world.devices[&0].reports, <[Vec<Change>; 0]>::default());
    // What comes after that does, although both count anew.
    world.apply(0, &south(true));
    world.apply(0, &Change::Move { dx: 1, dy: 0 });
    world.apply(0, &touch(1, 5));
    world.run(200 * MS);
    let device = &world.devices[&0];
    assert_eq!((device.presses[&(Kind::Gamepad, 0)], device.fingers, device.sums[0]), (1, 1, 1));
}

#[test]
fn a_long_round_trip_makes_the_server_patient() {
    let mut world = World::new(Network::perfect(), &[0]);
    world.server.set_rtt(200 * MS);
    world.apply(0, &south(true));
    world.run(100 * MS);
    world.is_cut = true;
    world.run(700 * MS);
    assert!(!world.devices[&0].state.is_at_rest(Kind::Gamepad));
    world.run(200 * MS);
    assert!(world.devices[&0].state.is_at_rest(Kind::Gamepad));
}

#[test]
fn what_was_said_before_the_server_let_go_presses_nothing_again() {
    let mut world = World::new(Network::perfect(), &[0]);
    let mut buffer = [0; MAX_DATAGRAM];
    world.client.apply(0, &south(true));
    let now = world.client_now();
    let first = world.client.poll_transmit(now, &mut buffer).unwrap().to_vec();
    world.server.handle(now, &first).unwrap();
    let second = world.client.poll_transmit(now + 4 * MS, &mut buffer).unwrap().to_vec();
    assert_eq!(world.server.handle_timeout(now + 250 * MS).len(), 2);
    assert_eq!(world.server.handle(now + 251 * MS, &second), Ok(&[][..]));
    assert_eq!(world.server.state(0).unwrap().buttons, Set::NONE);
}

#[test]
fn what_was_said_of_a_device_that_is_gone_is_not_taken_for_the_next_one() {
    let mut world = World::new(Network::perfect(), &[0]);
    let mut buffer = [0; MAX_DATAGRAM];
    world.client.apply(0, &south(true));
    let now = world.client_now();
    let late = world.client.poll_transmit(now, &mut buffer).unwrap().to_vec();
    world.server.unplug(0);
    assert_eq!(world.server.handle(now, &late), Ok(&[][..]));
    world.server.plug(0, Kind::EVERY);
    assert_eq!(world.server.handle(now, &late), Ok(&[][..]));
    assert_eq!(world.server.state(0).unwrap().buttons, Set::NONE);
}

#[test]
fn more_edges_than_a_log_holds_arrive_one_after_the_other() {
    let mut world = World::new(Network::perfect(), &[0]);
    let mut expected = Vec::new();
    for _ in 0..100 {
        expected.extend([vec![south(true)], vec![south(false)]]);
    }
    // Held at the end, and not before all the others.
    let east = Change::Button { button: button::number("east").unwrap(), down: true };
    expected.push(vec![east]);
    expected.iter().flatten().for_each(|change| world.client.apply(0, change));
    world.run(500 * MS);
    assert_eq!(world.devices[&0].reports, expected);
}

#[test]
fn a_link_that_stands_still_too_long_costs_taps_but_not_the_state() {
    let mut world = World::new(Network::perfect(), &[0]);
    for number in 0..2001_u16 {
        world.client.apply(0, &south(number % 2 == 0));
    }
    world.run(2000 * MS);
    assert_eq!(&world.devices[&0].state, world.client.state(0).unwrap());
    assert!(world.devices[&0].state.buttons.contains(0));
}

#[test]
fn devices_that_do_not_fit_into_one_datagram_all_arrive() {
    let slots: Vec<u8> = (0..64).collect();
    let mut world = World::new(Network::perfect(), &slots);
    for slot in &slots {
        for key in 1..30 {
            world.client.apply(*slot, &Change::Key { key, down: true });
        }
    }
    world.run(20 * MS);
    for slot in slots {
        assert_eq!(world.devices[&slot].state.keys.iter().count(), 29, "slot {slot}");
    }
}

#[test]
fn rumble_lasts_while_the_server_says_so_and_ends_by_itself() {
    let mut world = World::new(Network::perfect(), &[0]);
    let rumble =
        Feedback::Rumble { low: 9, high: 0, left_trigger: 0, right_trigger: 0, ttl_ms: 400 };
    let now = world.now;
    assert_eq!(world.server.feedback(now, 0, rumble), None);
    world.run(3000 * MS);
    let heard = |world: &World| -> Vec<Feedback> {
        world.feedback.iter().map(|(_, _, feedback)| *feedback).collect()
    };
    assert_eq!(heard(&world), [rumble]);
    // The server is gone.
    world.server.unplug(0);
    world.run(500 * MS);
    assert_eq!(heard(&world), [rumble, Feedback::STILL]);
    let time = |index: usize| world.feedback[index].0;
    assert!(time(1) - time(0) > 3000 * MS);
}

#[test]
fn that_motors_stop_arrives_although_three_datagrams_are_lost() {
    let mut world = World::new(Network::perfect(), &[0]);
    let rumble =
        Feedback::Rumble { low: 9, high: 0, left_trigger: 0, right_trigger: 0, ttl_ms: 60_000 };
    world.server.feedback(world.now, 0, rumble);
    world.run(50 * MS);
    world.server.feedback(world.now, 0, Feedback::STILL);
    let mut buffer = [0; MAX_DATAGRAM];
    for _ in 0..3 {
        assert!(world.server.poll_transmit(world.now, &mut buffer).is_some());
        world.now += 10 * MS;
    }
    world.run(50 * MS);
    assert_eq!(world.feedback.last().unwrap().2, Feedback::STILL);
}

#[test]
fn a_light_is_heard_once_whichever_way_it_comes_first() {
    let mut world = World::new(Network::perfect(), &[0]);
    let now = world.now;
    let Some(hotseat_wire::control::Message::Feedback(frame)) =
        world.server.feedback(now, 0, Feedback::LightBar([1, 2, 3]))
    else {
        panic!("it must arrive")
    };
    let later = world.server.feedback(now, 0, Feedback::LightBar([4, 5, 6]));
    assert!(later.is_some());
    world.run(20 * MS);
    // The older one comes late, by the stream.
    world.client.handle_frame(world.client_now(), &frame);
    world.run(20 * MS);
    let heard: Vec<Feedback> = world.feedback.iter().map(|(_, _, feedback)| *feedback).collect();
    assert_eq!(heard, [Feedback::LightBar([4, 5, 6])]);
}

#[test]
fn motors_of_a_device_that_is_gone_stop() {
    let mut world = World::new(Network::perfect(), &[0, 1]);
    let rumble =
        Feedback::Rumble { low: 9, high: 0, left_trigger: 0, right_trigger: 0, ttl_ms: 60_000 };
    world.server.feedback(world.now, 0, rumble);
    world.run(50 * MS);
    let now = world.client_now();
    world.client.unplugged(1);
    assert_eq!(world.client.poll_feedback(now), None);
    world.client.unplugged(0);
    assert_eq!(world.client.poll_feedback(now), Some((0, Feedback::STILL)));
    assert_eq!(world.client.poll_feedback(now), None);
}

#[test]
fn a_client_that_is_back_has_the_last_feedback_of_each_kind() {
    let mut world = World::new(Network::perfect(), &[0]);
    let rumble =
        Feedback::Rumble { low: 9, high: 0, left_trigger: 0, right_trigger: 0, ttl_ms: 400 };
    world.server.feedback(world.now, 0, Feedback::LightBar([1, 2, 3]));
    world.server.feedback(world.now, 0, Feedback::Lamps(1));
    world.run(50 * MS);
    world.disconnect();
    // Nobody hears it.
    world.server.feedback(world.now, 0, Feedback::LightBar([4, 5, 6]));
    world.server.feedback(world.now, 0, rumble);
    world.feedback.clear();
    world.reconnect();
    world.run(50 * MS);
    let mut heard: Vec<_> = world.feedback.iter().map(|(_, _, feedback)| *feedback).collect();
    heard.sort_by_key(|feedback| format!("{feedback:?}"));
    assert_eq!(heard, [Feedback::Lamps(1), Feedback::LightBar([4, 5, 6]), rumble]);
}

#[test]
fn round_trip_and_loss_are_measured_whatever_the_client_s_clock_says() {
    let skew = 4_294_967_000;
    let mut world = World::new(Network { delay: 40, skew, ..Network::perfect() }, &[0]);
    world.apply(0, &south(true));
    world.run(2000 * MS);
    let statistics = world.client.statistics();
    assert_eq!(statistics.rtt, Some(80 * MS));
    assert_eq!(statistics.sent, statistics.arrived);
    world.is_cut = true;
    world.run(4 * HEARTBEAT);
    world.is_cut = false;
    world.run(500 * MS);
    let later = world.client.statistics();
    assert_eq!(later.sent - later.arrived, 4);
}

#[test]
fn a_device_that_is_let_go_here_is_let_go_there() {
    let mut world = World::new(Network::perfect(), &[0]);
    for change in [south(true), push_stick(3), touch(1, 2), Change::Key { key: 30, down: true }] {
        world.apply(0, &change);
    }
    world.run(50 * MS);
    assert!(!world.devices[&0].state.is_at_rest(Kind::Touch));
    world.client.release(0);
    world.run(50 * MS);
    assert!(Kind::ALL.iter().all(|kind| world.devices[&0].state.is_at_rest(*kind)));
}

#[test]
fn what_a_device_does_not_take_is_neither_said_nor_heard() {
    let mut world = World::new(Network::perfect(), &[0]);
    let key = Change::Key { key: 30, down: true };
    let mut buffer = [0; MAX_DATAGRAM];
    let now = world.client_now();
    let epoch = world.server.plug(0, Kind::Gamepad.bit()).unwrap();
    // A client that does not care.
    world.client.plugged(0, epoch, Kind::EVERY);
    world.client.apply(0, &key);
    world.client.apply(0, &south(true));
    let datagram = world.client.poll_transmit(now, &mut buffer).unwrap();
    let press = Action::Change { slot: 0, change: south(true) };
    assert_eq!(world.server.handle(now, datagram), Ok(&[press, Action::Sync { slot: 0 }][..]));
    // One that does.
    world.client.unplugged(0);
    world.client.plugged(0, epoch, Kind::Gamepad.bit());
    world.client.apply(0, &key);
    assert_eq!(world.client.next_timeout(), None);
}

#[test]
fn numbers_that_no_device_has_are_not_sent() {
    let mut world = World::new(Network::perfect(), &[0]);
    world.apply(0, &Change::Button { button: 32, down: true });
    world.apply(0, &Change::MouseButton { button: 8, down: true });
    world.apply(0, &Change::PenButton { button: 200, down: true });
    world.apply(1, &south(true));
    assert_eq!(sent_in(&mut world, 100 * MS), 0);
}
