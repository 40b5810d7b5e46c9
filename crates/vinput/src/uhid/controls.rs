//! The controls of a pad by name, as those of a [`Profile`](crate::Profile) have names.

use std::sync::atomic::{AtomicU8, Ordering};

use super::model::Model;
use super::state::{Button, Buttons, State, Touch};
use crate::InputError;
use crate::suggest::nearest;

/// What a name stands for.
#[derive(Clone, Copy)]
enum Control {
    Button(Button),
    /// Index and axis.
    Stick(usize, usize),
    Trigger(usize),
    /// −1 is left or up.
    Rocker(Button, Button),
    /// Radians per second.
    Gyro(usize),
    /// Metres per second squared.
    Accel(usize),
    Touch(usize),
    TouchPosition(usize, usize),
    Battery,
    Charging,
}

/// Every name, with what it stands for.
const CONTROLS: [(&str, Control); 44] = [
    ("south", Control::Button(Button::South)),
    ("east", Control::Button(Button::East)),
    ("west", Control::Button(Button::West)),
    ("north", Control::Button(Button::North)),
    ("lb", Control::Button(Button::L1)),
    ("rb", Control::Button(Button::R1)),
    ("back", Control::Button(Button::Select)),
    ("start", Control::Button(Button::Start)),
    ("guide", Control::Button(Button::Guide)),
    ("ls", Control::Button(Button::L3)),
    ("rs", Control::Button(Button::R3)),
    ("lx", Control::Stick(0, 0)),
    ("ly", Control::Stick(0, 1)),
    ("rx", Control::Stick(1, 0)),
    ("ry", Control::Stick(1, 1)),
    ("lt", Control::Trigger(0)),
    ("rt", Control::Trigger(1)),
    ("dpad_x", Control::Rocker(Button::Left, Button::Right)),
    ("dpad_y", Control::Rocker(Button::Up, Button::Down)),
    ("gyro_x", Control::Gyro(0)),
    ("gyro_y", Control::Gyro(1)),
    ("gyro_z", Control::Gyro(2)),
    ("accel_x", Control::Accel(0)),
    ("accel_y", Control::Accel(1)),
    ("accel_z", Control::Accel(2)),
    ("battery", Control::Battery),
    ("charging", Control::Charging),
    ("touchpad", Control::Button(Button::Touchpad)),
    ("touch0", Control::Touch(0)),
    ("touch0_x", Control::TouchPosition(0, 0)),
    ("touch0_y", Control::TouchPosition(0, 1)),
    ("touch1", Control::Touch(1)),
    ("touch1_x", Control::TouchPosition(1, 0)),
    ("touch1_y", Control::TouchPosition(1, 1)),
    ("mute", Control::Button(Button::Mute)),
    ("left_paddle", Control::Button(Button::LeftPaddle)),
    ("right_paddle", Control::Button(Button::RightPaddle)),
    ("left_fn", Control::Button(Button::LeftFn)),
    ("right_fn", Control::Button(Button::RightFn)),
    ("capture", Control::Button(Button::Capture)),
    ("sl", Control::Button(Button::Sl)),
    ("sr", Control::Button(Button::Sr)),
    ("zl", Control::Trigger(0)),
    ("zr", Control::Trigger(1)),
];

