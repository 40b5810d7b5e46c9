//! The server allocates nothing for a datagram: neither to read it, nor to apply it, nor to answer.

use std::time::Duration;

use hotseat_wire::{
    Axes, Change, ClientCore, Contact, Feedback, Kind, MAX_DATAGRAM, Motion, Pen, Place, ServerCore,
};

/// How many times this thread allocated during `work`.
fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

/// Everything that there is moves in every slot.
fn play(client: &mut ClientCore, round: u16) {
    let byte = round.to_le_bytes()[0];
    let place = Place { x: round, y: 1 };
    let down = round.is_multiple_of(2);
    for slot in 0..4 {
        for change in [
            Change::Button { button: byte % 32, down },
            Change::Axes(Axes { left_trigger: round, ..Axes::default() }),
            Change::Key { key: byte, down },
            Change::MouseButton { button: byte % 8, down },
            Change::Move { dx: 1, dy: -1 },
            Change::Wheel { vertical: 120, horizontal: 0 },
            Change::Place(place),
            Change::Touch(Contact { id: round / 2, place, pressure: 1 }),
            Change::PenButton { button: byte % 5, down },
            Change::Pen(Pen { place, ..Pen::default() }),
            Change::JoystickButton { button: byte % 14, down },
            Change::JoystickAxes([i16::from(byte); 8]),
            Change::Motion(Motion { time: 0, gyro: [f32::from(byte); 3], accel: [0.0; 3] }),
        ] {
            client.apply(slot, &change);
        }
        if !down {
            client.apply(slot, &Change::Lift { id: round / 2 });
        }
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn a_server_takes_and_answers_datagrams_without_allocating() {
    let (mut client, mut server) = (ClientCore::new(Duration::ZERO), ServerCore::new());
    for slot in 0..4 {
        client.plugged(slot, server.plug(slot, Kind::EVERY).unwrap(), Kind::EVERY);
    }
    let (mut buffer, mut answer) = ([0; MAX_DATAGRAM], [0; MAX_DATAGRAM]);
    let (mut actions, mut answers, mut count) = (0, 0, 0);
    for round in 0..1000 {
        let now = Duration::from_millis(u64::from(round) * 4);
        play(&mut client, round);
        while let Some(datagram) = client.poll_transmit(now, &mut buffer) {
            count += allocations(|| {
                actions += server.handle(now, datagram).unwrap().len();
                server.feedback(now, 0, Feedback::STILL);
                server.handle_timeout(now);
            });
        }
        loop {
            let mut length = 0;
            count += allocations(|| {
                length = server.poll_transmit(now, &mut answer).map_or(0, <[u8]>::len);
            });
            if length == 0 {
                break;
            }
            client.handle(now, &answer[..length]).unwrap();
            answers += 1;
        }
    }
    count += allocations(|| {
        assert!(!server.handle_timeout(Duration::from_secs(3600)).is_empty());
    });
    assert!(actions > 10_000 && answers > 100, "{actions} {answers}");
    assert_eq!(count, 0);
}
