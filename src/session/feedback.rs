//! What programs send back to a device. It must be read even when nobody wants it: a game that uploads a
//! rumble effect waits in the kernel until the effect is taken.
//!
//! The game is answered first, then the effect is played: the player's commands are what the session's client
//! is to do, and are told to whoever watches the events.

use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Instant;

use tokio::sync::oneshot;
use vinput::feedback::Player;

use super::device::Device;
use crate::events::{Events, Feedback};
use crate::metrics;
use crate::sys::watch_device;

/// Answers a device's feedback until it is stopped.
#[derive(Debug)]
pub(super) struct Answering {
    stop: oneshot::Sender<()>,
    ended: mpsc::Receiver<()>,
}

impl Answering {
    /// Starts on the runtime of the calling thread.
    pub(super) fn start(
        events: Arc<Events>,
        session: String,
        slot: u8,
        device: Arc<Device>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = mpsc::channel();
        let name = session.clone();
        let tell = move |feedback| {
            metrics::feedback();
            events.feedback(&name, slot, feedback);
        };
        tokio::spawn(async move {
            // Dropped when this task ends, however it does.
            let _end: mpsc::Sender<()> = end;
            tokio::select! {
                error = answer(device, tell) => {
                    tracing::warn!(session, slot, %error, "feedback of the device is no longer read");
                }
                _ = stopped => {}
            }
        });
        Self { stop, ended }
    }

    /// Stops, and waits until the task has let go of the device: the last owner closes it, which takes long.
    /// Blocks for as long as the task takes to be scheduled.
    pub(super) fn stop(self) {
        // An error means that the task has ended by itself.
        let _ = self.stop.send(());
        let _ = self.ended.recv();
    }
}

async fn answer(device: Arc<Device>, tell: impl Fn(Feedback)) -> io::Error {
    let mut player = match &*device {
        Device::Uinput { profile, .. } => Some(Player::new(profile)),
        // A pad of uhid is told what to do, not what to play.
        Device::Uhid { .. } | Device::Hid { .. } => None,
    };
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
        }
        if let Some(player) = &mut player {
            player.handle_timeout(Instant::now());
            while let Some(command) = player.poll() {
                Feedback::of_command(command).map(&tell);
            }
        }
        tokio::task::yield_now().await;
    }
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
