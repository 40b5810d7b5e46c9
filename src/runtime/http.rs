//! HTTP to a container engine's socket. A user's own engine may be any program: none is waited for, and nothing is read,
//! without end.

use std::io;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::task::coop::consume_budget;
use tokio::time::timeout;

/// Engines answer in milliseconds unless they are stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer, in bytes: what an engine says of a container is some kilobytes.
const LONGEST: usize = 8 << 20;

/// The longest line of a stream.
const LONGEST_LINE: usize = 1 << 20;

/// An engine could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nobody answers at its socket.
    #[error("its socket does not answer")]
    Connect(#[source] io::Error),
    /// The request could not be built.
    #[error("the request is not valid HTTP")]
    Request(#[source] hyper::http::Error),
    /// The conversation broke.
    #[error("its answer did not arrive")]
    Broken(#[source] hyper::Error),
    /// It took too long.
    #[error("it did not answer within {} s", .0.as_secs())]
    Late(Duration),
    /// It says more than it could have to say.
    #[error("its answer is longer than {0} bytes")]
    TooLong(usize),
    /// It said no.
    #[error("it answered {status}: {message}")]
    Status {
        /// The HTTP status.
        status: StatusCode,
        /// Its words.
        message: String,
    },
    /// The answer is not what its API promises.
    #[error("its answer is not understood")]
    NotUnderstood(#[source] serde_json::Error),
}

/// An answer that is being read. The connection ends with it.
#[derive(Debug)]
struct Answer {
    body: Incoming,
    _connection: JoinSet<()>,
}

/// What an engine says with an error.
#[derive(Default, Deserialize)]
struct Refusal {
    message: String,
}

/// Asks for a document. `path` is its path and query.
pub(super) async fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T, HttpError> {
    let ask = async {
        let answer = ask(socket, path).await?;
        serde_json::from_slice(&read(answer).await?).map_err(HttpError::NotUnderstood)
    };
    in_time(PATIENCE, ask).await
}

/// Lines of an answer that goes on, each a document of its own.
#[derive(Debug)]
pub(crate) struct Lines {
    answer: Answer,
    buffer: Vec<u8>,
    /// Up to where the buffer's lines were handed out.
    taken: usize,
    /// Up to where it was searched for the end of a line.
    searched: usize,
}

impl Lines {
    /// Asks for such an answer. What it says, and whether it says anything, takes its time.
    pub(super) async fn get(socket: &Path, path: &str) -> Result<Self, HttpError> {
        let answer = in_time(PATIENCE, ask(socket, path)).await?;
        Ok(Self { answer, buffer: Vec::new(), taken: 0, searched: 0 })
    }

    /// The next one; `None` at the end.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, HttpError> {
        loop {
            // An engine may have lines without end, which all are there already.
            consume_budget().await;
            let end = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n');
            if let Some(length) = end {
                let end = self.searched + length + 1;
                let line = self.buffer[self.taken..end].trim_ascii();
                (self.taken, self.searched) = (end, end);
                if line.is_empty() {
                    continue;
                }
                return serde_json::from_slice(line).map(Some).map_err(HttpError::NotUnderstood);
            }
            self.buffer.drain(..self.taken);
            (self.taken, self.searched) = (0, self.buffer.len());
            if self.buffer.len() > LONGEST_LINE {
                return Err(HttpError::TooLong(LONGEST_LINE));
            }
            let Some(frame) = self.answer.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame.map_err(HttpError::Broken)?.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

/// The answer, if it is not a refusal.
async fn ask(socket: &Path, path: &str) -> Result<Answer, HttpError> {
    let stream = UnixStream::connect(socket).await.map_err(HttpError::Connect)?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(HttpError::Broken)?;
    let mut running = JoinSet::new();
    running.spawn(async move {
        // What went wrong with it is told to who reads the answer.
        let _ = connection.await;
    });
    let request = Request::get(path).header("host", "engine").body(Empty::<Bytes>::new());
    let request = request.map_err(HttpError::Request)?;
    let response = sender.send_request(request).await.map_err(HttpError::Broken)?;
    let status = response.status();
    let answer = Answer { body: response.into_body(), _connection: running };
    if status.is_success() {
        return Ok(answer);
    }
    let Refusal { message } = serde_json::from_slice(&read(answer).await?).unwrap_or_default();
    Err(HttpError::Status { status, message })
}

/// All of an answer.
async fn read(answer: Answer) -> Result<Bytes, HttpError> {
    let Answer { body, _connection } = answer;
    match Limited::new(body, LONGEST).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => match error.downcast::<hyper::Error>() {
            Ok(error) => Err(HttpError::Broken(*error)),
            Err(_) => Err(HttpError::TooLong(LONGEST)),
        },
    }
}

async fn in_time<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, HttpError>>,
) -> Result<T, HttpError> {
    timeout(patience, work).await.unwrap_or(Err(HttpError::Late(patience)))
}

/// Text as a value in a query (RFC 3986, section 2.1).
pub(super) fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    use super::*;

    const HEAD: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

    /// A user's program that answers one request like this, and what comes of it.
    async fn asked<T, F: Future<Output = T>>(
        head: &str,
        mut more: impl AsyncFnMut(&mut UnixStream) -> io::Result<()>,
        ask: impl FnOnce(PathBuf) -> F,
    ) -> T {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(head.as_bytes()).await.unwrap();
            // It may be cut off in the middle.
            let _ = more(&mut stream).await;
        };
        tokio::join!(answer, ask(socket)).1
    }

    async fn nothing(_: &mut UnixStream) -> io::Result<()> {
        Ok(())
    }

    async fn without_end(stream: &mut UnixStream) -> io::Result<()> {
        loop {
            stream.write_all(&[b' '; 64 << 10]).await?;
        }
    }

    async fn document(socket: PathBuf) -> Result<Value, HttpError> {
        get(&socket, "/").await
    }

    #[tokio::test]
    async fn a_document_and_a_refusal_are_understood() {
        let head = format!("{HEAD}{{\"Id\":\"4f\"}}");
        assert_eq!(asked(&head, nothing, document).await.unwrap(), json!({ "Id": "4f" }));
        let head = "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n{\"message\":\"no such container\"}";
        let refused = asked(head, nothing, document).await.unwrap_err();
        assert_eq!(refused.to_string(), "it answered 404 Not Found: no such container");
        let nonsense = asked(HEAD, nothing, document).await;
        assert!(matches!(nonsense, Err(HttpError::NotUnderstood(_))), "{nonsense:?}");
        let cut = asked("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", nothing, document).await;
        assert!(matches!(cut, Err(HttpError::Broken(_))), "{cut:?}");
    }

    #[tokio::test]
    async fn an_answer_without_end_is_not_read_to_the_end() {
        let endless = asked(HEAD, without_end, document).await;
        assert!(matches!(endless, Err(HttpError::TooLong(LONGEST))), "{endless:?}");
        let line =
            async |socket: PathBuf| Lines::get(&socket, "/").await.unwrap().next::<Value>().await;
        let endless = asked(HEAD, without_end, line).await;
        assert!(matches!(endless, Err(HttpError::TooLong(LONGEST_LINE))), "{endless:?}");
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let _silent = UnixListener::bind(&socket).unwrap();
        let late = in_time(Duration::from_millis(1), ask(&socket, "/")).await;
        assert!(matches!(late, Err(HttpError::Late(_))), "{late:?}");
    }

    #[tokio::test]
    async fn lines_are_told_apart_however_they_arrive() {
        let head = format!("{HEAD}{{\"a\":1}}\n\r\n{{\"a\"");
        let rest = async |stream: &mut UnixStream| stream.write_all(b":2}\n{\"cut").await;
        let read = async |socket: PathBuf| {
            let mut lines = Lines::get(&socket, "/").await.unwrap();
            let mut all: Vec<Value> = Vec::new();
            while let Some(line) = lines.next().await.unwrap() {
                all.push(line);
            }
            all
        };
        assert_eq!(asked(&head, rest, read).await, [json!({ "a": 1 }), json!({ "a": 2 })]);
    }

    #[tokio::test]
    async fn lines_without_number_let_others_have_their_turn() {
        let first_poll = async |socket: PathBuf| {
            let mut lines = Lines::get(&socket, "/").await.unwrap();
            lines.buffer = [&b"\n".repeat(1000)[..], b"{}\n"].concat();
            let mut next = Box::pin(lines.next::<Value>());
            let first = std::future::poll_fn(|context| {
                std::task::Poll::Ready(next.as_mut().poll(context).is_pending())
            });
            (first.await, next.await.unwrap())
        };
        assert_eq!(asked(HEAD, nothing, first_poll).await, (true, Some(json!({}))));
    }

    #[test]
    fn a_value_of_a_query_has_nothing_that_ends_it() {
        assert_eq!(encoded(r#"{"a":["b c"]}"#), "%7B%22a%22%3A%5B%22b%20c%22%5D%7D");
        assert_eq!(encoded("&=#%ë"), "%26%3D%23%25%C3%AB");
    }
}
