//! Both directions of the control stream.

use hotseat_wire::control::{MAX_MESSAGE, Message};
use quinn::{ReadError, RecvStream, SendStream, WriteError};

use crate::Error;

/// What the server says.
#[derive(Debug)]
pub(crate) struct Inbox {
    recv: RecvStream,
    /// What was received and not taken.
    bytes: Vec<u8>,
}

impl Inbox {
    pub(crate) fn new(recv: RecvStream) -> Self {
        Self { recv, bytes: Vec::new() }
    }

    /// The next message. Nothing is lost if nobody waits any more.
    pub(crate) async fn next(&mut self) -> Result<Message, Error> {
        loop {
            let mut rest = self.bytes.as_slice();
            let message = Message::take(&mut rest).map_err(Error::Message)?;
            let taken = self.bytes.len() - rest.len();
            self.bytes.drain(..taken);
            if let Some(message) = message {
                return Ok(message);
            }
            let chunk =
                self.recv.read_chunk(MAX_MESSAGE, true).await.map_err(|error| match error {
                    ReadError::ConnectionLost(lost) => Error::Lost(lost),
                    error => Error::Read(error),
                })?;
            self.bytes.extend_from_slice(&chunk.ok_or(Error::StreamEnded)?.bytes);
        }
    }
}

/// What the client says.
#[derive(Debug)]
pub(crate) struct Outbox {
    send: SendStream,
    /// What is to be sent.
    bytes: Vec<u8>,
}

impl Outbox {
    pub(crate) fn new(send: SendStream) -> Self {
        Self { send, bytes: Vec::new() }
    }

    /// Puts a message behind the others; [`write`](Self::write) sends it.
    pub(crate) fn say(&mut self, message: &Message) {
        message.write(&mut self.bytes);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Sends what there is. Nothing is lost or said twice if nobody waits any more.
    pub(crate) async fn write(&mut self) -> Result<(), Error> {
        while !self.bytes.is_empty() {
            let written = self.send.write(&self.bytes).await.map_err(|error| match error {
                WriteError::ConnectionLost(lost) => Error::Lost(lost),
                error => Error::Write(error),
            })?;
            self.bytes.drain(..written);
        }
        Ok(())
    }
}
