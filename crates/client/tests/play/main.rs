//! The client against a server in this process, over real sockets on loopback.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod connecting;
mod playing;
mod proxy;
mod returning;
mod server;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hotseat_client::wire::{Change, button};
use hotseat_client::{Client, Event, Events, Fingerprint, Options};

use server::{Identity, Kept, Seen, Server, TOKEN};

/// A server, what it keeps, and who it is.
struct World {
    server: Server,
    identity: Identity,
    kept: Arc<Mutex<Kept>>,
}

impl World {
    fn new() -> Self {
        let (identity, kept) = (Identity::new(), Arc::<Mutex<Kept>>::default());
        Self { server: Server::start(&identity, &kept), identity, kept }
    }

    fn options(&self) -> Options {
        options(self.server.address, self.identity.fingerprint())
    }

    /// A client that is attached.
    async fn client(&mut self) -> Client {
        self.client_with(self.options()).await
    }

    async fn client_with(&mut self, options: Options) -> Client {
        let client = Client::connect(options).await.unwrap();
        assert_eq!(self.server.next().await, Seen::Attached { resumed: false, early: false });
        client
    }
}

fn options(address: SocketAddr, fingerprint: Fingerprint) -> Options {
    Options::new(address.to_string(), fingerprint, "alice", TOKEN)
}

fn button(name: &str, down: bool) -> Change {
    Change::Button { button: button::number(name).unwrap(), down }
}

/// The next event that is it.
async fn event<T>(events: &mut Events, it: impl Fn(Event) -> Option<T>) -> T {
    let found = async {
        loop {
            let event = events.next().await.expect("the client has not ended");
            if let Some(found) = it(event) {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), found).await.expect("nothing happens")
}
