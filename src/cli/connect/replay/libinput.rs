//! The format of `libinput record`, version 1 (libinput-record(1)): YAML, of which that program writes the same form line by
//! line, so lines are what is read here. A reader of all of YAML would be the largest part of this program (docs/dependencies.md).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use evdev::{EventType, InputEvent};

use super::Recorded;
use crate::cli::connect::abilities::Abilities;
use crate::cli::connect::axis::Axis;

/// Which list the lines are of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Other,
    Codes,
    Ranges,
    Events,
}

pub(super) fn parse(text: &str) -> Result<Vec<Recorded>> {
    let mut devices: Vec<Recorded> = Vec::new();
    let mut part = Part::Other;
    for (number, line) in (1..).zip(text.lines()) {
        let at = || format!("line {number}: `{line}`");
        let said = without_comment(line);
        if said.starts_with("version:") {
            ensure!(said == "version: 1", "only version 1 of libinput's format is known");
        }
        if said.starts_with("- node:") {
            devices.push(Recorded::default());
            part = Part::Other;
            continue;
        }
        let Some(device) = devices.last_mut() else { continue };
        let abilities = &mut device.abilities;
        let said = said.trim_start();
        match (said.split_once(':'), part) {
            (Some(("name", name)), _) => {
                abilities.name = name.trim().trim_matches('"').to_owned();
            }
            (Some(("id", list)), _) => identity(list, abilities).with_context(at)?,
            (Some(("properties", list)), _) if list.trim_start().starts_with('[') => {
                let list: Vec<u16> = numbers(list).with_context(at)?;
                abilities.properties.extend(list);
            }
            (Some(("codes", "")), _) => part = Part::Codes,
            (Some(("absinfo", "")), _) => part = Part::Ranges,
            (Some(("events", "")), _) => part = Part::Events,
            (Some((kind, list)), Part::Codes) if kind.parse::<u16>().is_ok() => {
                codes(kind.parse()?, list, abilities).with_context(at)?;
            }
            (Some((code, list)), Part::Ranges) if code.parse::<u16>().is_ok() => {
                let axis = range(list).with_context(at)?;
                abilities.absolute.insert(code.parse()?, axis);
            }
            // Events of evdev are lists in a list; libinput's own, which may be there too, are objects.
            (_, Part::Events) if said.starts_with("- [") => {
                device.events.push(event(&said[2..]).with_context(at)?);
            }
            (_, Part::Events) => {}
            _ => part = if said.is_empty() { part } else { Part::Other },
        }
    }
    Ok(devices)
}

/// A comment begins with `#` at the beginning or after a space; names are in quotes.
fn without_comment(line: &str) -> &str {
    let end = match line.trim_start().strip_prefix('#') {
        Some(_) => 0,
        None if line.contains('"') => line.len(),
        None => line.find(" #").unwrap_or(line.len()),
    };
    line[..end].trim_end()
}

/// `[1, 2, 3]`.
fn numbers<T: std::str::FromStr>(list: &str) -> Result<Vec<T>> {
    let list = list.trim().strip_prefix('[').and_then(|list| list.strip_suffix(']'));
    let words = list.context("no list")?.split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| word.parse().ok().with_context(|| format!("`{word}` is no number here")))
        .collect()
}

/// `[bus, vendor, product, version]`.
fn identity(list: &str, abilities: &mut Abilities) -> Result<()> {
    let list: Vec<u16> = numbers(list)?;
    let [_, vendor, product, ..] = list.as_slice() else { anyhow::bail!("too short") };
    (abilities.vendor, abilities.product) = (*vendor, *product);
    Ok(())
}

fn codes(kind: u16, list: &str, abilities: &mut Abilities) -> Result<()> {
    let codes: Vec<u16> = numbers(list)?;
    match EventType(kind) {
        EventType::KEY => abilities.keys.extend(codes),
        EventType::RELATIVE => abilities.relative.extend(codes),
        EventType::ABSOLUTE => {
            for code in codes {
                abilities.absolute.entry(code).or_default();
            }
        }
        _ => {}
    }
    Ok(())
}

/// `[minimum, maximum, fuzz, flat, resolution]`.
fn range(list: &str) -> Result<Axis> {
    let list: Vec<i32> = numbers(list)?;
    let [least, most, _, _, resolution, ..] = list.as_slice() else { anyhow::bail!("too short") };
    Ok(Axis { least: *least, most: *most, resolution: *resolution })
}

