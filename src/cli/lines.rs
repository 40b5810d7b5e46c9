//! What `hotseat client` reads.

use std::io;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

use crate::api::types::ClientLine;

/// The lines of standard input, without empty ones and those that begin with `#`.
pub(super) fn of_standard_input() -> impl Stream<Item = io::Result<ClientLine>> + Send + 'static {
    let lines = (BufReader::new(stdin()).lines(), 0_u64);
    unfold(Some(lines), |state| async {
        let (mut lines, mut number) = state?;
        loop {
            number += 1;
            return match lines.next_line().await {
                Ok(Some(line)) if line.trim().is_empty() || line.starts_with('#') => continue,
                Ok(Some(line)) => match parse(&line) {
                    Some(line) => Some((Ok(line), Some((lines, number)))),
                    None => {
                        let wrong = format!("line {number} is not understood: `{line}`");
                        Some((Err(io::Error::new(io::ErrorKind::InvalidInput, wrong)), None))
                    }
                },
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            };
        }
    })
}

fn parse(line: &str) -> Option<ClientLine> {
    let mut words = line.split_whitespace();
    let verb = words.next()?;
    let slot = words.next()?.parse().ok()?;
    let rest: Vec<String> = words.map(str::to_owned).collect();
    match (verb, rest.as_slice()) {
        ("plug", [profile]) => {
            Some(ClientLine::Plug { slot, profile: profile.clone(), name: None })
        }
        ("plug", [profile, name @ ..]) => {
            Some(ClientLine::Plug { slot, profile: profile.clone(), name: Some(name.join(" ")) })
        }
        ("unplug", []) => Some(ClientLine::Unplug { slot }),
        ("send", [_, ..]) => Some(ClientLine::Input { slot, events: rest }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_words_of_the_command_line() {
        let json = |line| serde_json::to_string(&parse(line).unwrap()).unwrap();
        assert_eq!(json("plug 0 mouse"), r#"{"plug":{"slot":0,"profile":"mouse"}}"#);
        assert_eq!(
            json("plug 1 xbox-one Pad of Bob"),
            r#"{"plug":{"slot":1,"profile":"xbox-one","name":"Pad of Bob"}}"#
        );
        assert_eq!(json(" unplug  1 "), r#"{"unplug":{"slot":1}}"#);
        assert_eq!(
            json("send 0 south=1 lx=-0.5"),
            r#"{"input":{"slot":0,"events":["south=1","lx=-0.5"]}}"#
        );
        for wrong in ["", "plug", "plug 0", "plug 256 mouse", "unplug 1 2", "send 0", "press 0 a"] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
