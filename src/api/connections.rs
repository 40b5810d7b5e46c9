//! The connections of the socket: how many, whose, and how long they may do nothing.
//!
//! Our own loop around hyper's connections, as axum's has none of these limits.

use std::collections::HashMap;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower_service::Service as _;

use super::peer::Peer;
use crate::config::Limits;
use crate::engine::Engine;
use crate::limits::{Count, Taken};
use crate::problem::Problem;

/// The longest request without its body, and the most that is read of a body at once.
const BUFFER: usize = 64 * 1024;

/// How many connections those may have together who may not call. Enough to tell them so; they take no place of those who
/// may.
const STRANGERS: usize = 16;

/// The pause after a connection could not be accepted, most of the time for want of descriptors.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves connections until `stop` resolves, and goes on until the requests under way are answered.
pub(super) async fn serve(
    listener: UnixListener,
    router: Router,
    engine: &Engine,
    stop: impl Future<Output = ()>,
) {
    let mut stop = pin!(stop);
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut users = Users::default();
    loop {
        let stream = tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    // A back-off: nobody says when there will be a descriptor.
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let config = engine.config();
        let limits = &config.limits;
        let peer = Peer::of(&stream);
        let mut builder = builder(limits);
        let taken = if peer.may_call(&config) {
            users.take(peer, limits)
        } else {
            builder.keep_alive(false);
            users.take_strangers(peer)
        };
        match taken {
            Ok(taken) => {
                let connection = Connection { stream, peer, taken, stopped: stopped.clone() };
                connections.spawn(connection.serve(router.clone(), builder));
            }
            Err(problem) => refuse(&stream, &problem),
        }
    }
    // Whoever comes from now on finds nobody.
    drop(listener);
    stopping.send_replace(true);
    while connections.join_next().await.is_some() {}
}

fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // From the moment at which a request is waited for.
        .header_read_timeout(Duration::from_secs(limits.idle_seconds.get()))
        .max_headers(limits.headers.get())
        .max_buf_size(BUFFER);
    builder
}

struct Connection {
    stream: UnixStream,
    peer: Peer,
    taken: Vec<Taken>,
    stopped: watch::Receiver<bool>,
}

impl Connection {
    async fn serve(self, router: Router, builder: http1::Builder) {
        let Self { stream, peer, taken: _taken, mut stopped } = self;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().call(request.map(Body::new))
        });
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let stop = async { drop(stopped.wait_for(|stopped| *stopped).await) };
        // How a connection ends is its peer's business.
        tokio::select! {
            _ = connection.as_mut() => {}
            () = stop => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }
}

/// How many connections there are.
#[derive(Debug, Default)]
struct Users {
    /// Of all who may call.
    all: Count,
    /// Of each of them.
    each: HashMap<Option<u32>, Count>,
    /// Of those who may not.
    strangers: Count,
}

impl Users {
    fn take(&mut self, peer: Peer, limits: &Limits) -> Result<Vec<Taken>, Problem> {
        let too_many = |detail: String, hint: &str| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-connections", detail, hint)
        };
        let limit = limits.connections;
        let of_all = self.all.take(limit).ok_or_else(|| {
            let detail = format!("{limit} connections are open, and there may be no more");
            too_many(detail, "`limits.connections` of the configuration is their number")
        })?;
        self.each.retain(|_, count| !count.is_none());
        let limit = limits.connections_per_user;
        let of_user = self.each.entry(peer.uid).or_default().take(limit).ok_or_else(|| {
            too_many(
                format!("this user has {limit} connections open, and may have no more"),
                "use one for many requests, and close what is not used; `limits.connections_per_user` of the \
                 configuration is their number",
            )
        })?;
        Ok(vec![of_all, of_user])
    }

    fn take_strangers(&mut self, peer: Peer) -> Result<Vec<Taken>, Problem> {
        let taken = self.strangers.take(STRANGERS).ok_or_else(|| peer.not_allowed())?;
        Ok(vec![taken])
    }
}

/// Answers without having been asked, and closes. A client that does not read it is not waited for.
fn refuse(stream: &UnixStream, problem: &Problem) {
    let Ok(body) = serde_json::to_string(problem) else { return };
    let answer = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n\
         Connection: close\r\nRetry-After: 1\r\n\r\n{body}",
        problem.status,
        problem.title,
        body.len()
    );
    let written: io::Result<usize> = stream.try_write(answer.as_bytes());
    if let Err(error) = written {
        tracing::debug!(%error, "a connection was closed without a word");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_call_takes_no_place_of_those_who_may() {
        let mut users = Users::default();
        let limits = Limits { connections: 2, connections_per_user: 1, ..Limits::default() };
        let stranger = Peer { uid: Some(3) };
        let taken: Vec<_> =
            (0..STRANGERS).map(|_| users.take_strangers(stranger).unwrap()).collect();
        assert_eq!(users.take_strangers(stranger).unwrap_err().code, "not-allowed");

        let first = users.take(Peer { uid: Some(1) }, &limits).unwrap();
        let code = |taken: Result<_, Problem>| taken.map(drop).unwrap_err().code;
        assert_eq!(code(users.take(Peer { uid: Some(1) }, &limits)), "too-many-connections");
        let _second = users.take(Peer { uid: Some(2) }, &limits).unwrap();
        assert_eq!(code(users.take(Peer { uid: Some(4) }, &limits)), "too-many-connections");

        drop((taken, first));
        users.take_strangers(stranger).unwrap();
        users.take(Peer { uid: Some(1) }, &limits).unwrap();
    }
}
