//! A player's place in a session, which outlives the player's connection.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hotseat_wire::ServerCore;
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio::time::Instant;

use super::error::Refusal;
use super::feedback::Told;
use super::tokens::{Hash, Slots, Token};
use crate::session::view::{Device, Session};

/// How much longer than the session's grace time a seat is kept: the session's begins a moment later.
const MARGIN: Duration = Duration::from_secs(1);

/// A player's place.
#[derive(Debug)]
pub(super) struct Seat {
    /// Of what the player resumes with.
    pub(super) hash: Hash,
    /// What the player came with.
    pub(super) token: Token,
    /// Held by the player's connection as long as it lasts.
    play: Arc<tokio::sync::Mutex<Play>>,
    holder: Mutex<Holder>,
    /// Rung when a slot was taken by another player of the same token.
    pub(super) robbed: Notify,
}

/// Whose the seat is.
#[derive(Debug)]
enum Holder {
    /// A connection's, which is told when another one comes in its place.
    Connection(Arc<Notify>),
    /// Nobody's, since then.
    Nobody(Instant),
}

/// How the player's devices are.
#[derive(Debug, Default)]
pub(super) struct Play {
    pub(super) core: ServerCore,
    pub(super) slots: BTreeMap<u8, Slot>,
}

/// A device of the player's.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) profile: String,
    /// The device that is there; `None` while it waits for a container.
    pub(super) device: Option<Device>,
    /// Whether the client of this connection knows of it.
    pub(super) is_announced: bool,
    /// What the player was told for it.
    pub(super) told: Told,
}

impl Slot {
    pub(super) fn new(profile: String) -> Self {
        Self { profile, device: None, is_announced: false, told: Told::new() }
    }
}

impl Seat {
    pub(super) fn new(hash: Hash, token: Token, slots: Slots) -> Self {
        let slots = slots.into_iter().map(|(slot, profile)| (slot, Slot::new(profile))).collect();
        let play = Play { core: ServerCore::new(), slots };
        Self {
            hash,
            token,
            play: Arc::new(tokio::sync::Mutex::new(play)),
            holder: Mutex::new(Holder::Nobody(Instant::now())),
            robbed: Notify::new(),
        }
    }

    /// Takes the seat, from an older connection where it has one, which has let go of everything when this returns.
    pub(super) async fn take(&self, ousted: &Arc<Notify>) -> OwnedMutexGuard<Play> {
        let new = Holder::Connection(Arc::clone(ousted));
        if let Holder::Connection(older) = std::mem::replace(&mut *self.holder(), new) {
            older.notify_one();
        }
        Arc::clone(&self.play).lock_owned().await
    }

    /// Leaves the seat to whoever comes, unless it is another's already. Says whether it is nobody's now.
    pub(super) fn leave(&self, ousted: &Arc<Notify>) -> bool {
        let mut holder = self.holder();
        let is_own = matches!(&*holder, Holder::Connection(other) if Arc::ptr_eq(other, ousted));
        if is_own {
            *holder = Holder::Nobody(Instant::now());
        }
        is_own
    }

    /// The slots of a seat that no connection has, without one that is another player's now. `None` where one has it, which
    /// is told.
    pub(super) fn lose(&self, slot: u8) -> Option<Slots> {
        let mut play = Arc::clone(&self.play).try_lock_owned().ok()?;
        play.core.unplug(slot);
        play.slots.remove(&slot);
        Some(play.slots.iter().map(|(&slot, it)| (slot, it.profile.clone())).collect())
    }

    fn is_left_for(&self, time: Duration) -> bool {
        matches!(&*self.holder(), Holder::Nobody(since) if since.elapsed() >= time)
    }

    fn holder(&self) -> MutexGuard<'_, Holder> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All seats.
#[derive(Debug, Default)]
pub(super) struct Seats {
    by_hash: Mutex<HashMap<Hash, Arc<Seat>>>,
    /// Whose a session's slot is.
    slots: Mutex<HashMap<(String, u8), Weak<Seat>>>,
}

impl Seats {
    /// The seat that this hash and token belong to.
    pub(super) fn find(&self, hash: &Hash, token: &Token) -> Option<Arc<Seat>> {
        let seats = self.by_hash.lock().unwrap_or_else(PoisonError::into_inner);
        seats.get(hash).filter(|seat| seat.token.id == token.id).cloned()
    }

    pub(super) fn add(&self, seat: &Arc<Seat>) {
        let mut seats = self.by_hash.lock().unwrap_or_else(PoisonError::into_inner);
        seats.insert(seat.hash.clone(), Arc::clone(seat));
    }

    /// Makes a slot this player's. It must be nobody's; another player's of the same token is taken, as that is perhaps one
    /// who was here before and does not know it any more. Answers with that one's seat.
    pub(super) fn claim(
        &self,
        seat: &Arc<Seat>,
        slot: u8,
        view: &Session,
    ) -> Result<Option<Arc<Seat>>, Refusal> {
        let mut slots = self.slots();
        slots.retain(|_, owner| owner.strong_count() > 0);
        let key = (seat.token.session.clone(), slot);
        let robbed = match slots.get(&key).and_then(Weak::upgrade) {
            Some(owner) if Arc::ptr_eq(&owner, seat) => return Ok(None),
            Some(owner) if owner.token.id == seat.token.id => {
                owner.robbed.notify_one();
                Some(owner)
            }
            Some(_) => return Err(Refusal::SlotTaken { slot }),
            None => {
                let is_there = view.devices.iter().any(|device| device.slot == slot)
                    || view.waiting.iter().any(|waiting| waiting.slot == slot);
                if is_there {
                    return Err(Refusal::SlotTaken { slot });
                }
                None
            }
        };
        slots.insert(key, Arc::downgrade(seat));
        Ok(robbed)
    }

