//! Following systemd: when it has read its units again, it has written the device rules of its cgroups again, which takes
//! from containers what they were granted (docs/grants.md).

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;
use tracing::{debug, warn};

use super::PAUSE;
use super::bus::{BUS, Bus, BusError, Call};
use super::reapply::Reapply;
use crate::engine::chain;

/// The system's message bus (D-Bus Specification, "System message bus").
const SOCKET: &str = "/run/dbus/system_bus_socket";

/// systemd's name on it (org.freedesktop.systemd1(5)).
const NAME: &str = "org.freedesktop.systemd1";

/// The bus and systemd answer in milliseconds unless they are stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// Has given again what was lost, each time. Never ends.
pub(super) async fn follow(reapply: Reapply) {
    let mut pause = PAUSE.0;
    let mut is_told = false;
    loop {
        let connected = timeout(PATIENCE, connect()).await;
        let error = match connected.unwrap_or(Err(BusError::Late(PATIENCE))) {
            Ok((bus, owner)) => {
                (pause, is_told) = (PAUSE.0, false);
                let Err(error) = listen(&reapply, bus, owner).await;
                error
            }
            Err(error) => error,
        };
        if is_told {
            debug!(error = chain(&error), "systemd is not followed for now");
        } else {
            warn!(error = chain(&error), "systemd is not followed for now");
            is_told = true;
        }
        // A back-off, as for the runtimes: nobody says when there will be a bus.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// The bus, and which of its connections is systemd's.
async fn connect() -> Result<(Bus, String), BusError> {
    let mut bus = Bus::connect(Path::new(SOCKET)).await?;
    bus.add_match(
        "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
         interface='org.freedesktop.systemd1.Manager',member='Reloading'",
    )
    .await?;
    // It connects anew when it is executed anew.
    bus.add_match(
        "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',\
         member='NameOwnerChanged',arg0='org.freedesktop.systemd1'",
    )
    .await?;
    let owner = bus.owner(NAME).await?;
    // It says nothing to a bus without subscribers (org.freedesktop.systemd1(5), "Subscribe").
    bus.call(&Call {
        destination: NAME,
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        member: "Subscribe",
        argument: None,
    })
    .await?;
    Ok((bus, owner))
}

async fn listen(
    reapply: &Reapply,
    mut bus: Bus,
    mut owner: String,
) -> Result<Infallible, BusError> {
    // It may have been read again while nobody listened.
    reapply.after("a connection to systemd");
    loop {
        let message = bus.read().await?;
        if message.is_signal(BUS, "NameOwnerChanged") {
            // The name, who had it, who has it.
            owner = message.strings().nth(2).unwrap_or_default().to_owned();
        }
        // True when it begins, false when all is done: src/core/manager.c dispatches its queue of cgroups first.
        if message.is_signal(&owner, "Reloading") && message.says(false) {
            reapply.after("a reload of systemd");
        }
    }
}
