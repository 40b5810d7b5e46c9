//! What systemd is told of the daemon (sd_notify(3)). Without systemd nobody listens, and nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;

/// Tells systemd how the daemon is.
pub(super) fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "systemd could not be told of the daemon's state");
    }
}

/// Tells systemd that the configuration is being read again; `READY=1` ends that.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "systemd could not be told of the reload"),
    }
}

/// Tells systemd that the daemon lives, twice in the time after which it would be taken for dead (`WatchdogSec=` of the
/// unit). Never ends; without a watchdog it has nothing to do.
pub(super) async fn watchdog() {
    let Some(period) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let mut ticks = tokio::time::interval(period.max(Duration::from_millis(2)) / 2);
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}
