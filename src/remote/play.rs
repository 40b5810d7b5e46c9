//! A player's connection, from the seat on.

mod devices;

use std::collections::{BTreeSet, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hotseat_wire::control::Message;
use hotseat_wire::{Action, Change, MAX_DATAGRAM};
use quinn::Connection;
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio::time::Instant;
use tracing::info;

use super::admission::{Allowance, Bucket};
use super::attach::Attached;
use super::control::{Reader, Writer};
use super::error::Refusal;
use super::seat::{self, Play, Seat};
use super::wishes::{self, Done, Wish};
use super::{End, Server};
use crate::admission::key_is_allowed;
use crate::metrics;
use crate::session::Client;

/// How many wishes of a player wait; the stream is not read while there are more.
const WISHES: usize = 64;

/// At most once in this time it is looked at what programs say: a program decides how often that changes, and what holds at
/// the end is what counts.
const FEEDBACK: Duration = Duration::from_millis(4);

/// How often the round trip time is taken over, and counted.
const MEASURE: Duration = Duration::from_secs(1);

/// After so many datagrams without a pause the others on this thread have their turn.
const BATCH: u32 = 32;

/// Plays until the connection ends, and lets go of everything then.
pub(super) async fn play(
    server: &Arc<Server>,
    connection: &Connection,
    attached: Attached,
    reader: &mut Reader,
    writer: &mut Writer,
) -> End {
    let Attached { seat, name, _place } = attached;
    let session = &seat.token.session;
    if connection.max_datagram_size().is_none() {
        return Refusal::NoDatagrams.into();
    }
    let ousted = Arc::new(Notify::new());
    let client = match server.sessions.client(session) {
        Ok(client) => Arc::new(client),
        Err(error) => return Refusal::Session(error).into(),
    };
    let mut seated = seat.take(&ousted).await;
    server.seats.add(&seat);
    info!(session, name, token = seat.token.id, "a player is here");
    let mut player = Player::new(server, connection, &seat, Arc::clone(&client), &mut seated);
    let end = player.play(reader, writer, &ousted).await;
    let changing = player.changing.take();
    let mut slots: BTreeSet<_> = player.play.slots.keys().copied().collect();
    slots.extend(changing.iter().map(|(slot, _)| *slot));
    // At once, before anything that may take long. The first is also for a device that somebody else has
    // sent to since.
    perform(player.play.core.disconnected(), &mut player.changes, &client, true);
    client.release();
    drop(player);
    if matches!(end, End::Bye) {
        // Not what another player has, or whoever else.
        for slot in slots.into_iter().filter(|slot| server.seats.is_of(&seat, *slot)) {
            wishes::unplug(&client, slot).await;
        }
    }
    // It goes on being plugged, and is there when the player comes back.
    if let Some((slot, Some(profile))) = changing
        && server.seats.is_of(&seat, slot)
    {
        seated.slots.entry(slot).or_insert_with(|| seat::Slot::new(profile));
    }
    // The session's grace time begins.
    drop(client);
    info!(session, ?end, "a player is gone");
    leave(server, &seat, &ousted, seated, matches!(end, End::Bye)).await;
    end
}

/// The seat waits for the player, if there is something to come back to.
async fn leave(
    server: &Arc<Server>,
    seat: &Arc<Seat>,
    ousted: &Arc<Notify>,
    mut seated: OwnedMutexGuard<Play>,
    is_over: bool,
) {
    seated.slots.values_mut().for_each(|slot| slot.is_announced = false);
    let is_over = is_over || seated.slots.is_empty();
    let is_nobodys = seat.leave(ousted);
    drop(seated);
    match is_nobodys {
        true if is_over => server.forget(seat).await,
        true => server.expect_back(Arc::clone(seat)),
        // Another connection of the player has it.
        false => {}
    }
}

struct Player<'a> {
    server: &'a Arc<Server>,
    connection: &'a Connection,
    seat: &'a Arc<Seat>,
    client: Arc<Client>,
    play: &'a mut Play,
    wishes: VecDeque<Wish>,
    /// What is being carried out.
    wish: Option<BoxFuture<'static, Done>>,
    /// Of which slot that is, and the profile of what is plugged.
    changing: Option<(u8, Option<String>)>,
    allowance: Allowance,
    of_session: Arc<Allowance>,
    flood: Bucket,
    figures: metrics::RemoteClient,
    /// Changes that programs are to see at once; here for its room.
    changes: Vec<Change>,
    /// Whether programs have said something that was not looked at.
    has_news: bool,
    next_news: Duration,
    next_measure: Duration,
}

