//! What programs send back to a device. It must be read even when nobody wants it: a game that uploads a
//! rumble effect waits in the kernel until the effect is taken.
//!
//! The game is answered first, then the effect is played: the player's commands are what the session's client
//! is to do, and are told to whoever watches the events.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{oneshot, watch};
use tracing::Instrument as _;
use vinput::feedback::Player;

use super::device::{Device, Resumed};
use crate::events::{Events, Feedback};
use crate::keep::Memory;
use crate::metrics;
use crate::sys::watch_device;

/// What programs have told a device, as watchers are told of it.
#[derive(Debug)]
pub(super) struct Told {
    events: Arc<Events>,
    session: String,
    slot: u8,
    /// What holds now, by what it is about.
    now: Mutex<BTreeMap<String, Feedback>>,
    /// Rung when that changes.
    bell: watch::Sender<()>,
}

impl Told {
    fn tell(&self, feedback: Feedback) {
        metrics::feedback();
        if let Some(topic) = feedback.topic() {
            let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
            now.insert(topic, feedback.clone());
            self.bell.send_replace(());
        }
        self.events.feedback(&self.session, self.slot, feedback);
    }

    /// What holds now.
    pub(super) fn now(&self) -> BTreeMap<String, Feedback> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells it again, for somebody who was not there.
    pub(super) fn again(&self) {
        for feedback in self.now().into_values() {
            self.events.feedback(&self.session, self.slot, feedback);
        }
    }
}

/// Answers a device's feedback until it is stopped.
#[derive(Debug)]
pub(super) struct Answering {
    told: Arc<Told>,
    stop: oneshot::Sender<()>,
    ended: mpsc::Receiver<()>,
}

impl Answering {
    /// Starts on the runtime of the calling thread.
    pub(super) fn start(
        events: Arc<Events>,
        bell: watch::Sender<()>,
        session: String,
        slot: u8,
        device: Arc<Device>,
        resumed: Resumed,
        memory: Option<Arc<Memory>>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = mpsc::channel();
        let told = Arc::new(Told { events, session, slot, now: Mutex::default(), bell });
        let telling = Arc::clone(&told);
        let answering = async move {
            // Dropped when this task ends, however it does.
            let _end: mpsc::Sender<()> = end;
            tokio::select! {
                error = answer(device, resumed, memory, |feedback| telling.tell(feedback)) => {
                    let session = &telling.session;
                    tracing::warn!(session, slot, %error, "feedback of the device is no longer read");
                }
                _ = stopped => {}
            }
        };
        // Its lines in the log are those of the plug.
        tokio::spawn(answering.in_current_span());
        Self { told, stop, ended }
    }

    /// What programs have told the device.
    pub(super) fn told(&self) -> &Arc<Told> {
        &self.told
    }

    /// Stops, and waits until the task has let go of the device: the last owner closes it, which takes long.
    /// Blocks for as long as the task takes to be scheduled.
    pub(super) fn stop(self) {
        // An error means that the task has ended by itself.
        let _ = self.stop.send(());
        let _ = self.ended.recv();
    }
}

async fn answer(
    device: Arc<Device>,
    resumed: Resumed,
    memory: Option<Arc<Memory>>,
    tell: impl Fn(Feedback),
) -> io::Error {
    let mut player = match &*device {
        Device::Uinput { profile, .. } => resumed.player.or_else(|| Some(Player::new(profile))),
        // A pad of uhid is told what to do, not what to play.
        Device::Uhid { .. } | Device::Hid { .. } => None,
    };
    if let Some(player) = &mut player {
        for feedback in &resumed.feedback {
            player.handle(feedback, Instant::now());
        }
        play(player, &tell);
    }
    let mut remembered = None;
    if let Some(memory) = &memory {
        remember(memory, device.snapshot(player.as_ref()), &mut remembered);
    }
    let ready = match watch_device(device) {
        Ok(ready) => ready,
        Err(error) => return error,
    };
    loop {
        let guard = tokio::select! {
            guard = ready.readable() => match guard {
                Ok(guard) => Some(guard),
                Err(error) => return error,
            },
            () = until(player.as_ref().and_then(Player::timeout)) => None,
        };
        if let Some(mut guard) = guard {
            match take(ready.get_ref(), player.as_mut(), &tell) {
                Ok(true) => guard.clear_ready(),
                Ok(false) => {}
                Err(error) => return error,
            }
            if let Some(memory) = &memory {
                let snapshot = ready.get_ref().snapshot(player.as_ref());
                remember(memory, snapshot, &mut remembered);
            }
        }
        if let Some(player) = &mut player {
            play(player, &tell);
        }
        tokio::task::yield_now().await;
    }
}

/// Tells what is to be done now.
fn play(player: &mut Player, tell: &impl Fn(Feedback)) {
    player.handle_timeout(Instant::now());
    while let Some(command) = player.poll() {
        Feedback::of_command(command).map(tell);
    }
}

/// Writes down what the next daemon is to know, where that is something else than before.
fn remember(memory: &Memory, snapshot: Vec<u8>, remembered: &mut Option<Vec<u8>>) {
    if remembered.as_ref() == Some(&snapshot) {
        return;
    }
    if let Err(error) = memory.remember(&snapshot) {
        tracing::warn!(%error, "what programs have set will not outlive the daemon");
    }
    *remembered = Some(snapshot);
}

/// Takes what is there, and says whether that was all: a program that never stops sending must not keep the
/// worker.
fn take(
    device: &Device,
    mut player: Option<&mut Player>,
    tell: &impl Fn(Feedback),
) -> io::Result<bool> {
    for _ in 0..64 {
        match device {
            Device::Uinput { device, .. } => match device.read_feedback() {
                Ok(Some(feedback)) => {
                    if let Some(player) = &mut player {
                        player.handle(&feedback, Instant::now());
                    }
                }
                Ok(None) => return Ok(true),
                Err(error) => return Err(io::Error::other(error)),
            },
            Device::Uhid { device, .. } => match device.take_feedback() {
                Some(feedback) => {
                    Feedback::of_pad(feedback).map(tell);
                }
                None => return Ok(true),
            },
            Device::Hid { device, .. } => match device.take_output() {
                Some(output) => tell(Feedback::of_hid(&output)),
                None => return Ok(true),
            },
        }
    }
    Ok(false)
}

/// Resolves at this time; never without one.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
