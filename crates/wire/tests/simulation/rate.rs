//! How often a client sends.

use std::time::Duration;

use hotseat_wire::{Change, ClientCore, Kind, MAX_DATAGRAM, Place};

const MS: Duration = Duration::from_millis(1);
const INTERVAL: Duration = Duration::from_millis(4);

fn client() -> ClientCore {
    let mut client = ClientCore::new(INTERVAL);
    client.plugged(0, 1, Kind::EVERY);
    client
}

/// How many datagrams there are now.
fn sent(client: &mut ClientCore, now: Duration) -> u32 {
    let mut buffer = [0; MAX_DATAGRAM];
    let mut count = 0;
    while client.poll_transmit(now, &mut buffer).is_some() {
        count += 1;
    }
    count
}

fn place(x: u16) -> Change {
    Change::Place(Place { x, y: 0 })
}

#[test]
fn what_is_new_does_not_wait_for_what_is_said_again() {
    let mut client = client();
    client.apply(0, &place(1));
    assert_eq!(sent(&mut client, Duration::ZERO), 1);
    assert_eq!(client.next_timeout(), Some(INTERVAL));
    assert_eq!(sent(&mut client, INTERVAL), 1);
    client.apply(0, &place(2));
    assert_eq!(client.next_timeout().map(|next| next <= 5 * MS), Some(true));
    assert_eq!(sent(&mut client, 5 * MS), 1);
}

#[test]
fn a_client_keeps_to_its_rate_however_often_something_is_new() {
    let mut client = client();
    let mut all = 0;
    for now in 0..1000_u16 {
        client.apply(0, &place(now));
        all += sent(&mut client, MS * now.into());
    }
    // 250, and those ahead of the rate.
    assert!((250..=255).contains(&all), "{all}");
}
