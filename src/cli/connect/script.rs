//! `--script`: what a player does, as text (docs/connect.md).

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hotseat_client::{Client, Device};
use hotseat_wire::State;

use super::controls::{self, Set};
use super::status::Status;
use crate::session::LAST_SLOT;

/// A line of a script.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Plug { slot: u8, profile: String },
    Unplug { slot: u8 },
    Release { slot: u8 },
    Set { slot: u8, sets: Vec<Set> },
    Wait(Duration),
}

/// A script: its steps with the numbers of their lines.
#[derive(Debug, PartialEq)]
pub(super) struct Script(Vec<(usize, Step)>);

impl Script {
    /// Reads a script as a whole, so that a mistake at its end is told before anything is done.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut steps = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split_once('#').map_or(line, |(before, _)| before);
            if line.trim().is_empty() {
                continue;
            }
            let step = step(line).with_context(|| format!("line {number}: `{}`", line.trim()))?;
            steps.push((number, step));
        }
        Ok(Self(steps))
    }

    /// Plays it, each step at its time.
    pub(super) async fn play(&self, client: &Client, status: Status) -> Result<()> {
        let mut devices: BTreeMap<u8, Device> = BTreeMap::new();
        // Waits are counted from the beginning, so that their little delays do not add up.
        let mut time = tokio::time::Instant::now();
        for (number, step) in &self.0 {
            let at = || format!("line {number} of the script");
            match step {
                Step::Plug { slot, profile } => {
                    let device = client.plug(*slot, profile).await.with_context(at)?;
                    status.plugged(*slot, profile);
                    devices.insert(*slot, device);
                    // From here, as nobody knows how long a plug takes.
                    time = tokio::time::Instant::now();
                }
                Step::Unplug { slot } => {
                    let device =
                        devices.remove(slot).context("the slot is empty").with_context(at)?;
                    device.unplug().await.with_context(at)?;
                }
                Step::Release { slot } => plugged(&devices, *slot).with_context(at)?.release(),
                Step::Set { slot, sets } => {
                    let device = plugged(&devices, *slot).with_context(at)?;
                    let state = device.state().unwrap_or_default();
                    device.changes(&changes(device, &state, sets).with_context(at)?);
                }
                Step::Wait(duration) => {
                    time = time
                        .checked_add(*duration)
                        .context("it lasts too long")
                        .with_context(at)?;
                    tokio::time::sleep_until(time).await;
                }
            }
        }
        Ok(())
    }
}

fn plugged(devices: &BTreeMap<u8, Device>, slot: u8) -> Result<&Device> {
    devices.get(&slot).context("the slot is empty")
}

fn changes(device: &Device, state: &State, sets: &[Set]) -> Result<Vec<hotseat_wire::Change>> {
    controls::changes(|kind| device.takes(kind), state, sets)
}

fn step(line: &str) -> Result<Step> {
    let mut words = line.split_whitespace();
    let verb = words.next().unwrap_or_default();
    let rest: Vec<&str> = words.collect();
    Ok(match (verb, rest.as_slice()) {
        ("plug", [slot, profile]) => {
            Step::Plug { slot: number(slot)?, profile: (*profile).to_owned() }
        }
        ("unplug", [slot]) => Step::Unplug { slot: number(slot)? },
        ("release", [slot]) => Step::Release { slot: number(slot)? },
        ("wait", [duration]) => Step::Wait(wait(duration)?),
        (slot, [_, ..]) if slot.starts_with(|first: char| first.is_ascii_digit()) => {
            let sets = rest.iter().map(|word| word.parse()).collect::<Result<_>>()?;
            Step::Set { slot: number(slot)?, sets }
        }
        _ => bail!(
            "a line is `plug SLOT PROFILE`, `unplug SLOT`, `release SLOT`, `wait TIME` or `SLOT CONTROL=VALUE...`"
        ),
    })
}

fn number(slot: &str) -> Result<u8> {
    let number = slot.parse().ok().filter(|slot| *slot <= LAST_SLOT);
    number.context("a slot is 0 to 31")
}

/// `1500us`, `100ms`, `2s`, also with a fraction.
fn wait(text: &str) -> Result<Duration> {
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let found = units.iter().find_map(|(unit, seconds)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        Duration::try_from_secs_f64(number * seconds).ok()
    });
    found.context("a time is a number and us, ms or s, such as 100ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_steps_and_comments() {
        let text =
            "# a jump\nplug 0 xbox-one\n\n0 south=1 lx=-0.5 # now\nwait 100ms\nrelease 0\nunplug 0";
        let script = Script::parse(text).unwrap();
        let sets = vec!["south=1".parse().unwrap(), "lx=-0.5".parse().unwrap()];
        let expected = [
            (2, Step::Plug { slot: 0, profile: "xbox-one".to_owned() }),
            (4, Step::Set { slot: 0, sets }),
            (5, Step::Wait(Duration::from_millis(100))),
            (6, Step::Release { slot: 0 }),
            (7, Step::Unplug { slot: 0 }),
        ];
        assert_eq!(script.0, expected);
    }

    #[test]
    fn times_have_units() {
        assert_eq!(wait("1500us").unwrap(), Duration::from_micros(1500));
        assert_eq!(wait("0.5s").unwrap(), Duration::from_millis(500));
        for wrong in ["", "1", "ms", "-1s", "1e300s", "nans"] {
            assert!(wait(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_script_is_told_with_its_line() {
        for wrong in [
            "plug 0",
            "plug 64 mouse",
            "0",
            "0 south",
            "0 south=x",
            "0 north-west=1",
            "jump 0",
            "wait",
            "unplug a",
            "0 south=inf",
        ] {
            let error = Script::parse(&format!("plug 0 mouse\n{wrong}")).unwrap_err();
            assert!(error.to_string().starts_with("line 2: "), "{error:#}");
        }
    }
}
