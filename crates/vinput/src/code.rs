//! Event types and codes of evdev, and their names.

mod table;

use std::fmt;

use serde::Deserialize;

use crate::suggest::nearest;

/// An event type (`EV_*` in include/uapi/linux/input-event-codes.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum EventType {
    /// `EV_SYN`: separates events into frames.
    Syn = 0x00,
    /// `EV_KEY`: keys and buttons.
    Key = 0x01,
    /// `EV_REL`: relative axes, such as mouse motion.
    Rel = 0x02,
    /// `EV_ABS`: absolute axes, such as sticks and triggers.
    Abs = 0x03,
    /// `EV_MSC`: miscellaneous.
    Msc = 0x04,
    /// `EV_SW`: switches, such as a laptop's lid.
    Sw = 0x05,
    /// `EV_LED`: lights, set by programs.
    Led = 0x11,
    /// `EV_SND`: simple sounds, made by programs.
    Snd = 0x12,
    /// `EV_REP`: key repeat, done by the kernel.
    Rep = 0x14,
    /// `EV_FF`: force feedback, played by programs.
    Ff = 0x15,
}

/// What an event is about: a button, an axis, a light.
///
/// Ordered by type, then by number.
///
/// ```
/// use vinput::{EventCode, EventType};
///
/// let south = EventCode::from_name("BTN_SOUTH").unwrap();
/// assert_eq!(south, EventCode { kind: EventType::Key, code: 0x130 });
/// assert_eq!(EventCode::from_name("BTN_A"), Some(south));
/// assert_eq!(south.name(), Some("BTN_SOUTH"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct EventCode {
    /// The event type.
    pub kind: EventType,
    /// The number within the type.
    pub code: u16,
}

impl EventCode {
    /// The code of this name in include/uapi/linux/input-event-codes.h (for `FF_*`,
    /// include/uapi/linux/input.h), in capitals; aliases such as `BTN_A` included.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let (_, kind, code) = table::CODES.iter().find(|(known, ..)| *known == name)?;
        Some(Self { kind: *kind, code: *code })
    }

    /// The code of a text such as `EV_KEY:0x12c`, for those that have no name.
    fn from_number(text: &str) -> Option<Self> {
        let (kind, number) = text.split_once(":0x")?;
        let (kind, codes) = match kind {
            "EV_KEY" => (EventType::Key, 0x300), // KEY_CNT
            "EV_REL" => (EventType::Rel, 0x10),  // REL_CNT
            "EV_ABS" => (EventType::Abs, 0x40),  // ABS_CNT
            _ => return None,
        };
        let code = u16::from_str_radix(number, 16).ok().filter(|code| *code < codes)?;
        Some(Self { kind, code })
    }

    /// The kernel's name for this code, or `None` for a number that has none. Of several names, the
    /// one that says most: `BTN_SOUTH` rather than `BTN_A` or `BTN_GAMEPAD`.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        let (name, ..) =
            table::CODES.iter().find(|(_, kind, code)| (*kind, *code) == (self.kind, self.code))?;
        Some(name)
    }
}

/// The name, or type and number where there is none, as `EV_KEY:0x12c`. Profiles take both.
impl fmt::Display for EventCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => {
                let kind = format!("{:?}", self.kind).to_uppercase();
                write!(f, "EV_{kind}:{:#x}", self.code)
            }
        }
    }
}

/// By name, for serde; the error is for people.
impl TryFrom<String> for EventCode {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::from_name(&name).or_else(|| Self::from_number(&name)).ok_or_else(|| {
            let hint = match nearest(&name, table::CODES.iter().map(|(known, ..)| *known)) {
                Some(known) => format!("did you mean {known}?"),
                None => "expected a name from linux/input-event-codes.h, like BTN_SOUTH".to_owned(),
            };
            format!("unknown event code {name:?}: {hint}")
        })
    }
}

/// A property of a whole device (`INPUT_PROP_*` in include/uapi/linux/input-event-codes.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Property(pub(crate) u16);

impl Property {
    /// `INPUT_PROP_POINTER`: moves a pointer, as touchpads do.
    pub(crate) const POINTER: Self = Self(0);

    /// Its name, if it has one.
    pub(crate) fn name(self) -> Option<&'static str> {
        let (name, _) = table::PROPERTIES.iter().find(|(_, number)| *number == self.0)?;
        Some(name)
    }
}

impl TryFrom<String> for Property {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match table::PROPERTIES.iter().find(|(known, _)| *known == name) {
            Some((_, number)) => Ok(Self(*number)),
            None => {
                let known: Vec<_> = table::PROPERTIES.iter().map(|(known, _)| *known).collect();
                Err(format!("unknown property {name:?}, expected one of {}", known.join(", ")))
            }
        }
    }
}

#[cfg(test)]
mod tests;
