//! `--replay`: records of `evemu-record` and `libinput record`.

mod evemu;
mod libinput;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use evdev::InputEvent;
use hotseat_client::Client;
use tokio::time::Instant;

use super::abilities::Abilities;
use super::mapping::{Mapper, Outcome};
use super::status::Status;

/// What was recorded: devices, and what each did when.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Recording(Vec<Recorded>);

/// A device and what it did.
#[derive(Debug, Default)]
struct Recorded {
    abilities: Abilities,
    /// Since any instant that is the same for all devices.
    events: Vec<(Duration, InputEvent)>,
}

impl PartialEq for Recorded {
    fn eq(&self, other: &Self) -> bool {
        let plain = |recorded: &Self| -> Vec<_> {
            let events = recorded.events.iter();
            events
                .map(|(time, event)| (*time, event.event_type(), event.code(), event.value()))
                .collect()
        };
        self.abilities == other.abilities && plain(self) == plain(other)
    }
}

impl Recording {
    /// Reads a record of either program.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let is_libinput = text.lines().any(|line| line.trim_end() == "devices:");
        let devices = if is_libinput { libinput::parse(text)? } else { vec![evemu::parse(text)?] };
        if devices.is_empty() {
            bail!("there is no device in it");
        }
        Ok(Self(devices))
    }

    /// Plays it, each event at its time after the first one.
    pub(super) async fn play(&self, client: &Client, status: Status) -> Result<()> {
        let mut players = Vec::new();
        for (slot, Recorded { abilities, .. }) in (0..).zip(&self.0) {
            let what = &abilities.name;
            let profile = abilities.profile();
            let nothing = || format!("\"{what}\" is nothing to play with");
            let profile = profile.with_context(nothing)?;
            let mapper = Mapper::new(abilities).with_context(nothing)?;
            let device = client.plug(slot, profile).await?;
            status.note(&format!("replaying \"{what}\" as {profile}, slot {slot}"));
            players.push((device, mapper));
        }
        let mut all: Vec<(Duration, usize, InputEvent)> = Vec::new();
        for (number, recorded) in self.0.iter().enumerate() {
            all.extend(recorded.events.iter().map(|(time, event)| (*time, number, *event)));
        }
        // Stable: what one device did stays in its order.
        all.sort_by_key(|(time, ..)| *time);
        let Some(first) = all.first().map(|(time, ..)| *time) else { return Ok(()) };
        let start = Instant::now();
        for (time, number, event) in all {
            let at = start.checked_add(time - first).context("the record lasts too long")?;
            tokio::time::sleep_until(at).await;
            let (device, mapper) = &mut players[number];
            // What the record has lost cannot be asked for.
            if let Outcome::Report(changes @ [_, ..]) = mapper.take(event) {
                device.changes(changes);
            }
        }
        for (device, _) in &players {
            device.release();
        }
        Ok(())
    }
}
