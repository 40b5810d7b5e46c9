//! `/v1/sessions/{session}/client`: a client of the session, for as long as its request lasts.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Path;
use super::{Shared, devices, rate};
use crate::problem::Problem;
use crate::session::Client;

/// The longest line, in bytes.
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
    Path(session): Path<String>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let client = sessions.client(&session)?;
    let mut lines = Lines::default();
    let mut body = body.into_data_stream();
    while let Some(Ok(data)) = body.next().await {
        lines.push(&data)?;
        while let Some(line) = lines.next() {
            rate::wait(sessions.engine(), &session).await;
            carry_out(&sessions, &client, parse(&line)?).await?;
        }
    }
    if let Some(line) = lines.last() {
        carry_out(&sessions, &client, parse(&line)?).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn carry_out(
    sessions: &Shared,
    client: &Client,
    line: ClientLine,
) -> Result<(), Problem> {
    match line {
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
struct Lines(Vec<u8>);

impl Lines {
    /// Takes the next part.
    fn push(&mut self, data: &Bytes) -> Result<(), Problem> {
        self.0.extend_from_slice(data);
        let is_line = data.contains(&b'\n');
        if !is_line && self.0.len() > MAX_LINE {
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "line-too-long",
                format!("a line is longer than {MAX_LINE} bytes"),
                "a frame of events takes a few hundred bytes",
            ));
        }
        Ok(())
    }

    /// The next line that is complete and not empty.
    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let end = self.0.iter().position(|&byte| byte == b'\n')?;
            let rest = self.0.split_off(end + 1);
            let line = std::mem::replace(&mut self.0, rest);
            if !line.trim_ascii().is_empty() {
                return Some(line);
            }
        }
    }

    /// What is left when the body ends.
    fn last(self) -> Option<Vec<u8>> {
        Some(self.0).filter(|line| !line.trim_ascii().is_empty())
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
            lines.push(&Bytes::from_static(part.as_bytes())).unwrap();
            while let Some(line) = lines.next() {
                found.push(String::from_utf8(line).unwrap());
            }
        }
        assert_eq!(found, ["{\"a\":1}\n", "{}\n"]);
        assert_eq!(lines.last().as_deref(), Some(&b"{\"last\"}"[..]));
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let mut lines = Lines::default();
        let part = Bytes::from(vec![b' '; MAX_LINE]);
        lines.push(&part).unwrap();
        assert_eq!(lines.push(&part).unwrap_err().code, "line-too-long");
    }
}
