//! HTTP/1.1 on the daemon's socket.

use std::io;
use std::path::{Path, PathBuf};

use futures_util::{Stream, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::messages::Messages;
use crate::api::types::{
    ClientLine, MadeToken, NewContainer, NewDevice, NewInput, NewSession, ProfileView,
    WantedDevice, WantedToken,
};
use crate::config::Change;
use crate::doctor::Check;
use crate::host::Rule;
use crate::host::view::{HostDeviceView, RuleView};
use crate::problem::Problem;
use crate::remote::Token;
use crate::session::holders::Holder;
use crate::session::view::{Declared, Device, Session};

/// A request got no answer, or not the one asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// Nobody listens.
    #[error("the daemon cannot be reached at `{socket}`")]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody listens, but not to this user.
    #[error("you may not call the daemon at `{socket}`")]
    NotAllowed {
        /// The socket.
        socket: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The daemon said no.
    #[error("{}", .0.detail)]
    Problem(Problem),
    /// The conversation broke.
    #[error("the daemon's answer did not arrive")]
    Broken(#[source] hyper::Error),
    /// The answer is not what this version expects.
    #[error("the daemon answered {status} with something this version does not understand")]
    NotUnderstood {
        /// HTTP status.
        status: u16,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The request could not be built.
    #[error("the request is not valid HTTP")]
    Request(#[source] hyper::http::Error),
}

/// A client of one daemon; each request has its own connection.
#[derive(Debug, Clone)]
pub(super) struct Client {
    socket: PathBuf,
}

type Result<T> = std::result::Result<T, ClientError>;

impl Client {
    pub(super) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(super) async fn sessions(&self) -> Result<Vec<Session>> {
        self.get("/v1/sessions").await
    }

    pub(super) async fn session(&self, session: &str) -> Result<Session> {
        self.get(&session_path(session, "")).await
    }

    pub(super) async fn add_session(
        &self,
        name: &str,
        container: Option<String>,
        grace_seconds: Option<u32>,
    ) -> Result<Session> {
        let new = NewSession { name: name.to_owned(), container, grace_seconds };
        self.call(Method::POST, "/v1/sessions", &new).await
    }

    pub(super) async fn attach(&self, session: &str, container: String) -> Result<Session> {
        let path = session_path(session, "/container");
        self.call(Method::PUT, &path, &NewContainer { container }).await
    }

    pub(super) async fn move_session(&self, session: &str, container: &str) -> Result<Session> {
        let path = session_path(session, "/move");
        let container = container.to_owned();
        self.call(Method::POST, &path, &NewContainer { container }).await
    }

    pub(super) async fn remove_session(&self, session: &str) -> Result<()> {
        self.call(Method::DELETE, &session_path(session, ""), &()).await
    }

    pub(super) async fn plug(
        &self,
        session: &str,
        profile: &str,
        slot: Option<u8>,
        name: Option<String>,
    ) -> Result<Device> {
        let new = NewDevice { profile: profile.to_owned(), slot, name };
        self.call(Method::POST, &session_path(session, "/devices"), &new).await
    }

    pub(super) async fn declare(
        &self,
        session: &str,
        slot: u8,
        profile: &str,
        name: Option<String>,
    ) -> Result<Declared> {
        let path = session_path(session, &format!("/devices/{slot}"));
        let wanted = WantedDevice { profile: profile.to_owned(), name };
        self.call(Method::PUT, &path, &wanted).await
    }

    /// A client of a session, until the lines end, or one cannot be done.
    pub(super) async fn be_client(
        &self,
        session: &str,
        lines: impl Stream<Item = std::result::Result<ClientLine, io::Error>> + Send + 'static,
    ) -> Result<()> {
        let lines = lines.map(|line| {
            let mut text = serde_json::to_vec(&line?)?;
            text.push(b'\n');
            Ok::<_, io::Error>(Frame::data(Bytes::from(text)))
        });
        let path = session_path(session, "/client");
        let body = StreamBody::new(lines).boxed_unsync();
        understand(self.exchange(Method::POST, &path, "application/x-ndjson", body).await?).await
    }

    pub(super) async fn unplug(&self, session: &str, slot: u8) -> Result<()> {
        let path = session_path(session, &format!("/devices/{slot}"));
        self.call(Method::DELETE, &path, &()).await
    }

    pub(super) async fn send(&self, session: &str, slot: u8, events: Vec<String>) -> Result<()> {
        let path = session_path(session, &format!("/devices/{slot}/input"));
        self.call(Method::POST, &path, &NewInput { events }).await
    }

    pub(super) async fn holders(&self, session: &str, slot: u8) -> Result<Vec<Holder>> {
        self.get(&session_path(session, &format!("/devices/{slot}/holders"))).await
    }

    pub(super) async fn tokens(&self) -> Result<Vec<Token>> {
        self.get("/v1/tokens").await
    }

    pub(super) async fn add_token(&self, wanted: &WantedToken) -> Result<MadeToken> {
        self.call(Method::POST, "/v1/tokens", wanted).await
    }

    pub(super) async fn revoke_token(&self, id: &str) -> Result<()> {
        self.call(Method::DELETE, &format!("/v1/tokens/{}", percent_encode(id)), &()).await
    }

    pub(super) async fn profiles(&self) -> Result<Vec<ProfileView>> {
        self.get("/v1/profiles").await
    }

    pub(super) async fn rules(&self, session: &str) -> Result<Vec<RuleView>> {
        self.get(&session_path(session, "/rules")).await
    }

    pub(super) async fn add_rule(&self, session: &str, rule: &Rule) -> Result<RuleView> {
        self.call(Method::POST, &session_path(session, "/rules"), rule).await
    }

    pub(super) async fn remove_rule(&self, session: &str, id: &str) -> Result<()> {
        let path = session_path(session, &format!("/rules/{}", percent_encode(id)));
        self.call(Method::DELETE, &path, &()).await
    }

    pub(super) async fn host_devices(&self) -> Result<Vec<HostDeviceView>> {
        self.get("/v1/host-devices").await
    }

    pub(super) async fn try_rule(&self, rule: &Rule) -> Result<Vec<HostDeviceView>> {
        self.call(Method::POST, "/v1/host-devices/try", rule).await
    }

    pub(super) async fn reload(&self) -> Result<Vec<Change>> {
        self.call(Method::POST, "/v1/reload", &()).await
    }

    pub(super) async fn doctor(&self, container: Option<&str>) -> Result<Vec<Check>> {
        match container {
            Some(container) => {
                self.get(&format!("/v1/doctor?container={}", percent_encode(container))).await
            }
            None => self.get("/v1/doctor").await,
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call(Method::GET, path, &()).await
    }

    /// Events as they happen, until the daemon ends. `handle` gets each one's type, id and JSON.
    pub(super) async fn watch(
        &self,
        session: Option<&str>,
        since: Option<&str>,
        mut handle: impl FnMut(&str, Option<&str>, &str),
    ) -> Result<()> {
        let parameter = |name: &str, value: &str| format!("{name}={}", percent_encode(value));
        let session = session.map(|session| parameter("session", session));
        let since = since.map(|since| parameter("since", since));
        let query: Vec<String> = session.into_iter().chain(since).collect();
        let path = format!("/v1/events?{}", query.join("&"));
        let response = self.request(Method::GET, &path, &()).await?;
        if !response.status().is_success() {
            return understand(response).await;
        }
        let mut messages = Messages::default();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(ClientError::Broken)?.into_data() {
                messages.push(&data, &mut handle);
            }
        }
        Ok(())
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        understand(self.request(method, path, body).await?).await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Response<Incoming>> {
        let body = serde_json::to_vec(body)
            .map_err(|source| ClientError::NotUnderstood { status: 0, source })?;
        let body = Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync();
        self.exchange(method, path, "application/json", body).await
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: UnsyncBoxBody<Bytes, io::Error>,
    ) -> Result<Response<Incoming>> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|source| {
            let socket = self.socket.clone();
            match source.kind() {
                io::ErrorKind::PermissionDenied => ClientError::NotAllowed { socket, source },
                _ => ClientError::Unreachable { socket, source },
            }
        })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(ClientError::Broken)?;
        tokio::spawn(connection);

        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "hotseat")
            .header("content-type", content_type)
            .body(body)
            .map_err(ClientError::Request)?;
        sender.send_request(request).await.map_err(ClientError::Broken)
    }
}

/// The document that an answer carries, or the problem.
async fn understand<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T> {
    let status = response.status();
    let bytes = response.into_body().collect().await.map_err(ClientError::Broken)?.to_bytes();
    let not_understood = |source| ClientError::NotUnderstood { status: status.as_u16(), source };
    if !status.is_success() {
        return Err(
            serde_json::from_slice(&bytes).map_or_else(not_understood, ClientError::Problem)
        );
    }
    // 204 No Content is JSON's null to us.
    let bytes: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
    serde_json::from_slice(bytes).map_err(not_understood)
}

fn session_path(session: &str, rest: &str) -> String {
    format!("/v1/sessions/{}{rest}", percent_encode(session))
}

/// RFC 3986 section 2.1: everything but unreserved characters, so that no name reaches another path.
fn percent_encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    let encoded: String = text.bytes().map(encode).collect();
    // A path segment of dots would be taken as "here" or "up".
    if encoded.bytes().all(|byte| byte == b'.') { encoded.replace('.', "%2E") } else { encoded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_segment_of_the_path() {
        assert_eq!(session_path("alice", "/devices"), "/v1/sessions/alice/devices");
        assert_eq!(session_path("../x y?#", ""), "/v1/sessions/..%2Fx%20y%3F%23");
        assert_eq!(session_path("..", ""), "/v1/sessions/%2E%2E");
    }
}
