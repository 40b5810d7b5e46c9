//! `/v1/sessions/{session}/client`: a client of the session, for as long as its request lasts.

use std::pin::pin;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Path;
use super::peer::{self, Peer};
use super::{Shared, devices, rate};
use crate::problem::Problem;
use crate::session::Client;

/// The longest line, in bytes; and how much is read ahead while a line is carried out.
const MAX_LINE: usize = 64 * 1024;

/// A line of a client's.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum ClientLine {
    /// Declares what a slot has, as long as the client is there.
    #[serde(rename_all = "kebab-case")]
    Plug {
        /// The slot, 0 to 31.
        slot: u8,
        /// Its profile; `GET /v1/profiles` lists them.
        profile: String,
        /// Its name, at most 79 bytes; the profile's if absent.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        name: Option<String>,
    },
    /// Unplugs a device.
    Unplug {
        /// Its slot.
        slot: u8,
    },
    /// One frame of events.
    Input {
        /// The device's slot.
        slot: u8,
        /// `CONTROL=VALUE`, such as `south=1` or `lx=-0.5`.
        events: Vec<String>,
    },
}

/// A client of the session: a JSON object a line, each done before the next is read. The client is there until the body
/// ends, or its connection. Then everything that it holds is released, and what it plugged is unplugged after the
/// session's grace time, unless a client comes back and plugs the same. The first line that cannot be done ends it.
#[utoipa::path(
    post, path = "/v1/sessions/{session}/client", params(("session" = String, Path)),
    request_body(content = ClientLine, content_type = "application/x-ndjson"),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn client(
    State(sessions): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(session): Path<String>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let client = sessions.client(&session)?;
    tokio::select! {
        ended = take_lines(&sessions, &session, &client, body) => ended.map(|()| StatusCode::NO_CONTENT),
        () = peer::disallowed(Arc::clone(&sessions), peer) => Err(peer.not_allowed()),
    }
}

/// Takes lines until the body ends, or the connection.
async fn take_lines(
    sessions: &Shared,
    session: &str,
    client: &Client,
    body: Body,
) -> Result<(), Problem> {
    let mut lines = Lines::default();
    let mut body = body.into_data_stream();
    loop {
        let Some(line) = lines.next()? else {
            if lines.is_ended {
                return Ok(());
            }
            match body.next().await {
                Some(Ok(data)) => lines.push(&data),
                Some(Err(_)) => return Ok(()),
                None => lines.end(),
            }
            continue;
        };
        let mut carried = pin!(carry_out(sessions, session, client, &line));
        // A plug may wait for long, and nothing is to be held as long as that by a client that is gone.
        loop {
            tokio::select! {
                carried = &mut carried => break carried?,
                data = body.next(), if lines.has_room() => match data {
                    Some(Ok(data)) => lines.push(&data),
                    Some(Err(_)) => return Ok(()),
                    None => {
                        client.release();
                        lines.end();
                    }
                }
            }
        }
        if lines.is_ended {
            client.release();
        }
    }
}

/// An empty line is one too: it costs as much to find.
async fn carry_out(
    sessions: &Shared,
    session: &str,
    client: &Client,
    line: &[u8],
) -> Result<(), Problem> {
    rate::wait(sessions.engine(), session).await;
    if line.trim_ascii().is_empty() {
        return Ok(());
    }
    match parse(line)? {
        ClientLine::Plug { slot, profile, name } => {
            let spec = devices::spec(sessions, profile, name).await?;
            client.declare(slot, spec).await?;
        }
        ClientLine::Unplug { slot } => client.unplug(slot).await?,
        ClientLine::Input { slot, events } => client.input(slot, &events)?,
    }
    Ok(())
}

fn parse(line: &[u8]) -> Result<ClientLine, Problem> {
    serde_json::from_slice(line).map_err(|error| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed-line",
            format!("a line is not a client's: {error}"),
            r#"for example {"input":{"slot":0,"events":["south=1"]}}"#,
        )
    })
}

/// A body, line by line.
#[derive(Debug, Default)]
struct Lines {
    buffer: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// Up to where it has no end.
    searched: usize,
    /// Whether the body has ended: what is left is the last line.
    is_ended: bool,
}

impl Lines {
    /// Takes the next part.
    fn push(&mut self, data: &Bytes) {
        // Once for all the lines that were taken since the last one.
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(data);
    }

    /// The body has ended.
    fn end(&mut self) {
        self.is_ended = true;
    }

    /// Whether more may be read before a line is taken.
    fn has_room(&self) -> bool {
        !self.is_ended && self.buffer.len() - self.start < MAX_LINE
    }

    /// The next line that is complete.
    fn next(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        let found = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n');
        let end = match found {
            Some(position) => self.searched + position + 1,
            None => self.buffer.len(),
        };
        if end - self.start > MAX_LINE {
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "line-too-long",
                format!("a line is longer than {MAX_LINE} bytes"),
                "a frame of events takes a few hundred bytes",
            ));
        }
        self.searched = end;
        let is_last = self.is_ended && end > self.start;
        if found.is_none() && !is_last {
            return Ok(None);
        }
        let line = self.buffer[self.start..end].to_vec();
        self.start = end;
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_taken_line_by_line_however_it_arrives() {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for part in ["{\"a\"", ":1}\n\n  \n{", "}\n{\"last\"}"] {
            lines.push(&Bytes::from_static(part.as_bytes()));
            while let Some(line) = lines.next().unwrap() {
                found.push(String::from_utf8(line).unwrap());
            }
        }
        assert_eq!(found, ["{\"a\":1}\n", "\n", "  \n", "{}\n"]);
        lines.end();
        assert_eq!(lines.next().unwrap().as_deref(), Some(&b"{\"last\"}"[..]));
        assert_eq!(lines.next().unwrap(), None);
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let mut lines = Lines::default();
        let part = Bytes::from(vec![b' '; MAX_LINE]);
        lines.push(&part);
        assert_eq!(lines.next().unwrap(), None);
        lines.push(&part);
        assert_eq!(lines.next().unwrap_err().code, "line-too-long");
    }

    #[test]
    fn no_more_is_read_ahead_than_the_longest_line() {
        let mut lines = Lines::default();
        assert!(lines.has_room());
        lines.push(&Bytes::from(vec![b'\n'; MAX_LINE]));
        assert!(!lines.has_room());
        lines.next().unwrap().unwrap();
        assert!(lines.has_room());
        lines.end();
        assert!(!lines.has_room());
    }
}
