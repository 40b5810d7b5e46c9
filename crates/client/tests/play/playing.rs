//! Devices over a connection that holds, however bad it is.

use std::time::Duration;

use hotseat_client::wire::control::Message;
use hotseat_client::wire::{Action, Axes, Change, Feedback, Kind};
use hotseat_client::{Client, Error, Event};

use crate::proxy::Proxy;
use crate::server::{Order, Seen};
use crate::{World, button, event, options};

#[tokio::test]
async fn what_a_player_does_arrives() {
    let mut world = World::new();
    let client = world.client().await;
    let pad = client.plug(3, "xbox-one").await.unwrap();
    let plugged = Seen::Plugged { slot: 3, profile: "xbox-one".to_owned() };
    assert_eq!(world.server.next().await, plugged);
    assert!(pad.takes(Kind::Gamepad) && !pad.takes(Kind::Mouse) && pad.slot() == 3);

    let axes = Axes { left_stick: [-32767, 0], ..Axes::default() };
    pad.changes(&[Change::Axes(axes), button("south", true)]);
    let changes = world.server.until(|state| state.axes == axes).await;
    let change = |change| Action::Change { slot: 3, change };
    let sync = Action::Sync { slot: 3 };
    let expected = [change(Change::Axes(axes)), change(button("south", true)), sync];
    assert_eq!(changes, expected, "one report");

    pad.release();
    world.server.until(|state| state.is_at_rest(Kind::Gamepad)).await;
    pad.unplug().await.unwrap();
    assert_eq!(world.server.next().await, Seen::Unplugged { slot: 3 });
    client.close().await;
    assert_eq!((world.server.next().await, world.server.next().await), (Seen::Bye, Seen::Gone));
}

#[tokio::test]
async fn a_client_that_is_dropped_says_no_goodbye() {
    let mut world = World::new();
    let client = world.client().await;
    let pad = client.plug(0, "xbox-one").await.unwrap();
    drop(client);
    pad.change(button("south", true));
    world.server.until(|state| !state.buttons.is_empty()).await;
    drop(pad);
    world.server.until(|state| state.buttons.is_empty()).await;
    assert_eq!(world.server.next().await, Seen::Gone);
}

#[tokio::test]
async fn slots_are_told_from_each_other() {
    let world = World::new();
    let client = Client::connect(world.options()).await.unwrap();
    let _pad = client.plug(0, "xbox-one").await.unwrap();
    assert!(matches!(client.plug(0, "mouse").await, Err(Error::SlotTaken(0))));
    assert!(matches!(client.plug(64, "mouse").await, Err(Error::NoSuchSlot(64))));
    let error = client.plug(1, "no-such-profile").await.unwrap_err();
    assert_eq!(error.to_string(), "the server refused: there is no profile `no-such-profile`");
    // The slot is free again.
    client.plug(1, "mouse").await.unwrap();
}

#[tokio::test]
async fn feedback_comes_back_and_rumble_ends_by_itself() {
    let mut world = World::new();
    let client = world.client().await;
    let mut events = client.events();
    let _pad = client.plug(0, "xbox-one").await.unwrap();
    let lights = Feedback::PlayerLights { on: 0b100, blinking: 0 };
    world.server.order(Order::Feedback(0, lights));
    let feedback = |event| match event {
        Event::Feedback { slot: 0, feedback } => Some(feedback),
        _ => None,
    };
    assert_eq!(event(&mut events, feedback).await, lights);

    let (low, high) = (0xffff, 0x8000);
    let rumble = Feedback::Rumble { low, high, left_trigger: 0, right_trigger: 0, ttl_ms: 200 };
    world.server.order(Order::Feedback(0, rumble));
    assert_eq!(event(&mut events, feedback).await, rumble);
    // The server is gone, and says no more.
    world.server.stop().await;
    assert_eq!(event(&mut events, feedback).await, Feedback::STILL);
}

#[tokio::test]
async fn a_device_that_the_server_takes_away_is_told() {
    let mut world = World::new();
    let client = world.client().await;
    let mut events = client.events();
    let pad = client.plug(5, "xbox-one").await.unwrap();
    world.server.order(Order::Say(Message::Unplug { slot: 5 }));
    let unplugged =
        |event| matches!(event, Event::Unplugged { slot: 5, error: None }).then_some(());
    event(&mut events, unplugged).await;
    assert_eq!(pad.state(), None);
}

#[tokio::test]
async fn what_the_server_ends_for_good_is_not_tried_again() {
    let mut world = World::new();
    let client = world.client().await;
    let mut events = client.events();
    let (code, text) = ("session-removed".to_owned(), "the session is gone".to_owned());
    world.server.order(Order::Say(Message::Error { slot: None, fatal: true, code, text }));
    let ended = |event| match event {
        Event::Ended(error) => Some(error),
        _ => None,
    };
    let error = event(&mut events, ended).await;
    assert!(matches!(&*error, Error::Refused { code, .. } if code == "session-removed"));
    assert!(events.next().await.is_none() && client.events().next().await.is_none());
    assert!(matches!(client.plug(0, "mouse").await, Err(Error::Closed)));
    assert!(!client.statistics().is_connected);
}

/// Every tap, and every count of the mouse, over a link that loses every fifth packet and reorders as many.
#[tokio::test]
async fn a_bad_link_loses_nothing() {
    let mut world = World::new();
    let proxy = Proxy::start(world.server.address, 2, 2).await;
    let mut options = options(proxy.address, world.identity.fingerprint());
    options.rate = 1000;
    let client = world.client_with(options).await;
    let pad = client.plug(0, "xbox-one").await.unwrap();
    let mouse = client.plug(1, "mouse").await.unwrap();
    const TAPS: usize = 200;
    let mut pace = tokio::time::interval(Duration::from_millis(2));
    for _ in 0..TAPS {
        pad.change(button("south", true));
        mouse.change(Change::Move { dx: 3, dy: -1 });
        pace.tick().await;
        pad.change(button("south", false));
        pace.tick().await;
    }
    pad.change(button("start", true));

    let (mut taps, mut moved, mut is_done) = (0, [0, 0], false);
    while !is_done || moved != [600, -200] {
        let Seen::Report { actions, .. } = world.server.next().await else { continue };
        for action in actions {
            let Action::Change { change, .. } = action else { continue };
            match change {
                change if change == button("south", true) => taps += 1,
                change if change == button("start", true) => is_done = true,
                Change::Move { dx, dy } => moved = [moved[0] + dx, moved[1] + dy],
                _ => {}
            }
        }
    }
    assert_eq!(taps, TAPS);
    // At least what the link loses; a busy machine loses more, in its queues.
    let statistics = client.statistics();
    let loss = statistics.loss_since(&Default::default()).unwrap();
    assert!(loss > 0.05, "{statistics:?}");
    assert!(statistics.is_connected && statistics.round_trip.is_some());
    assert!(statistics.sent >= statistics.judged && statistics.connections == 1);
}

#[tokio::test]
async fn another_port_is_the_same_connection() {
    let mut world = World::new();
    let client = world.client().await;
    let pad = client.plug(0, "xbox-one").await.unwrap();
    pad.change(button("south", true));
    world.server.until(|state| state.buttons.contains(0)).await;
    client.rebind().await.unwrap();
    pad.change(button("east", true));
    world.server.until(|state| state.buttons.contains(1) && state.buttons.contains(0)).await;
    assert_eq!(client.statistics().connections, 1);
}
