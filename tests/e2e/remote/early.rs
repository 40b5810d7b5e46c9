//! What comes with a client's first packets (0-RTT), which anybody who has seen them can send again.

use std::net::SocketAddr;
use std::time::Duration;

use hotseat_client::wire::control::Message;
use hotseat_client::wire::{Axes, Change};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::raw::{Raw, datagram, endpoint};
use super::{PORT, awake, event_node, expect, inside, listening, read, soon, south, token};
use crate::harness::Daemon;

/// The packets of a client's first flight that are held back: those that it sends at once, and what it says again.
const FLIGHT: usize = 4;

fn to_the_right() -> Change {
    Change::Axes(Axes { left_stick: [20000, 0], ..Axes::default() })
}

/// The server, as a client addresses it.
fn server() -> SocketAddr {
    ([127, 0, 0, 1], PORT).into()
}

/// Says something of a device that was there, in whatever epoch it may come back.
fn presses((slot, epoch, kinds): (u8, u8, u32), client: &Raw) {
    for later in 0..4 {
        let press = datagram((slot, epoch.wrapping_add(later), kinds), &south(true));
        client.connection.send_datagram(press.into()).unwrap();
    }
}

#[test]
fn who_comes_back_with_the_first_packet_is_attached_and_what_it_presses_there_is_not_pressed() {
    let mut daemon = listening("");
    daemon.hotseat(&["session", "add", "s", "--grace", "120"]);
    let mut inside = inside(&daemon, "s");
    let token = token(&daemon, "s", &[]);
    let player = awake();
    let endpoint = player.block_on(async { endpoint(None) });
    let mut first = player.block_on(Raw::attach(&endpoint, &token, &[]));
    let device = player.block_on(async {
        first.plug(0, "xbox-one").await;
        soon(first.plugged()).await.unwrap()
    });
    read(&mut inside, &event_node(&daemon, "s", 0));
    first.connection.close(0_u8.into(), b"");
    expect(&player, daemon.log(), "a player is gone");

    let (mut back, again) = player.block_on(async {
        let (mut back, is_early) =
            Raw::attach_early(&endpoint, server(), &token, &first.resume).await;
        presses(device, &back);
        assert!(soon(is_early).await, "the server has taken the first packets");
        let nonce = soon(back.nonce()).await.unwrap();
        assert_eq!(back.resume, first.resume);
        back.say(&Message::Ready { nonce }).await;
        let again = soon(back.plugged()).await.unwrap();
        (back, again)
    });
    assert_eq!((again.0, again.2), (device.0, device.2), "its device is there still");
    assert!(again.1.wrapping_sub(device.1) < 4, "it has pressed in the epoch of now, too");
    back.connection.send_datagram(datagram(again, &to_the_right()).into()).unwrap();
    let seen = expect(&player, &mut inside, "");
    assert!(seen.contains("ABS_X 20000"), "{seen}");
    let figures = daemon.metrics();
    assert_eq!(figures["hotseat_remote_datagrams_total{outcome=\"taken\"}"], 1.0, "{figures:#?}");
    player.block_on(async {
        back.say(&Message::Bye).await;
        while soon(back.hear()).await.is_some() {}
    });
    inside.close();
}

/// The first packets of a player who comes back, which do not arrive.
async fn caught(hole: &UdpSocket) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    while packets.len() < FLIGHT {
        let mut packet = vec![0; 2048];
        let length = soon(hole.recv(&mut packet)).await.unwrap();
        packet.truncate(length);
        packets.push(packet);
    }
    packets
}

/// Sends packets from somewhere else, until the server answers there. As long as it knows the connection that began with
/// them, it takes none from elsewhere.
async fn replay(packets: &[Vec<u8>]) -> UdpSocket {
    let thief = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    loop {
        for packet in packets {
            thief.send_to(packet, server()).await.unwrap();
        }
        let mut answer = [0; 2048];
        let answer = timeout(Duration::from_millis(200), thief.recv_from(&mut answer));
        if answer.await.is_ok() {
            return thief;
        }
    }
}

#[test]
fn first_packets_that_are_sent_again_by_somebody_else_take_nothing_from_the_player() {
    let mut daemon = listening("attach_seconds = 4\n");
    daemon.terminate();
    // Who says who they are is told there.
    daemon.launch_by(&["env", "RUST_LOG=hotseat=debug"]);
    let player = awake();
    let next = |daemon: &mut Daemon, said: &str| {
        let line = expect(&player, daemon.log(), "a client ");
        assert!(line.contains(said), "{line}");
    };
    daemon.hotseat(&["session", "add", "s"]);
    let mut inside = inside(&daemon, "s");
    let token = token(&daemon, "s", &[]);
    let endpoint = player.block_on(async { endpoint(None) });
    let mut playing = player.block_on(Raw::attach(&endpoint, &token, &[]));
    next(&mut daemon, "has said who it is");
    let device = player.block_on(async {
        playing.plug(0, "xbox-one").await;
        soon(playing.plugged()).await.unwrap()
    });
    read(&mut inside, &event_node(&daemon, "s", 0));

    let packets = player.block_on(async {
        let hole = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = hole.local_addr().unwrap();
        let (lost, _) = Raw::attach_early(&endpoint, at, &token, &playing.resume).await;
        presses(device, &lost);
        caught(&hole).await
    });
    // The server hears them for the first time, and takes them for the player's.
    let _first = player.block_on(soon(replay(&packets)));
    next(&mut daemon, "has said who it is");
    next(&mut daemon, "is turned away");
    // But only once: what it resumes with is gone.
    let _second = player.block_on(soon(replay(&packets)));
    next(&mut daemon, "says nothing");

    // The player plays on, in the same epoch, and nothing was pressed.
    playing.connection.send_datagram(datagram(device, &to_the_right()).into()).unwrap();
    let seen = expect(&player, &mut inside, "");
    assert!(seen.contains("ABS_X 20000"), "{seen}");
    let figures = daemon.metrics();
    assert_eq!(figures["hotseat_remote_attached_total"], 1.0, "{figures:#?}");
    assert_eq!(figures["hotseat_remote_connections"], 1.0, "{figures:#?}");
    player.block_on(async {
        playing.say(&Message::Bye).await;
        while soon(playing.hear()).await.is_some() {}
    });
    inside.close();
}
