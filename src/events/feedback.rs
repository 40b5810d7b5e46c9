//! What programs tell a device to do, as clients are told of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vinput::feedback::{Command, Effect};
use vinput::{hid, uhid};

/// What a program told a device to do. It holds until the program says otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Feedback {
    /// Run the motors of a pad.
    Rumble {
        /// The heavy one: 0 is off, 1 is full.
        strong: f32,
        /// The light one.
        weak: f32,
    },
    /// Switch a light of a keyboard.
    Led {
        /// The kernel's name of it, such as `LED_CAPSL`.
        led: String,
        /// Whether it is to be on.
        on: bool,
    },
    /// Play an effect of a wheel or stick, from its start.
    EffectStart {
        /// The effect, with the members of the kernel's `struct ff_effect` and in its units.
        #[schema(value_type = Object)]
        effect: serde_json::Value,
    },
    /// Stop an effect.
    EffectStop {
        /// Its `id`.
        id: u16,
    },
    /// The strength of all effects.
    Gain {
        /// 0 to 1.
        level: f32,
    },
    /// How hard a wheel returns to its centre by itself.
    Autocenter {
        /// 0 to 1.
        level: f32,
    },
    /// The colour of the light bar.
    LightBar {
        /// 0 to 255.
        red: u8,
        /// 0 to 255.
        green: u8,
        /// 0 to 255.
        blue: u8,
    },
    /// The light bar blinks; both 0: it no longer does.
    LightBarBlink {
        /// Milliseconds that it is on.
        on_ms: u16,
        /// Milliseconds that it is off.
        off_ms: u16,
    },
    /// The row of lights that says which player this is.
    PlayerLights {
        /// Bit 0 is the leftmost one.
        on: u8,
        /// Those that blink.
        blinking: u8,
    },
    /// The light in the mute button: `off`, `on` or `pulse`.
    MuteLight {
        /// What it does.
        state: String,
    },
    /// The light around the Home button.
    HomeLight {
        /// 0 is off, 1 is full.
        level: f32,
    },
    /// The resistance of a trigger.
    TriggerEffect {
        /// `left` or `right`.
        trigger: String,
        /// The kind of effect and its ten parameters, as a DualSense takes them.
        effect: [u8; 11],
    },
    /// A report of a HID device of the user's own, whose meaning is the user's affair.
    Report {
        /// `output` or `feature`.
        report: String,
        /// The report in hexadecimal digits: its number first, where the device numbers its reports.
        data: String,
    },
}

/// 0 to 0xffff as 0 to 1.
fn level(value: u16) -> f32 {
    f32::from(value) / f32::from(u16::MAX)
}

fn effect(effect: &Effect) -> serde_json::Value {
    // A structure of numbers and names: it can be written as JSON.
    serde_json::to_value(effect).unwrap_or_default()
}

impl Feedback {
    /// What it is about: a later one of the same topic takes its place. `None` where nobody can tell what holds.
    pub(crate) fn topic(&self) -> Option<String> {
        Some(match self {
            Self::Rumble { .. } => "rumble".to_owned(),
            Self::Led { led, .. } => format!("led {led}"),
            Self::Gain { .. } => "gain".to_owned(),
            Self::Autocenter { .. } => "autocenter".to_owned(),
            Self::LightBar { .. } => "light-bar".to_owned(),
            Self::LightBarBlink { .. } => "light-bar-blink".to_owned(),
            Self::PlayerLights { .. } => "player-lights".to_owned(),
            Self::MuteLight { .. } => "mute-light".to_owned(),
            Self::HomeLight { .. } => "home-light".to_owned(),
            Self::TriggerEffect { trigger, .. } => format!("trigger {trigger}"),
            // An effect has a length and may be over; a report means what only its user knows.
            Self::EffectStart { .. } | Self::EffectStop { .. } | Self::Report { .. } => {
                return None;
            }
        })
    }

    /// What a device of uinput is told; `None` for what there is no word for yet.
    pub(crate) fn of_command(command: Command) -> Option<Self> {
        Some(match command {
            Command::Led { code, on } => Self::Led { led: code.to_string(), on },
            Command::Rumble(rumble) => {
                Self::Rumble { strong: level(rumble.strong), weak: level(rumble.weak) }
            }
            Command::Start(started) => Self::EffectStart { effect: effect(&started) },
            Command::Stop { id } => Self::EffectStop { id },
            Command::Gain(gain) => Self::Gain { level: level(gain) },
            Command::Autocenter(strength) => Self::Autocenter { level: level(strength) },
            _ => return None,
        })
    }

    /// What a HID device of the user's own is told.
    pub(crate) fn of_hid(output: &hid::Output) -> Self {
        let report = match output.kind {
            hid::ReportKind::Feature => "feature",
            _ => "output",
        };
        let data = output.data.iter().map(|byte| format!("{byte:02x}")).collect();
        Self::Report { report: report.to_owned(), data }
    }

    /// What a pad of uhid is told; `None` for what there is no word for yet.
    pub(crate) fn of_pad(feedback: uhid::Feedback) -> Option<Self> {
        use uhid::Feedback as F;
        Some(match feedback {
            F::Rumble { low, high } => Self::Rumble { strong: low, weak: high },
            F::Lightbar { red, green, blue } => Self::LightBar { red, green, blue },
            F::LightbarBlink { on_ms, off_ms } => Self::LightBarBlink { on_ms, off_ms },
            F::PlayerLeds { on, blinking } => Self::PlayerLights { on, blinking },
            F::MuteLed(state) => {
                let state = match state {
                    uhid::MuteLed::Off => "off",
                    uhid::MuteLed::On => "on",
                    uhid::MuteLed::Pulse => "pulse",
                };
                Self::MuteLight { state: state.to_owned() }
            }
            F::HomeLed(level) => Self::HomeLight { level },
            F::TriggerEffect { trigger, effect } => {
                let trigger = match trigger {
                    uhid::Trigger::Left => "left",
                    uhid::Trigger::Right => "right",
                };
                Self::TriggerEffect { trigger: trigger.to_owned(), effect }
            }
            _ => return None,
        })
    }
}
