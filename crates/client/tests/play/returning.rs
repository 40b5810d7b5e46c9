//! Connections that are lost.

use std::sync::Arc;
use std::time::Duration;

use hotseat_client::wire::Kind;
use hotseat_client::{Client, Device, Error, Event, Events, Options};

use crate::proxy::Proxy;
use crate::server::{Seen, Server};
use crate::{World, button, event, options};

fn lost(event: Event) -> Option<()> {
    matches!(event, Event::Lost(_)).then_some(())
}

fn connected(event: Event) -> Option<()> {
    matches!(event, Event::Connected).then_some(())
}

fn ended(event: Event) -> Option<Arc<Error>> {
    match event {
        Event::Ended(error) => Some(error),
        _ => None,
    }
}

impl World {
    /// A client behind a proxy.
    async fn client_behind(&mut self, change: impl FnOnce(&mut Options)) -> (Client, Proxy) {
        let proxy = Proxy::start(self.server.address, 0, 0).await;
        let mut options = options(proxy.address, self.identity.fingerprint());
        change(&mut options);
        (self.client_with(options).await, proxy)
    }

    /// One with a pad of which a button is held.
    async fn client_that_holds(&mut self) -> (Client, Proxy, Events, Device) {
        let (client, proxy) = self.client_behind(|_| {}).await;
        let events = client.events();
        let pad = client.plug(0, "xbox-one").await.unwrap();
        pad.change(button("south", true));
        self.server.until(|state| !state.buttons.is_empty()).await;
        (client, proxy, events, pad)
    }

    /// The server ends, and another one starts at its place.
    async fn restart(&mut self, proxy: &Proxy) {
        let other = Server::start(&self.identity, &self.kept);
        proxy.redirect(other.address);
        std::mem::replace(&mut self.server, other).stop().await;
    }
}

#[tokio::test]
async fn a_restart_of_the_server_is_played_through() {
    let mut world = World::new();
    let (client, proxy, mut events, pad) = world.client_that_holds().await;

    world.restart(&proxy).await;
    event(&mut events, lost).await;
    // Said while nobody hears it.
    pad.change(button("east", true));
    event(&mut events, connected).await;
    assert!(matches!(world.server.next().await, Seen::Attached { resumed: true, .. }));
    world.server.until(|state| state.buttons == [0, 1].into_iter().collect()).await;
    pad.change(button("south", false));
    world.server.until(|state| state.buttons == [1].into_iter().collect()).await;
    assert_eq!(client.statistics().connections, 2);
}

#[tokio::test]
async fn a_server_that_kept_nothing_is_given_everything_again() {
    let mut world = World::new();
    world.kept.lock().unwrap().forgets = true;
    let (_client, proxy, mut events, pad) = world.client_that_holds().await;

    world.restart(&proxy).await;
    event(&mut events, connected).await;
    assert!(matches!(world.server.next().await, Seen::Attached { resumed: false, .. }));
    let plugged = Seen::Plugged { slot: 0, profile: "xbox-one".to_owned() };
    assert_eq!(world.server.next().await, plugged);
    world.server.until(|state| state.buttons.contains(0)).await;
    drop(pad);
}

#[tokio::test]
async fn a_path_that_dies_is_replaced_and_what_is_held_stays_held() {
    let mut world = World::new();
    let (_client, proxy, mut events, _pad) = world.client_that_holds().await;

    proxy.cut(true);
    // The server lets go of it.
    world.server.until(|state| state.is_at_rest(Kind::Gamepad)).await;
    event(&mut events, lost).await;
    proxy.cut(false);
    event(&mut events, connected).await;
    world.server.until(|state| state.buttons.contains(0)).await;
}

#[tokio::test]
async fn the_second_attach_comes_with_the_first_packets() {
    let mut world = World::new();
    let (client, proxy) = world.client_behind(|_| {}).await;
    let mut events = client.events();
    let _pad = client.plug(0, "xbox-one").await.unwrap();
    proxy.cut(true);
    event(&mut events, lost).await;
    proxy.cut(false);
    event(&mut events, connected).await;
    let attached = loop {
        if let seen @ Seen::Attached { .. } = world.server.next().await {
            break seen;
        }
    };
    // The server may still think that the first connection lives.
    assert!(matches!(attached, Seen::Attached { early: true, .. }), "{attached:?}");
}

#[tokio::test]
async fn what_is_unplugged_meanwhile_is_not_there_afterwards() {
    let mut world = World::new();
    let (client, proxy) = world.client_behind(|_| {}).await;
    let mut events = client.events();
    let pad = client.plug(0, "xbox-one").await.unwrap();
    let kept = client.plug(1, "mouse").await.unwrap();
    world.restart(&proxy).await;
    event(&mut events, lost).await;
    pad.unplug().await.unwrap();
    event(&mut events, connected).await;
    loop {
        if world.server.next().await == (Seen::Unplugged { slot: 0 }) {
            break;
        }
    }
    // The slot is free for another one.
    client.plug(0, "mouse").await.unwrap();
    assert!(kept.state().is_some());
}

#[tokio::test]
async fn patience_ends() {
    let mut world = World::new();
    let short = |options: &mut Options| options.patience = Duration::from_millis(1);
    let (client, proxy) = world.client_behind(short).await;
    let mut events = client.events();
    proxy.cut(true);
    let error = event(&mut events, ended).await;
    assert!(matches!(&*error, Error::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_token_that_has_expired_meanwhile_ends_the_client() {
    let mut world = World::new();
    let (client, proxy) = world.client_behind(|_| {}).await;
    let mut events = client.events();
    world.kept.lock().unwrap().expired = true;
    world.restart(&proxy).await;
    let error = event(&mut events, ended).await;
    assert!(matches!(&*error, Error::Refused { code, .. } if code == "token-refused"));
}

#[tokio::test]
async fn a_client_can_be_closed_while_it_has_no_connection() {
    let mut world = World::new();
    let client = world.client().await;
    let mut events = client.events();
    world.server.stop().await;
    event(&mut events, lost).await;
    client.close().await;
    let error = event(&mut events, ended).await;
    assert!(matches!(&*error, Error::Closed));
}
