//! What programs have told a device, as the protocol says it.

use std::collections::BTreeMap;

use hotseat_wire::Feedback as Wire;

use crate::events::Feedback;

/// After how many milliseconds motors stop if the player hears nothing more of them. Two of the four repetitions in this
/// time may be lost, and a third.
const RUMBLE_TTL_MS: u16 = 500;

/// What holds for a device, by topic.
pub(super) type Told = BTreeMap<String, Feedback>;

/// What of `now` is to be said to somebody who was told `before`.
pub(super) fn news(before: &Told, now: &Told) -> Vec<Wire> {
    let mut news = Vec::new();
    let mut has_lamps = false;
    for (topic, feedback) in now {
        if before.get(topic) == Some(feedback) {
            continue;
        }
        if let Feedback::Led { .. } = feedback {
            // All of them are one word.
            if !has_lamps {
                has_lamps = true;
                news.push(Wire::Lamps(lamps(now)));
            }
            continue;
        }
        news.extend(word(feedback));
    }
    news
}

/// The lamps that are on: bits as in docs/protocol.md, by the kernel's names (linux/input-event-codes.h).
fn lamps(told: &Told) -> u16 {
    const NAMES: [&str; 5] = ["LED_NUML", "LED_CAPSL", "LED_SCROLLL", "LED_COMPOSE", "LED_KANA"];
    let bit = |feedback: &Feedback| match feedback {
        Feedback::Led { led, on: true } => NAMES.iter().position(|name| name == led),
        _ => None,
    };
    told.values().filter_map(bit).fold(0, |lamps, bit| lamps | 1 << bit)
}

/// `None` for what the protocol has no word for: the single effects of a wheel, and reports of a device of the user's own.
fn word(feedback: &Feedback) -> Option<Wire> {
    Some(match feedback {
        Feedback::Rumble { strong, weak } if (*strong, *weak) == (0.0, 0.0) => Wire::STILL,
        Feedback::Rumble { strong, weak } => Wire::Rumble {
            low: level(*strong),
            high: level(*weak),
            left_trigger: 0,
            right_trigger: 0,
            ttl_ms: RUMBLE_TTL_MS,
        },
        Feedback::LightBar { red, green, blue } => Wire::LightBar([*red, *green, *blue]),
        Feedback::LightBarBlink { on_ms, off_ms } => Wire::Blink { on_ms: *on_ms, off_ms: *off_ms },
        Feedback::PlayerLights { on, blinking } => {
            Wire::PlayerLights { on: *on, blinking: *blinking }
        }
        Feedback::MuteLight { state } => Wire::MuteLight(match state.as_str() {
            "on" => 1,
            "pulse" => 2,
            _ => 0,
        }),
        Feedback::HomeLight { level: brightness } => Wire::HomeLight(level(*brightness)),
        Feedback::TriggerEffect { trigger, effect } if trigger == "left" => {
            Wire::LeftTrigger(*effect)
        }
        Feedback::TriggerEffect { effect, .. } => Wire::RightTrigger(*effect),
        Feedback::Led { .. }
        | Feedback::EffectStart { .. }
        | Feedback::EffectStop { .. }
        | Feedback::Gain { .. }
        | Feedback::Autocenter { .. }
        | Feedback::Report { .. } => return None,
    })
}

/// 0 to 1 as 0 to 0xffff.
fn level(level: f32) -> u16 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is in range, and what is no number becomes 0"
    )]
    let level = (level.clamp(0.0, 1.0) * f32::from(u16::MAX)).round() as u16;
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(feedback: impl IntoIterator<Item = Feedback>) -> Told {
        feedback.into_iter().map(|it| (it.topic().unwrap(), it)).collect()
    }

    fn led(led: &str, on: bool) -> Feedback {
        Feedback::Led { led: led.to_owned(), on }
    }

    #[test]
    fn only_what_has_changed_is_said_and_lamps_together() {
        let before = told([led("LED_NUML", true), Feedback::Rumble { strong: 1.0, weak: 0.0 }]);
        assert_eq!(news(&before, &before), []);
        let now = told([
            led("LED_NUML", true),
            led("LED_CAPSL", true),
            led("LED_SCROLLL", true),
            Feedback::Rumble { strong: 0.5, weak: 1.0 },
        ]);
        let rumble = Wire::Rumble {
            low: 32768,
            high: 65535,
            left_trigger: 0,
            right_trigger: 0,
            ttl_ms: RUMBLE_TTL_MS,
        };
        assert_eq!(news(&before, &now), [Wire::Lamps(0b111), rumble]);
        let off = told([led("LED_NUML", false), led("LED_CAPSL", true)]);
        assert_eq!(news(&now, &off), [Wire::Lamps(0b10)]);
    }

    #[test]
    fn lights_and_triggers_have_their_words() {
        let effect = [2; 11];
        let trigger =
            |trigger: &str| told([Feedback::TriggerEffect { trigger: trigger.to_owned(), effect }]);
        let mute = told([Feedback::MuteLight { state: "pulse".to_owned() }]);
        let nothing = Told::new();
        assert_eq!(news(&nothing, &trigger("left")), [Wire::LeftTrigger(effect)]);
        assert_eq!(news(&nothing, &trigger("right")), [Wire::RightTrigger(effect)]);
        assert_eq!(news(&nothing, &mute), [Wire::MuteLight(2)]);
        let still = told([Feedback::Rumble { strong: 0.0, weak: 0.0 }]);
        assert_eq!(news(&nothing, &still), [Wire::STILL]);
        let home = told([Feedback::HomeLight { level: f32::NAN }]);
        assert_eq!(news(&nothing, &home), [Wire::HomeLight(0)]);
        assert_eq!(news(&nothing, &told([Feedback::Gain { level: 1.0 }])), []);
    }
}