impl Model {
    /// The names of the pad's controls. Those of sticks, triggers and buttons are those of the profiles of
    /// other pads.
    pub fn controls(self) -> impl Iterator<Item = &'static str> {
        CONTROLS.iter().map(|(name, _)| *name).filter(move |name| self.has(name))
    }

    fn has(self, name: &str) -> bool {
        let is_edge = self == Self::DualSenseEdge;
        let is_dualsense = is_edge || matches!(self, Self::DualSense | Self::DualSenseBluetooth);
        let is_joy_con = matches!(self, Self::JoyConLeft | Self::JoyConRight);
        let is_nintendo = is_joy_con || self == Self::SwitchPro;
        match name {
            "mute" => is_dualsense,
            "left_paddle" | "right_paddle" | "left_fn" | "right_fn" => is_edge,
            "sl" | "sr" => is_joy_con,
            "zl" => is_nintendo && self != Self::JoyConRight,
            "zr" => is_nintendo && self != Self::JoyConLeft,
            // Of the two halves each has its own.
            "capture" => matches!(self, Self::SwitchPro | Self::JoyConLeft),
            "guide" | "start" | "east" | "west" | "north" | "south" | "rb" | "rs" | "rx" | "ry"
            | "rt" => self != Self::JoyConLeft,
            "back" | "dpad_x" | "dpad_y" | "lb" | "ls" | "lx" | "ly" | "lt" => {
                self != Self::JoyConRight
            }
            name if name.starts_with("touch") => !is_nintendo,
            _ => true,
        }
    }

    /// Sets what the inputs say, such as `south=1`, `lx=-0.5` and `gyro_y=1.2`; what they do not name stays.
    ///
    /// Buttons and `touchN` take 0 or 1, sticks and the directional pad −1 (left, up) to 1, triggers and
    /// positions on the touchpad 0 to 1, `gyro_*` radians per second, `accel_*` metres per second squared,
    /// `battery` percent.
    ///
    /// # Errors
    ///
    /// [`InputError`] says which input is wrong, and what would be right. The state is then as before.
    pub fn apply<I>(self, state: &mut State, inputs: I) -> Result<(), InputError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut new = *state;
        let mut named = [false; CONTROLS.len()];
        for input in inputs {
            let input = input.as_ref();
            let (name, value) = input.split_once('=').ok_or_else(|| InputError::Syntax {
                input: input.to_owned(),
                example: "lx".to_owned(),
            })?;
            let name = name.trim();
            let place = CONTROLS.iter().position(|(known, _)| *known == name && self.has(known));
            let place = place.ok_or_else(|| self.unknown(name))?;
            // A program would see the second value only.
            if std::mem::replace(&mut named[place], true) {
                return Err(InputError::Repeated { control: name.to_owned() });
            }
            apply_one(&mut new, CONTROLS[place], value.trim())?;
        }
        *state = new;
        Ok(())
    }

    fn unknown(self, name: &str) -> InputError {
        let names: Vec<&str> = self.controls().collect();
        let hint = match nearest(name, names.iter().copied()) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("it has {}", names.join(", ")),
        };
        InputError::UnknownControl { profile: self.name().to_owned(), name: name.to_owned(), hint }
    }
}

fn apply_one(
    state: &mut State,
    (name, control): (&str, Control),
    value: &str,
) -> Result<(), InputError> {
    let between = |least: f32, most: f32| {
        let number = value.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| InputError::Value {
            control: name.to_owned(),
            value: format!("{value:?}"),
            allowed: format!("{least} to {most}"),
        })
    };
    let whether = || match value {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(InputError::Value {
            control: name.to_owned(),
            value: format!("{value:?}"),
            allowed: "0 or 1".to_owned(),
        }),
    };
    match control {
        Control::Button(button) => state.buttons = state.buttons.with(button, whether()?),
        Control::Stick(stick, axis) => {
            let sticks = [&mut state.left_stick, &mut state.right_stick];
            sticks[stick][axis] = between(-1.0, 1.0)?;
        }
        Control::Trigger(0) => state.left_trigger = between(0.0, 1.0)?,
        Control::Trigger(_) => state.right_trigger = between(0.0, 1.0)?,
        Control::Rocker(minus, plus) => {
            let way = between(-1.0, 1.0)?;
            let buttons = state.buttons.with(minus, way <= -0.5);
            state.buttons = buttons.with(plus, way >= 0.5);
        }
        // Beyond what any sensor measures.
        Control::Gyro(axis) => state.gyro[axis] = between(-1000.0, 1000.0)?,
        Control::Accel(axis) => state.accel[axis] = between(-1000.0, 1000.0)?,
        Control::Touch(finger) => {
            state.touches[finger] = whether()?.then(|| finger_down(state, finger));
        }
        Control::TouchPosition(finger, axis) => {
            let at = between(0.0, 1.0)?;
            let mut touch = finger_down(state, finger);
            *(if axis == 0 { &mut touch.x } else { &mut touch.y }) = at;
            // A position alone does not put a finger down.
            state.touches[finger] = state.touches[finger].map(|_| touch);
        }
        Control::Battery => {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
            let percent = between(0.0, 100.0)?.round() as u8;
            state.battery.percent = percent;
        }
        Control::Charging => state.battery.charging = whether()?,
    }
    Ok(())
}

