//! What programs send back to a device. It must be read even when nobody wants it: a game that uploads a
//! rumble effect waits in the kernel until the effect is taken.

use std::io;
use std::sync::Arc;
use std::sync::mpsc;

use tokio::sync::oneshot;
use vinput::uinput::Device;

use crate::sys::watch_device;

/// Answers a device's feedback until it is stopped.
#[derive(Debug)]
pub(super) struct Answering {
    stop: oneshot::Sender<()>,
    ended: mpsc::Receiver<()>,
}

impl Answering {
    /// Starts on the runtime of the calling thread.
    pub(super) fn start(session: String, slot: u8, device: Arc<Device>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = mpsc::channel();
        tokio::spawn(async move {
            // Dropped when this task ends, however it does.
            let _end: mpsc::Sender<()> = end;
            tokio::select! {
                error = answer(&session, slot, device) => {
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

async fn answer(session: &str, slot: u8, device: Arc<Device>) -> io::Error {
    let ready = match watch_device(device) {
        Ok(ready) => ready,
        Err(error) => return error,
    };
    loop {
        let mut guard = match ready.readable().await {
            Ok(guard) => guard,
            Err(error) => return error,
        };
        // A program that never stops sending must not keep the worker.
        for _ in 0..64 {
            match ready.get_ref().read_feedback() {
                Ok(Some(feedback)) => tracing::debug!(session, slot, ?feedback, "feedback"),
                Ok(None) => {
                    guard.clear_ready();
                    break;
                }
                Err(error) => return io::Error::other(error),
            }
        }
        drop(guard);
        tokio::task::yield_now().await;
    }
}
