//! Giving again what containers have lost, after whatever may have taken it.

use std::sync::Arc;

use device_gate::Grants;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tracing::{debug, info, warn};

use crate::engine::{Engine, chain};

/// Asks for it.
#[derive(Debug, Clone)]
pub(super) struct Reapply(Sender<&'static str>);

impl Reapply {
    /// Who asks, and what is asked: one that is under way may be too early, one more that waits is for everything that
    /// happens before it begins.
    pub(super) fn new() -> (Self, Receiver<&'static str>) {
        let (sender, receiver) = channel(1);
        (Self(sender), receiver)
    }

    /// What containers were granted may have been taken by this.
    pub(super) fn after(&self, what: &'static str) {
        // No room: one waits already.
        let _ = self.0.try_send(what);
    }
}

/// Does what is asked, one after the other.
pub(super) async fn serve(engine: Arc<Engine>, mut asked: Receiver<&'static str>) {
    while let Some(after) = asked.recv().await {
        let engine = Arc::clone(&engine);
        let reapply = move || engine.grants().map(Grants::reapply);
        match tokio::task::spawn_blocking(reapply).await {
            Ok(Ok(Err(error))) => {
                warn!(after, error = chain(&error), "a container may have lost its devices");
            }
            Ok(Ok(Ok(true))) => info!(after, "containers have what they were granted"),
            Ok(_) => debug!(after, "containers had lost nothing"),
            Err(error) => warn!(after, %error, "a container may have lost its devices"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_waits_however_often_it_is_asked_for() {
        let (reapply, mut asked) = Reapply::new();
        for _ in 0..100 {
            reapply.after("an update");
        }
        assert_eq!(asked.recv().await, Some("an update"));
        // What happens while one is under way is not forgotten.
        reapply.after("a reload");
        drop(reapply);
        assert_eq!((asked.recv().await, asked.recv().await), (Some("a reload"), None));
    }
}
