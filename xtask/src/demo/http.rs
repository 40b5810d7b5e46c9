//! One HTTP request on a Unix socket, and its answer.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// The longest silence of a server.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends `body`, which is JSON, or nothing, and returns the body of the answer; an answer other than 2xx is
/// an error that shows it.
///
/// HTTP/1.0: the answer ends with the connection, and nothing in it has to be decoded.
pub(crate) fn request(socket: &Path, method: &str, path: &str, body: &str) -> Result<Vec<u8>> {
    exchange(socket, method, path, body).with_context(|| format!("{method} {path}"))
}

fn exchange(socket: &Path, method: &str, path: &str, body: &str) -> Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)
        .with_context(|| format!("connecting to {}", socket.display()))?;
    stream.set_read_timeout(Some(PATIENCE)).context("setting a timeout")?;
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).context("sending the request")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("reading the answer")?;

    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").context("no HTTP answer")?;
    let body = answer.split_off(end + 4);
    let head = String::from_utf8_lossy(&answer);
    let status = head.split(' ').nth(1).unwrap_or_default();
    if !status.starts_with('2') {
        bail!("{} {}", head.lines().next().unwrap_or_default(), String::from_utf8_lossy(&body));
    }
    Ok(body)
}