    /// For the seats of an earlier daemon: their slots are theirs, whatever the session shows.
    pub(super) fn own(&self, seat: &Arc<Seat>, slots: impl Iterator<Item = u8>) {
        let own = slots.map(|slot| ((seat.token.session.clone(), slot), Arc::downgrade(seat)));
        self.slots().extend(own);
    }

    /// Whether a slot is this player's.
    pub(super) fn is_of(&self, seat: &Arc<Seat>, slot: u8) -> bool {
        let owner = self.slots().get(&(seat.token.session.clone(), slot)).and_then(Weak::upgrade);
        owner.is_some_and(|owner| Arc::ptr_eq(&owner, seat))
    }

    /// A slot is nobody's any more, if it was this player's.
    pub(super) fn give_up(&self, seat: &Arc<Seat>, slot: u8) {
        let is_own = |key: &(String, u8), owner: &Weak<Seat>| {
            key.0 == seat.token.session
                && key.1 == slot
                && std::ptr::eq(owner.as_ptr(), Arc::as_ptr(seat))
        };
        self.slots().retain(|key, owner| !is_own(key, owner));
    }

    /// Nobody comes back to it.
    pub(super) fn forget(&self, seat: &Arc<Seat>) {
        self.slots().retain(|_, owner| !std::ptr::eq(owner.as_ptr(), Arc::as_ptr(seat)));
        self.by_hash.lock().unwrap_or_else(PoisonError::into_inner).remove(&seat.hash);
    }

    /// Waits for the time in which the player may come back. Says whether nobody has.
    pub(super) async fn expire(seat: &Seat, grace: Duration) -> bool {
        tokio::time::sleep(grace + MARGIN).await;
        seat.is_left_for(grace + MARGIN)
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<(String, u8), Weak<Seat>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::view::{Waiting, Waits};

    fn token(id: &str) -> Token {
        let (id, session) = (id.to_owned(), "s".to_owned());
        Token { id, session, expires_ms: None, profiles: Vec::new(), all_keys: false }
    }

    fn seat(hash: &str, id: &str) -> Arc<Seat> {
        Arc::new(Seat::new(hash.to_owned(), token(id), Slots::new()))
    }

    /// A session with something in these slots.
    fn session(slots: &[u8]) -> Session {
        let waiting = |&slot: &u8| Waiting {
            slot,
            profile: "mouse".to_owned(),
            name: String::new(),
            condition: Waits::Container,
            failure: None,
        };
        Session {
            name: "s".to_owned(),
            container: None,
            devices: Vec::new(),
            waiting: slots.iter().map(waiting).collect(),
            grace_seconds: 15,
            mounts: Vec::new(),
            host_devices: Vec::new(),
            rules: Vec::new(),
        }
    }

    #[test]
    fn a_slot_is_taken_from_nobody_but_who_came_with_the_same_token() {
        let seats = Seats::default();
        let (first, other, again) = (seat("a", "1"), seat("b", "2"), seat("c", "1"));
        seats.claim(&first, 0, &session(&[])).unwrap();
        // By now the session shows it.
        let shown = session(&[0, 7]);
        seats.claim(&first, 0, &shown).unwrap();
        assert_eq!(seats.claim(&other, 0, &shown).unwrap_err().code(), "slot-taken");
        assert_eq!(seats.claim(&first, 7, &shown).unwrap_err().code(), "slot-taken");

        seats.claim(&again, 0, &shown).unwrap();
        assert!(seats.is_of(&again, 0) && !seats.is_of(&first, 0));
        // What is not its own it cannot give up.
        seats.give_up(&first, 0);
        assert_eq!(seats.claim(&other, 0, &session(&[])).unwrap_err().code(), "slot-taken");
        seats.forget(&again);
        seats.claim(&other, 0, &session(&[])).unwrap();
    }

    #[test]
    fn a_seat_is_found_by_what_it_resumes_with_and_its_token() {
        let seats = Seats::default();
        let seat = seat("a", "1");
        seats.add(&seat);
        let find = |hash: &str, id| seats.find(&hash.to_owned(), &token(id));
        assert!(find("a", "1").is_some_and(|found| Arc::ptr_eq(&found, &seat)));
        assert!(find("a", "2").is_none() && find("b", "1").is_none());
        seats.forget(&seat);
        assert!(find("a", "1").is_none());
    }

    #[tokio::test]
    async fn who_comes_later_has_the_seat_when_the_older_one_has_let_go() {
        let seat = seat("a", "1");
        let [older, newer] = [Notify::new(), Notify::new()].map(Arc::new);
        let held = seat.take(&older).await;
        let taking = tokio::spawn({
            let (seat, newer) = (Arc::clone(&seat), Arc::clone(&newer));
            async move { drop(seat.take(&newer).await) }
        });
        older.notified().await;
        assert!(!seat.leave(&older), "it is the newer one's already");
        assert!(!seat.is_left_for(Duration::ZERO));
        drop(held);
        taking.await.unwrap();
        assert!(seat.leave(&newer));
        assert!(seat.is_left_for(Duration::ZERO));
    }
}