impl<'a> Player<'a> {
    fn new(
        server: &'a Arc<Server>,
        connection: &'a Connection,
        seat: &'a Arc<Seat>,
        client: Arc<Client>,
        play: &'a mut Play,
    ) -> Self {
        Self {
            wishes: VecDeque::new(),
            server,
            connection,
            seat,
            client,
            play,
            wish: None,
            changing: None,
            allowance: Allowance::default(),
            of_session: server.admission.of_session(&seat.token.session),
            flood: Bucket::default(),
            figures: metrics::RemoteClient::new(),
            changes: Vec::with_capacity(MAX_DATAGRAM),
            has_news: false,
            next_news: Duration::ZERO,
            next_measure: Duration::ZERO,
        }
    }

    async fn play(&mut self, reader: &mut Reader, writer: &mut Writer, ousted: &Notify) -> End {
        match self.turns(reader, writer, ousted).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn turns(
        &mut self,
        reader: &mut Reader,
        writer: &mut Writer,
        ousted: &Notify,
    ) -> Result<std::convert::Infallible, End> {
        let mut view = self.client.watch();
        let mut told = self.client.watch_told();
        let mut revoked = self.server.engine().tokens.watch();
        let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
        let mut batch = 0;
        // What came before the client was known to be there may be a replay.
        while let Some(datagram) = self.connection.read_datagram().now_or_never() {
            datagram.map_err(|_| End::Lost)?;
        }
        // It may have been revoked since it was looked at.
        self.check_token()?;
        // What the player had comes back first, without what is another player's now.
        self.give_up(writer)?;
        let plug =
            |(&slot, it): (&u8, &seat::Slot)| Wish::Plug { slot, profile: it.profile.clone() };
        self.wishes = self.play.slots.iter().map(plug).collect();
        loop {
            self.begin(writer)?;
            let has_room = self.wishes.len() < WISHES;
            self.set(timer.as_mut());
            tokio::select! {
                datagram = self.connection.read_datagram() => {
                    self.take(&datagram.map_err(|_| End::Lost)?)?;
                    batch += 1;
                    if batch == BATCH {
                        tokio::task::yield_now().await;
                        batch = 0;
                    }
                    continue;
                }
                () = &mut timer => self.handle_timeout(writer)?,
                message = reader.next(), if has_room => self.hear(message?)?,
                written = writer.write(), if !writer.is_empty() => written?,
                done = carried_out(&mut self.wish) => {
                    self.done(done, writer)?;
                }
                changed = view.changed() => {
                    // The session is gone; so are its tokens.
                    changed.map_err(|_| Refusal::Revoked)?;
                    let view = view.borrow_and_update().clone();
                    self.follow(&view, writer)?;
                }
                _ = told.changed(), if !self.has_news => self.has_news = true,
                _ = revoked.changed() => self.check_token()?,
                () = self.seat.robbed.notified() => self.give_up(writer)?,
                () = ousted.notified() => return Err(Refusal::TakenOver.into()),
            }
            batch = 0;
        }
    }

    fn check_token(&self) -> Result<(), Refusal> {
        let is_there = self.server.engine().tokens.is_there(&self.seat.token.id);
        if is_there { Ok(()) } else { Err(Refusal::Revoked) }
    }

    /// Takes a datagram, if it may come.
    fn take(&mut self, datagram: &[u8]) -> Result<(), Refusal> {
        let config = self.server.engine().config();
        let limits = &config.remote;
        let now = self.server.now();
        let len = datagram.len();
        let (own, bytes) = (limits.datagrams_per_connection, limits.bytes_per_connection);
        let may_come = self.allowance.take(len, own, bytes, now)
            && self.of_session.take(
                len,
                limits.datagrams_per_session,
                limits.bytes_per_session,
                now,
            );
        if !may_come {
            self.figures.dropped.increment(1);
            // Twice as much as it may.
            if !self.flood.take(1, own, now) {
                return Err(Refusal::TooManyDatagrams);
            }
            return Ok(());
        }
        let Ok(actions) = self.play.core.handle(now, datagram) else {
            self.figures.malformed.increment(1);
            return Ok(());
        };
        self.figures.taken.increment(1);
        perform(actions, &mut self.changes, &self.client, self.seat.token.all_keys);
        self.transmit(now);
        Ok(())
    }

    /// When something is due.
    fn set(&self, timer: std::pin::Pin<&mut tokio::time::Sleep>) {
        let news = self.has_news.then_some(self.next_news);
        let due = [self.play.core.next_timeout(), news, Some(self.next_measure)];
        let due = due.into_iter().flatten().min().unwrap_or_default();
        let due = Instant::from_std(self.server.engine().started + due);
        if timer.deadline() != due {
            timer.reset(due);
        }
    }

    fn handle_timeout(&mut self, writer: &mut Writer) -> Result<(), Refusal> {
        let now = self.server.now();
        if self.next_measure <= now {
            let rtt = self.connection.rtt();
            self.play.core.set_rtt(rtt);
            metrics::remote_rtt(rtt);
            self.next_measure = now + MEASURE;
        }
        if self.has_news && self.next_news <= now {
            self.has_news = false;
            self.next_news = now + FEEDBACK;
            let slots: Vec<_> = self.play.slots.keys().copied().collect();
            for slot in slots {
                self.tell(slot, now, writer)?;
            }
        }
        let actions = self.play.core.handle_timeout(now);
        if !actions.is_empty() {
            metrics::remote_let_go();
        }
        perform(actions, &mut self.changes, &self.client, true);
        self.transmit(now);
        Ok(())
    }

    fn transmit(&mut self, now: Duration) {
        let mut buffer = [0; MAX_DATAGRAM];
        while let Some(datagram) = self.play.core.poll_transmit(now, &mut buffer) {
            // Whether the connection is lost is heard elsewhere; what finds no room is said again, or old by then.
            let _ = self.connection.send_datagram(datagram.to_vec().into());
        }
    }

    fn hear(&mut self, message: Message) -> Result<(), End> {
        match message {
            Message::Plug { slot, profile } => self.wishes.push_back(Wish::Plug { slot, profile }),
            Message::Unplug { slot } => self.wishes.push_back(Wish::Unplug { slot }),
            Message::Bye => return Err(End::Bye),
            Message::Error { fatal: true, .. } => return Err(End::Lost),
            Message::Error { .. } => {}
            _ => return Err(Refusal::Unexpected.into()),
        }
        Ok(())
    }
}

/// Does with the devices what the protocol says. What a device refuses is not worth a line of the log for each frame: it is
/// being unplugged.
fn perform(actions: &[Action], changes: &mut Vec<Change>, client: &Client, all_keys: bool) {
    for action in actions {
        match *action {
            Action::Change { change: Change::Key { key, down: true }, .. }
                if !all_keys && !key_is_allowed(key) =>
            {
                metrics::remote_key_refused();
            }
            Action::Change { change, .. } => changes.push(change),
            Action::Sync { slot } => {
                if !changes.is_empty()
                    && let Err(error) = client.change(slot, changes)
                {
                    tracing::debug!(slot, %error, "input has no effect");
                }
                changes.clear();
            }
        }
    }
}

/// Waits until a wish is carried out; for ever, if there is none.
async fn carried_out(wish: &mut Option<BoxFuture<'static, Done>>) -> Done {
    match wish {
        Some(wish) => wish.await,
        None => std::future::pending().await,
    }
}