/// `[seconds, microseconds, type, code, value]`.
fn event(list: &str) -> Result<(Duration, InputEvent)> {
    let list: Vec<i64> = numbers(list)?;
    let [seconds, micros, kind, code, value] = list.as_slice() else {
        anyhow::bail!("an event has five numbers")
    };
    let time = Duration::from_secs(u64::try_from(*seconds)?)
        .checked_add(Duration::from_micros(u64::try_from(*micros)?))
        .context("no time")?;
    let event =
        InputEvent::new(u16::try_from(*kind)?, u16::try_from(*code)?, i32::try_from(*value)?);
    Ok((time, event))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As libinput 1.26 writes it, shortened.
    const TWO: &str = r#"# libinput record
version: 1
ndevices: 2
libinput:
  version: "1.26.0"
  git: "unknown"
system:
  os: "debian:13"
  kernel: "6.12.0"
devices:
- node: /dev/input/event5
  evdev:
    # Name: A # mouse
    # ID: bus 0x3 vendor 0x46d product 0xc077 version 0x111
    name: "A # mouse"
    id: [3, 1133, 49271, 273]
    codes:
      0: [0, 1, 2, 3] # EV_SYN
      1: [272, 273, 274] # EV_KEY
      2: [0, 1, 8] # EV_REL
    properties: []
  hid: [
    0x05, 0x01
  ]
  udev:
    properties:
    - ID_INPUT=1
    - ID_INPUT_MOUSE=1
  quirks:
  events:
  # Current time is 12:00:00
  - evdev:
    - [  0,      0,   2,   0,      -1] # EV_REL / REL_X                 -1
    - [  0,      0,   0,   0,       0] # ------------ SYN_REPORT (0) ----------
  - evdev:
    - [  1, 250000,   1, 272,       1] # EV_KEY / BTN_LEFT              1
    - [  1, 250000,   0,   0,       0] # ------------ SYN_REPORT (0) ---------- +1250ms
- node: /dev/input/event6
  evdev:
    name: "A screen"
    id: [3, 1, 2, 3]
    codes:
      0: [0] # EV_SYN
      1: [330] # EV_KEY
      3: [47, 53, 54, 57] # EV_ABS
    absinfo:
      47: [0, 9, 0, 0, 0]
      53: [0, 4095, 0, 0, 12]
      54: [0, 4095, 0, 0, 12]
      57: [0, 65535, 0, 0, 0]
    properties: [1]
  events:
  - evdev:
    - [  0,    100,   3,  57,       7] # EV_ABS / ABS_MT_TRACKING_ID    7
"#;

    #[test]
    fn several_devices_are_read() {
        let devices = parse(TWO).unwrap();
        let profiles: Vec<_> = devices.iter().map(|device| device.abilities.profile()).collect();
        assert_eq!(profiles, [Some("mouse"), Some("touchscreen")]);
        let [mouse, screen] = devices.as_slice() else { panic!("two devices") };
        assert_eq!(mouse.abilities.name, "A # mouse");
        assert_eq!((mouse.abilities.vendor, mouse.abilities.product), (0x046d, 0xc077));
        let axis = Axis { least: 0, most: 4095, resolution: 12 };
        assert_eq!(screen.abilities.absolute[&53], axis);
        let plain: Vec<_> = mouse
            .events
            .iter()
            .map(|(time, event)| (time.as_micros(), event.code(), event.value()))
            .collect();
        assert_eq!(plain, [(0, 0, -1), (0, 0, 0), (1_250_000, 272, 1), (1_250_000, 0, 0)]);
        assert_eq!(screen.events.len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            lines in "([ -]{0,6}(id|codes|absinfo|events|properties|[0-9]{1,5}|)[:\\[\\], 0-9-]{0,30}\n){0,8}",
        ) {
            let _read_or_refused = parse(&format!("devices:\n- node: a\n{lines}"));
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let head = "devices:\n- node: /dev/input/event0\n";
        for wrong in
            ["  events:\n  - [1, 2]", "    codes:\n      1: [a]", "    absinfo:\n      1: [1]"]
        {
            let error = parse(&format!("{head}{wrong}\n")).unwrap_err();
            assert!(error.to_string().starts_with("line 4: "), "{wrong}: {error:#}");
        }
        assert!(parse("version: 2\n").is_err());
    }
}
