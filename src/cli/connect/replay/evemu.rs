//! The format of evemu, up to version 1.3 (evemu's README.md): a line begins with a letter that says what it is.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use evdev::{EventType, InputEvent};

use super::Recorded;
use crate::cli::connect::axis::Axis;

pub(super) fn parse(text: &str) -> Result<Recorded> {
    let mut recorded = Recorded::default();
    let mut bytes = Bytes::default();
    let mut has_name = false;
    for (number, line) in (1..).zip(text.lines()) {
        let at = || format!("line {number}: `{line}`");
        // Comments of events are behind a tab.
        let said = line.split(['#', '\t']).next().unwrap_or_default().trim_end();
        let Some((letter, rest)) = said.split_once(':') else { continue };
        match letter {
            "N" => {
                recorded.abilities.name = rest.trim().to_owned();
                has_name = true;
            }
            "I" => identity(rest, &mut recorded).with_context(at)?,
            "P" => {
                let bits = bytes.next(PROPERTIES, rest).with_context(at)?;
                recorded.abilities.properties.extend(bits);
            }
            "B" => capabilities(rest, &mut bytes, &mut recorded).with_context(at)?,
            "A" => axis(rest, &mut recorded).with_context(at)?,
            "E" => recorded.events.push(event(rest).with_context(at)?),
            // Lamps and switches as they were; what a later version adds.
            _ => {}
        }
    }
    ensure!(has_name, "it is no record: it names no device (a line `N: NAME`)");
    Ok(recorded)
}

/// Properties in the place of a type, as there is none of this number.
const PROPERTIES: u16 = u16::MAX;

/// How many bytes of each bitmap were read: a bitmap has several lines.
#[derive(Default)]
struct Bytes(std::collections::BTreeMap<u16, u16>);

impl Bytes {
    /// The bits that a line sets.
    fn next(&mut self, of: u16, line: &str) -> Result<Vec<u16>> {
        let read = self.0.entry(of).or_default();
        let mut bits = Vec::new();
        for byte in line.split_whitespace() {
            let byte = u8::from_str_radix(byte, 16).context("no byte")?;
            let set = (0..8).filter(|bit| byte >> bit & 1 == 1);
            bits.extend(set.map(|bit| read.saturating_mul(8).saturating_add(bit)));
            *read = read.saturating_add(1);
        }
        Ok(bits)
    }
}

/// `BUS VENDOR PRODUCT VERSION`, hexadecimal.
fn identity(rest: &str, recorded: &mut Recorded) -> Result<()> {
    let mut words = rest.split_whitespace().skip(1);
    let mut next = || {
        let word = words.next().context("too short")?;
        u16::from_str_radix(word, 16).context("no hexadecimal number")
    };
    recorded.abilities.vendor = next()?;
    recorded.abilities.product = next()?;
    Ok(())
}

/// `TYPE BYTE...`, hexadecimal.
fn capabilities(rest: &str, bytes: &mut Bytes, recorded: &mut Recorded) -> Result<()> {
    let (kind, rest) = rest.trim_start().split_once(' ').context("too short")?;
    let kind = u16::from_str_radix(kind, 16).context("no hexadecimal number")?;
    let bits = bytes.next(kind, rest)?;
    match EventType(kind) {
        EventType::KEY => recorded.abilities.keys.extend(bits),
        EventType::RELATIVE => recorded.abilities.relative.extend(bits),
        EventType::ABSOLUTE => {
            for code in bits {
                recorded.abilities.absolute.entry(code).or_default();
            }
        }
        _ => {}
    }
    Ok(())
}

/// `CODE MIN MAX FUZZ FLAT RESOLUTION`, the code hexadecimal; version 1.0 has no resolution.
fn axis(rest: &str, recorded: &mut Recorded) -> Result<()> {
    let mut words = rest.split_whitespace();
    let code = u16::from_str_radix(words.next().context("too short")?, 16);
    let code = code.context("no hexadecimal number")?;
    let numbers: Vec<i32> =
        words.map(|word| word.parse().context("no number")).collect::<Result<_>>()?;
    let [least, most, rest @ ..] = numbers.as_slice() else {
        anyhow::bail!("too short");
    };
    let resolution = rest.get(2).copied().unwrap_or_default();
    let axis = Axis { least: *least, most: *most, resolution };
    recorded.abilities.absolute.insert(code, axis);
    Ok(())
}

/// `SECONDS.MICROSECONDS TYPE CODE VALUE`, type and code hexadecimal.
fn event(rest: &str) -> Result<(Duration, InputEvent)> {
    let mut words = rest.split_whitespace();
    let mut next = || words.next().context("too short");
    let (seconds, micros) = next()?.split_once('.').context("no time")?;
    let (seconds, micros): (u64, u64) = (seconds.parse()?, micros.parse()?);
    let time = Duration::from_secs(seconds).checked_add(Duration::from_micros(micros));
    let kind = u16::from_str_radix(next()?, 16).context("no type")?;
    let code = u16::from_str_radix(next()?, 16).context("no code")?;
    let value = next()?.parse().context("no value")?;
    Ok((time.context("no time")?, InputEvent::new(kind, code, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUSE: &str = "\
# EVEMU 1.3
# Kernel: 6.1.0
N: Logitech USB Optical Mouse
I: 0003 046d c077 0111
P: 00 00 00 00 00 00 00 00
B: 00 0b 00 00 00 00 00 00 00
B: 01 00 00 00 00 00 00 00 00
B: 01 00 00 00 00 00 00 00 00
B: 01 00 00 00 00 00 00 00 00
B: 01 00 00 00 00 00 00 00 00
B: 01 00 00 07 00 00 00 00 00
B: 02 03 01 00 00 00 00 00 00
A: 00 0 255 0 0 12
################################
#      Waiting for events      #
################################
E: 0.000001 0002 0000 -001\t# EV_REL / REL_X                -1
E: 0.000001 0000 0000 0000\t# ------------ SYN_REPORT (0) ---------- +0ms
E: 1.250000 0001 0110 0001\t# EV_KEY / BTN_LEFT             1
";

    #[test]
    fn a_mouse_is_read() {
        let Recorded { abilities, events } = parse(MOUSE).unwrap();
        assert_eq!(abilities.name, "Logitech USB Optical Mouse");
        assert_eq!((abilities.vendor, abilities.product), (0x046d, 0xc077));
        assert_eq!(abilities.keys, [0x110, 0x111, 0x112].into());
        assert_eq!(abilities.relative, [0, 1, 8].into());
        let axis = Axis { least: 0, most: 255, resolution: 12 };
        assert_eq!(abilities.absolute, [(0, axis)].into());
        assert_eq!(abilities.profile(), Some("mouse"));
        let plain: Vec<_> = events
            .iter()
            .map(|(time, event)| (time.as_micros(), event.code(), event.value()))
            .collect();
        assert_eq!(plain, [(1, 0, -1), (1, 0, 0), (1_250_000, 0x110, 1)]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(lines in "(([NIPBAE]: )?[0-9a-fx. -]{0,30}\n){0,8}") {
            let _read_or_refused = parse(&format!("N: a\n{lines}"));
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for wrong in
            ["E: 0.0 0002 0000", "E: x 0 0 0", "I: 0003", "B: 01 zz", "A: 00 1", "A: 0 x 1"]
        {
            let error = parse(&format!("N: a\n{wrong}\n")).unwrap_err();
            assert!(error.to_string().starts_with("line 2: "), "{wrong}: {error:#}");
        }
        assert!(parse("").unwrap_err().to_string().contains("no record"));
    }
}
