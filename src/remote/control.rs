//! Both directions of the control stream.

use hotseat_wire::control::{MAX_MESSAGE, Message};
use quinn::{RecvStream, SendStream};

use super::End;
use super::error::Refusal;

/// How much the client may leave unread: every slot's answers several times over.
const UNREAD: usize = 64 * 1024;

/// What the client says.
#[derive(Debug)]
pub(super) struct Reader {
    stream: RecvStream,
    /// What was received and not taken.
    bytes: Vec<u8>,
}

impl Reader {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self { stream, bytes: Vec::new() }
    }

    /// The next message. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Message, End> {
        loop {
            let mut rest = self.bytes.as_slice();
            let message = Message::take(&mut rest).map_err(Refusal::Malformed)?;
            let taken = self.bytes.len() - rest.len();
            self.bytes.drain(..taken);
            if let Some(message) = message {
                return Ok(message);
            }
            // An end of the stream is one of the player too.
            let chunk = self.stream.read_chunk(MAX_MESSAGE, true).await.map_err(|_| End::Lost)?;
            self.bytes.extend_from_slice(&chunk.ok_or(End::Lost)?.bytes);
        }
    }
}

/// What the client is told.
#[derive(Debug)]
pub(super) struct Writer {
    stream: SendStream,
    /// What is to be sent.
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn new(stream: SendStream) -> Self {
        Self { stream, bytes: Vec::new() }
    }

    /// Puts a message behind the others; [`write`](Self::write) sends it. One who does not read is not talked to for ever.
    pub(super) fn say(&mut self, message: &Message) -> Result<(), Refusal> {
        message.write(&mut self.bytes);
        if self.bytes.len() > UNREAD { Err(Refusal::NotRead) } else { Ok(()) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Sends some of what there is. Cancel safe.
    pub(super) async fn write(&mut self) -> Result<(), End> {
        let written = self.stream.write(&self.bytes).await.map_err(|_| End::Lost)?;
        self.bytes.drain(..written);
        Ok(())
    }

    /// Sends all of it, ends the stream and waits until the client has it.
    pub(super) async fn end(&mut self) {
        while !self.is_empty() {
            if self.write().await.is_err() {
                return;
            }
        }
        // An error means that there is nobody any more.
        let _ = self.stream.finish();
        let _ = self.stream.stopped().await;
    }
}
