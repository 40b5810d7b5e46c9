//! What `hotseat connect` shows: lines for people, with a line about the connection below them on a terminal, or JSON.

use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::time::{Duration, Instant};

use hotseat_client::wire::Feedback;
use hotseat_client::{Event, Statistics};
use serde_json::{Value, json};

use crate::cli::output;
use crate::engine::chain;

/// How it is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Status {
    json: bool,
    is_terminal: bool,
}

impl Status {
    pub(super) fn new(json: bool) -> Self {
        Self { json, is_terminal: !json && stderr().is_terminal() }
    }

    pub(super) fn attached(self, session: &str, address: &str) {
        let text = || format!("playing in session {session} at {address}");
        self.show(text, || json!({"event": "attached", "session": session, "address": address}));
    }

    pub(super) fn forwarding(self, node: &Path, name: &str, profile: &str, slot: u8) {
        let node = node.display().to_string();
        let text = || format!("forwarding {node} \"{name}\" as {profile}, slot {slot}");
        self.show(text, || {
            json!({"event": "forwarding", "node": node, "name": name, "profile": profile, "slot": slot})
        });
    }

    pub(super) fn plugged(self, slot: u8, profile: &str) {
        let text = || format!("plugged {profile}, slot {slot}");
        self.show(text, || json!({"event": "plugged", "slot": slot, "profile": profile}));
    }

    pub(super) fn gone(self, node: &Path) {
        let node = node.display().to_string();
        self.show(|| format!("{node} is gone"), || json!({"event": "gone", "node": node}));
    }

    /// Something to know, which is no error.
    pub(super) fn note(self, text: &str) {
        self.show(|| text.to_owned(), || json!({"event": "note", "text": text}));
    }

    pub(super) fn warn(self, text: &str) {
        self.clear();
        output::warning(text);
    }

    pub(super) fn event(self, event: &Event) {
        match event {
            Event::Lost(error) => {
                let why = chain(&**error);
                let text = || format!("the connection is lost, and is made again: {why}");
                self.show(text, || json!({"event": "lost", "detail": why}));
            }
            Event::Connected => {
                self.show(|| "connected again".to_owned(), || json!({"event": "connected"}));
            }
            Event::Unplugged { slot, error } => {
                let why = error.as_ref().map(|error| format!(": {}", chain(&**error)));
                let why = why.unwrap_or_default();
                let text = || format!("slot {slot} was unplugged by the server{why}");
                self.show(text, || json!({"event": "unplugged", "slot": slot}));
            }
            Event::Feedback { slot, feedback } if self.json => {
                let mut line = fields(feedback);
                line["event"] = "feedback".into();
                line["slot"] = (*slot).into();
                output::line(&line.to_string());
            }
            _ => {}
        }
    }

    /// How the connection was since the last time.
    pub(super) fn statistics(self, since: &Since, now: &Statistics) {
        let seconds = since.at.elapsed().as_secs_f64();
        let rate = (now.sent - since.statistics.sent) as f64 / seconds.max(0.001);
        let loss = now.loss_since(&since.statistics).map(|loss| loss * 100.0);
        let round_trip = now.round_trip.map(|round_trip| round_trip.as_secs_f64() * 1000.0);
        if self.json {
            let line = json!({
                "event": "statistics",
                "connected": now.is_connected,
                "round_trip_ms": round_trip,
                "loss_percent": loss,
                "rate": rate,
            });
            output::line(&line.to_string());
        } else if self.is_terminal {
            let shown = match round_trip.filter(|_| now.is_connected) {
                Some(round_trip) => format!(
                    "{round_trip:.1} ms, {:.1} % lost, {rate:.0} datagrams a second",
                    loss.unwrap_or_default()
                ),
                None => "no connection".to_owned(),
            };
            output::below(&shown);
        }
    }

    /// The line about the connection makes room.
    pub(super) fn clear(self) {
        if self.is_terminal {
            output::below("");
        }
    }

    fn show(self, text: impl FnOnce() -> String, value: impl FnOnce() -> Value) {
        self.clear();
        output::line(&if self.json { value().to_string() } else { text() });
    }
}

/// From when on something is counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since {
    at: Instant,
    statistics: Statistics,
}

impl Since {
    pub(super) fn now(statistics: Statistics) -> Self {
        Self { at: Instant::now(), statistics }
    }
}

/// How often figures are shown.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// Feedback as members of an object.
fn fields(feedback: &Feedback) -> Value {
    match feedback {
        Feedback::Rumble { low, high, left_trigger, right_trigger, .. } => {
            json!({"rumble": {
                "low": low, "high": high, "left_trigger": left_trigger, "right_trigger": right_trigger,
            }})
        }
        Feedback::Lamps(on) => json!({"lamps": on}),
        Feedback::LightBar(colour) => json!({"light_bar": colour}),
        Feedback::Blink { on_ms, off_ms } => json!({"blink": {"on_ms": on_ms, "off_ms": off_ms}}),
        Feedback::PlayerLights { on, blinking } => {
            json!({"player_lights": {"on": on, "blinking": blinking}})
        }
        Feedback::MuteLight(state) => json!({"mute_light": state}),
        Feedback::HomeLight(brightness) => json!({"home_light": brightness}),
        Feedback::LeftTrigger(effect) => json!({"left_trigger": effect}),
        Feedback::RightTrigger(effect) => json!({"right_trigger": effect}),
        _ => json!({}),
    }
}
