//! Following systemd: when it has read its units again, it has written the device rules of its cgroups again, which takes
//! from containers what they were granted (docs/grants.md).

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tracing::debug;

use super::bus::{Bus, BusError, Call};
use super::{PAUSE, reapply};
use crate::engine::{Engine, chain};

/// The system's message bus (D-Bus Specification, "System message bus").
const SOCKET: &str = "/run/dbus/system_bus_socket";

/// Gives again what was lost, each time. Never ends.
pub(super) async fn follow(engine: Arc<Engine>) {
    let mut pause = PAUSE.0;
    loop {
        let Err(error) = listen(&engine, &mut pause).await;
        debug!(error = chain(&error), "systemd is not followed for now");
        // A back-off, as for the runtimes: nobody says when there will be a bus.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

async fn listen(engine: &Arc<Engine>, pause: &mut Duration) -> Result<Infallible, BusError> {
    let mut bus = Bus::connect(Path::new(SOCKET)).await?;
    bus.add_match(
        "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
         interface='org.freedesktop.systemd1.Manager',member='Reloading'",
    )
    .await?;
    // It says nothing to a bus without subscribers (org.freedesktop.systemd1(5), "Subscribe").
    bus.call(&Call {
        destination: "org.freedesktop.systemd1",
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        member: "Subscribe",
        argument: None,
    })
    .await?;
    *pause = PAUSE.0;
    // It may have been read again while nobody listened.
    reapply(engine, "a connection to systemd").await;
    loop {
        // True when it begins, false when all is done: src/core/manager.c dispatches its queue of cgroups first.
        if bus.read().await?.is_signal("Reloading", false) {
            reapply(engine, "a reload of systemd").await;
        }
    }
}
