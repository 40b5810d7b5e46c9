//! What a player wishes over the control stream. It may take long, and input goes on meanwhile.

use std::sync::Arc;

use super::Server;
use super::error::Refusal;
use super::seat::Seat;
use super::tokens::Slots;
use crate::engine::{Engine, chain};
use crate::profiles;
use crate::session::view::Declared;
use crate::session::{Client, Error, Spec};

/// What a player wishes. One thing at a time, in their order.
#[derive(Debug)]
pub(super) enum Wish {
    /// A device in this slot.
    Plug { slot: u8, profile: String },
    /// None in this one.
    Unplug { slot: u8 },
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Done {
    Plugged { slot: u8, profile: String, outcome: Result<Declared, Refusal> },
    Unplugged { slot: u8 },
}

/// Carries a wish out. `slots` is what the player has by now.
pub(super) async fn carry_out(
    server: Arc<Server>,
    seat: Arc<Seat>,
    client: Arc<Client>,
    slots: Slots,
    wish: Wish,
) -> Done {
    match wish {
        Wish::Plug { slot, profile } => {
            let outcome = plug(&server, &seat, &client, slots.clone(), slot, &profile).await;
            if outcome.is_err() && server.seats.is_of(&seat, slot) {
                // Neither is it to be tried again, with nobody to be told, nor is what it was to replace wanted any more.
                take_away(&server, &seat, &client, slots, slot).await;
            }
            Done::Plugged { slot, profile, outcome }
        }
        Wish::Unplug { slot } => {
            take_away(&server, &seat, &client, slots, slot).await;
            Done::Unplugged { slot }
        }
    }
}

/// Unplugs a device of the player's, which may be another player's by now.
async fn take_away(server: &Server, seat: &Arc<Seat>, client: &Client, mut slots: Slots, slot: u8) {
    if server.seats.is_of(seat, slot) {
        unplug(client, slot).await;
    }
    server.seats.give_up(seat, slot);
    slots.remove(&slot);
    note(server.engine(), seat, &slots).await;
}

async fn plug(
    server: &Server,
    seat: &Arc<Seat>,
    client: &Client,
    mut slots: Slots,
    slot: u8,
    profile: &str,
) -> Result<Declared, Refusal> {
    if !seat.token.allows(profile) {
        return Err(Refusal::Profile { profile: profile.to_owned() });
    }
    let directory = server.engine().config().profiles.clone();
    let name = profile.to_owned();
    let found = tokio::task::spawn_blocking(move || profiles::find(&directory, &name));
    let found = found.await.map_err(|_| Error::Lost)?.map_err(Error::Profile)?;
    let view = client.watch().borrow().clone();
    if let Some(robbed) = server.seats.claim(seat, slot, &view)? {
        server.rob(&robbed, slot).await;
    }
    // Before the device is there: whoever comes back to the next daemon finds it.
    slots.insert(slot, profile.to_owned());
    note(server.engine(), seat, &slots).await;
    Ok(client.declare(slot, Spec { profile: found, name: None }).await?)
}

/// Somebody else may have unplugged it before.
pub(super) async fn unplug(client: &Client, slot: u8) {
    if let Err(error) = client.unplug(slot).await {
        tracing::debug!(slot, error = chain(&error), "not unplugged");
    }
}

/// Notes what a player has. Without a disk it works until the daemon ends.
pub(super) async fn note(engine: &Arc<Engine>, seat: &Seat, slots: &Slots) {
    let (engine, slots) = (Arc::clone(engine), slots.clone());
    let (id, hash) = (seat.token.id.clone(), seat.hash.clone());
    let note = move || engine.tokens.note(&id, &hash, &slots);
    if let Ok(Err(error)) = tokio::task::spawn_blocking(note).await {
        tracing::warn!(
            error = chain(&error),
            "a player who comes back to the next daemon finds nothing"
        );
    }
}
