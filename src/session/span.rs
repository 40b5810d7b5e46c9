//! Spans of the log: each line that is written during a step says of which session it is, and of which device.
//!
//! A session's requests run in [`session`]; what is about a device or a container is in one more within it.

use tracing::{Span, info_span};

use super::state::State;
use crate::runtime::ContainerRef;

/// Around every request to the session.
pub(super) fn session(name: &str) -> Span {
    info_span!("session", session = name)
}

/// While the session comes to this container.
pub(super) fn attach(container: &ContainerRef) -> Span {
    info_span!("attach", %container)
}

/// While the device of a slot is plugged into the session's container.
pub(super) fn plug(state: &State, slot: u8, profile: &str) -> Span {
    let container = state.container();
    info_span!("plug", slot, profile, container)
}

/// While the device of a slot is unplugged from the session's container.
pub(super) fn unplug(state: &State, slot: u8, profile: &str) -> Span {
    let container = state.container();
    info_span!("unplug", slot, profile, container)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing_subscriber::fmt;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// The log's lines as JSON, of what `work` does.
    fn log(work: impl FnOnce()) -> Vec<Value> {
        let written = Lines::default();
        let lines = written.clone();
        // As the daemon's own.
        let layer = fmt::layer().json().flatten_event(true).with_writer(move || written.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        let text = lines.0.lock().unwrap();
        text.split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_of_a_step_says_of_which_session_and_container_it_is() {
        let reference: ContainerRef = "docker:game".parse().unwrap();
        let lines = log(|| {
            session("alice").in_scope(|| {
                attach(&reference).in_scope(|| tracing::warn!("within"));
                tracing::info!("between");
            });
            tracing::info!("outside");
        });
        let fields = |line: &Value, name: &str| -> Vec<String> {
            let spans = line["spans"].as_array().cloned().unwrap_or_default();
            spans.iter().filter_map(|span| Some(span[name].as_str()?.to_owned())).collect()
        };
        assert_eq!(lines.len(), 3);
        assert_eq!(fields(&lines[0], "session"), ["alice"]);
        assert_eq!(fields(&lines[0], "container"), ["docker:game"]);
        assert_eq!(fields(&lines[1], "session"), ["alice"]);
        assert!(fields(&lines[1], "container").is_empty());
        assert!(fields(&lines[2], "session").is_empty());
    }
}
