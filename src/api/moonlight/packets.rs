//! A body, packet by packet: each has its size in front, big-endian (`NV_INPUT_HEADER` in moonlight-common-c's src/Input.h).

use axum::body::Bytes;
use axum::http::StatusCode;
use hotseat_wire::moonlight::MAX_PACKET;

use crate::problem::Problem;

/// The size in front.
const HEADER: usize = 4;

/// How much is read ahead.
const MOST: usize = 64 * 1024;

/// What of a body has come and was not taken yet.
#[derive(Debug, Default)]
pub(super) struct Packets {
    buffer: Vec<u8>,
    /// Where the next packet begins.
    start: usize,
}

impl Packets {
    /// Takes the next part.
    pub(super) fn push(&mut self, data: &Bytes) {
        // Once for all the packets that were taken since the last one.
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(data);
    }

    /// Whether more may be read.
    pub(super) fn has_room(&self) -> bool {
        self.buffer.len() - self.start < MOST
    }

    /// The next packet that is complete, with its size.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Problem> {
        let rest = &self.buffer[self.start..];
        let Some(size) = rest.first_chunk::<HEADER>() else { return Ok(None) };
        let size = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(usize::MAX);
        if size > MAX_PACKET {
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "malformed-packet",
                format!("a packet of {size} bytes is none of Moonlight's"),
                "send the payloads of INPUT_DATA messages as they are, decrypted, without the messages' headers",
            ));
        }
        let Some(packet) = rest.get(..HEADER + size) else { return Ok(None) };
        self.start += packet.len();
        Ok(Some(packet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_taken_packet_by_packet_however_it_arrives() {
        let body = [0, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0, 0, 0, 1, 9];
        for cut in 0..=body.len() {
            let mut packets = Packets::default();
            let mut taken = Vec::new();
            for part in [&body[..cut], &body[cut..]] {
                packets.push(&Bytes::copy_from_slice(part));
                while let Some(packet) = packets.next().unwrap() {
                    taken.push(packet.to_vec());
                }
            }
            assert_eq!(taken, [&body[..6], &body[6..10], &body[10..]], "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        let mut packets = Packets::default();
        packets.push(&Bytes::from_static(b"POST"));
        assert_eq!(packets.next().unwrap_err().code, "malformed-packet");
    }

    #[test]
    fn no_more_is_read_ahead_than_there_is_room_for() {
        let mut packets = Packets::default();
        packets.push(&Bytes::from(vec![0; MOST]));
        assert!(!packets.has_room());
        packets.next().unwrap().unwrap();
        assert!(packets.has_room());
    }
}
