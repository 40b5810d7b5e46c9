//! What programs tell a pad, as a Moonlight client is told.

use hotseat_wire::moonlight::Output;

use crate::events::Feedback;

/// `None` for what such clients have no word for.
pub(super) fn output(feedback: &Feedback) -> Option<Output> {
    Some(match feedback {
        Feedback::Rumble { strong, weak } => {
            Output::Rumble { low: level(*strong), high: level(*weak) }
        }
        Feedback::LightBar { red, green, blue } => Output::Light([*red, *green, *blue]),
        Feedback::TriggerEffect { trigger, effect } if trigger == "left" => {
            Output::TriggerEffects { left: Some(*effect), right: None }
        }
        Feedback::TriggerEffect { effect, .. } => {
            Output::TriggerEffects { left: None, right: Some(*effect) }
        }
        _ => return None,
    })
}

/// 0 to 1 as 0 to 65535.
fn level(level: f32) -> u16 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and makes 0 of what is not a number"
    )]
    let level = (level * f32::from(u16::MAX)).round() as u16;
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_what_it_has_words_for() {
        let rumble = output(&Feedback::Rumble { strong: 1.0, weak: 0.5 });
        assert_eq!(rumble, Some(Output::Rumble { low: 65535, high: 32768 }));
        let light = output(&Feedback::LightBar { red: 1, green: 2, blue: 3 });
        assert_eq!(light, Some(Output::Light([1, 2, 3])));
        for (trigger, expected) in [
            ("left", Output::TriggerEffects { left: Some([7; 11]), right: None }),
            ("right", Output::TriggerEffects { left: None, right: Some([7; 11]) }),
        ] {
            let effect = Feedback::TriggerEffect { trigger: trigger.to_owned(), effect: [7; 11] };
            assert_eq!(output(&effect), Some(expected));
        }
        assert_eq!(output(&Feedback::Gain { level: 1.0 }), None);
    }
}
