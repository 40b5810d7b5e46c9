//! Server-sent events, as our own daemon writes them: one `data` line each, UTF-8, lines that end in a newline
//! (WHATWG HTML, section 9.2.6 "Interpreting an event stream").

/// A stream of messages that comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// The beginning of a line.
    line: Vec<u8>,
    event: String,
    id: Option<String>,
    data: String,
}

impl Messages {
    /// Takes a piece, and gives every message that is complete to `handle`: its type, its id, its data.
    pub(super) fn push(&mut self, piece: &[u8], handle: &mut impl FnMut(&str, Option<&str>, &str)) {
        for &byte in piece {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
            match line.split_once(':').unwrap_or((&line, "")) {
                ("", "") if line.is_empty() => self.end(handle),
                ("event", value) => self.event = trimmed(value),
                ("id", value) => self.id = Some(trimmed(value)),
                ("data", value) => self.data = trimmed(value),
                // A comment, which keeps the connection alive, or a field that we have no use for.
                _ => {}
            }
        }
    }

    fn end(&mut self, handle: &mut impl FnMut(&str, Option<&str>, &str)) {
        let Self { event, id, data, .. } = std::mem::take(self);
        if !event.is_empty() {
            handle(&event, id.as_deref(), &data);
        }
    }
}

/// Without the one space that may follow the colon.
fn trimmed(value: &str) -> String {
    value.strip_prefix(' ').unwrap_or(value).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_the_same_wherever_they_are_cut() {
        let stream = ": hello\n\nevent: plugged\nid: 1f-2\ndata: {\"slot\":0,\"name\":\"Péripad: 2\"}\n\n\
                      event:feedback\ndata:{}\n\nevent: half";
        for size in 1..stream.len() {
            let mut messages = Messages::default();
            let mut seen = Vec::new();
            for piece in stream.as_bytes().chunks(size) {
                messages.push(piece, &mut |event, id, data| {
                    seen.push(format!("{event} {id:?} {data}"));
                });
            }
            assert_eq!(
                seen,
                [r#"plugged Some("1f-2") {"slot":0,"name":"Péripad: 2"}"#, "feedback None {}"]
            );
        }
    }
}
