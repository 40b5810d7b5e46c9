//! Bad networks, and players who go from one to another.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use hotseat_client::Device;
use hotseat_client::wire::{Change, button};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;
use tokio::sync::oneshot;

use super::{
    PORT, arrive, connect, duration, event_node, every_tap_was_seen_once, expect, inside,
    listening, machine, options_at, read, soon, south, token,
};
use crate::harness::sh;

/// A network namespace, and a bad line to it from here.
struct Afar;

impl Afar {
    fn new() -> Self {
        sh("modprobe sch_netem; ip netns add afar
            ip link add near type veth peer name far netns afar
            ip addr add 10.77.0.1/24 dev near; ip link set near up
            ip -n afar addr add 10.77.0.2/24 dev far; ip -n afar link set far up
            tc qdisc add dev near root netem delay 20ms loss 5%
            tc -n afar qdisc add dev far root netem delay 20ms loss 5%");
        Self
    }
}

impl Drop for Afar {
    fn drop(&mut self) {
        sh("ip netns del afar; ip link del near 2>/dev/null || :");
    }
}

/// Taps and moves for that long, and says a last word of each device. Stays until it may go, and returns how often it was.
async fn tap(
    address: &str,
    token: &Value,
    time: Duration,
    plugged: oneshot::Sender<()>,
    may_begin: oneshot::Receiver<()>,
    may_go: oneshot::Receiver<()>,
) -> i64 {
    let client = soon(arrive(|| options_at(address, token))).await;
    let pad = client.plug(0, "xbox-one").await.unwrap();
    let mouse = client.plug(1, "mouse").await.unwrap();
    plugged.send(()).unwrap();
    may_begin.await.unwrap();
    let taps = taps(&pad, &mouse, time).await;
    pad.change(Change::Button { button: button::number("start").unwrap(), down: true });
    mouse.change(Change::MouseButton { button: 1, down: true });
    may_go.await.unwrap();
    client.close().await;
    taps
}

async fn taps(pad: &Device, mouse: &Device, time: Duration) -> i64 {
    // Shorter than it takes to say a lost datagram again.
    let mut ticks = tokio::time::interval(Duration::from_millis(30));
    let (start, mut taps) = (Instant::now(), 0);
    while start.elapsed() < time {
        ticks.tick().await;
        pad.change(south(true));
        mouse.change(Change::Move { dx: 3, dy: -2 });
        ticks.tick().await;
        pad.change(south(false));
        taps += 1;
    }
    taps
}

/// `HOTSEAT_SOAK=600 cargo xtask test remote::network` goes on for ten minutes.
#[test]
fn on_a_bad_line_every_tap_arrives_once_and_every_motion_counts() {
    let daemon = listening("");
    daemon.hotseat(&["session", "add", "s"]);
    let mut inside = inside(&daemon, "s");
    let token = token(&daemon, "s", &[]);
    let _afar = Afar::new();
    let (plugged, is_plugged) = oneshot::channel();
    let (begin, may_begin) = oneshot::channel();
    let (go, may_go) = oneshot::channel();
    let player = std::thread::spawn(move || {
        let namespace = File::open("/run/netns/afar").unwrap();
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        let address = format!("10.77.0.1:{PORT}");
        machine().block_on(tap(&address, &token, duration(10), plugged, may_begin, may_go))
    });
    is_plugged.blocking_recv().unwrap();
    for slot in 0..2 {
        inside.say(&format!("count {}", event_node(&daemon, "s", slot)));
        inside.expect("reading");
    }
    begin.send(()).unwrap();
    inside.expect("last word");
    inside.expect("last word");
    inside.say("tell -");
    let told = inside.expect("counted");
    go.send(()).unwrap();
    let taps = player.join().unwrap();
    assert!(taps > 50, "{taps}");
    every_tap_was_seen_once(&daemon, &told, taps);
    let (x, y) = (3 * taps, -2 * taps);
    let expected = format!("('REL_X', {x}), ('REL_Y', {y})]");
    assert!(told.contains(&expected), "{told}, not {expected}");
    inside.close();
}

#[test]
fn a_player_goes_to_another_network_and_plays_on() {
    let daemon = listening("");
    daemon.hotseat(&["session", "add", "s"]);
    let mut inside = inside(&daemon, "s");
    let token = token(&daemon, "s", &[]);
    let player = machine();
    let client = connect(&player, &token);
    let pad = player.block_on(client.plug(0, "xbox-one")).unwrap();
    read(&mut inside, &event_node(&daemon, "s", 0));
    for _ in 0..3 {
        pad.change(south(true));
        expect(&player, &mut inside, "BTN_SOUTH 1");
        player.block_on(client.rebind()).unwrap();
        pad.change(south(false));
        expect(&player, &mut inside, "BTN_SOUTH 0");
    }
    player.block_on(client.close());
    inside.close();
    let figures = daemon.metrics();
    assert_eq!(figures["hotseat_remote_attached_total"], 1.0, "{figures:#?}");
}