/// The finger as it is, or one that has just come down in the middle: another touch than any before.
fn finger_down(state: &State, finger: usize) -> Touch {
    static TOUCHES: AtomicU8 = AtomicU8::new(0);
    state.touches[finger].unwrap_or_else(|| Touch {
        id: TOUCHES.fetch_add(1, Ordering::Relaxed),
        x: 0.5,
        y: 0.5,
    })
}

impl Buttons {
    /// The set with a button, or without.
    #[must_use]
    pub fn with(self, button: Button, held: bool) -> Self {
        let without = Self(self.0 & !(button as u32));
        if held { without | button } else { without }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(model: Model, inputs: &[&str]) -> Result<State, InputError> {
        let mut state = State::NEUTRAL;
        model.apply(&mut state, inputs).map(|()| state)
    }

    #[test]
    fn every_control_of_every_model_can_be_set() {
        for model in Model::ALL {
            for name in model.controls() {
                let state = applied(model, &["touch0=1", "touch1=1"]).unwrap_or_default();
                let mut set = state;
                model.apply(&mut set, [format!("{name}=1")]).unwrap();
                if !name.starts_with("touch") || name.contains('_') || name == "touchpad" {
                    assert_ne!(set, state, "{model} {name}");
                }
            }
        }
    }

    #[test]
    fn inputs_set_what_they_name() {
        let inputs = ["south=1", "lx=-0.5", "dpad_y=-1", "gyro_x=1.5", "touch0=1", "touch0_x=0.25"];
        let state = applied(Model::DualSense, &inputs).unwrap();
        assert_eq!(state.buttons, Button::South | Button::Up);
        assert_eq!((state.left_stick, state.gyro[0]), ([-0.5, 0.0], 1.5));
        let touch = state.touches[0].unwrap();
        assert_eq!((touch.x, touch.y, state.touches[1]), (0.25, 0.5, None));
        let mut state = state;
        Model::DualSense.apply(&mut state, ["south=0", "dpad_y=0", "touch0=0"]).unwrap();
        assert_eq!((state.buttons, state.touches), (Buttons::NONE, [None; 2]));
        assert_eq!(state.left_stick, [-0.5, 0.0]);
        // A finger that comes down again is another touch.
        Model::DualSense.apply(&mut state, ["touch0=1"]).unwrap();
        assert_ne!(state.touches[0].unwrap().id, touch.id);
    }

    #[test]
    fn wrong_inputs_are_told_and_change_nothing() {
        let error = |inputs: &[&str]| applied(Model::DualSense, inputs).unwrap_err().to_string();
        assert_eq!(error(&["lx=2"]), "lx takes -1 to 1, not \"2\"");
        assert_eq!(error(&["south=0.5"]), "south takes 0 or 1, not \"0.5\"");
        assert_eq!(error(&["south"]), "\"south\" is not an input; write CONTROL=VALUE, like lx=1");
        assert_eq!(
            error(&["sotuh=1"]),
            "dualsense has no control \"sotuh\"; did you mean \"south\"?"
        );
        assert!(error(&["lx=1", "lx=0"]).starts_with("lx is in the frame already"));
        assert!(applied(Model::JoyConRight, &["zl=1"]).is_err());
        assert!(error(&["zl=1"]).starts_with("dualsense has no control \"zl\""));
        let mut state = State::NEUTRAL;
        Model::DualSense.apply(&mut state, ["lx=1", "nothing=1"]).unwrap_err();
        assert_eq!(state, State::NEUTRAL);
    }
}
