//! From the words of the vectors to values.

use hotseat_wire::control::Message;
use hotseat_wire::input::{Body, Edge, Finger, Kind, Log};
use hotseat_wire::{
    Axes, Battery, Contact, Feedback, List, Motion, Pen, Place, Set, button, feedback, input,
    joystick, pen,
};
use serde_json::Value;

/// A number of whatever type is wanted.
pub(crate) fn number<T: TryFrom<i64, Error: std::fmt::Debug>>(value: &Value) -> T {
    T::try_from(value.as_i64().unwrap_or_else(|| panic!("{value} is no number"))).unwrap()
}

pub(crate) fn input_frame(value: &Value) -> input::Frame {
    let (kind, say) = value
        .as_object()
        .unwrap()
        .iter()
        .find(|(key, _)| !["slot", "epoch"].contains(&key.as_str()))
        .unwrap();
    let held = || say["held"].as_array().unwrap().iter().map(numbered);
    let held8 = || held().fold(0, |bits, button| bits | 1_u8 << button);
    let body = match kind.as_str() {
        "gamepad" => Body::Gamepad {
            held: held().fold(0, |bits, button| bits | 1_u32 << button),
            axes: Axes {
                left_stick: array(&say["left_stick"]),
                right_stick: array(&say["right_stick"]),
                left_trigger: number(&say["left_trigger"]),
                right_trigger: number(&say["right_trigger"]),
            },
            log: log(say),
        },
        "keyboard" => Body::Keyboard { held: held().collect::<Set>(), log: log(say) },
        "mouse" => Body::Mouse { held: held8(), sums: array(&say["sums"]), log: log(say) },
        "pointer" => Body::Pointer(place(say)),
        "touch" => Body::Touch(say.as_array().unwrap().iter().map(finger).collect()),
        "pen" => {
            let tool = pen::TOOLS.iter().position(|tool| say["tool"] == *tool).unwrap();
            let pen = Pen {
                tool: u8::try_from(tool).unwrap(),
                place: place(&say["place"]),
                pressure: number(&say["pressure"]),
                distance: number(&say["distance"]),
                tilt: array(&say["tilt"]),
            };
            Body::Pen { held: held8(), pen, log: log(say) }
        }
        "motion" => Body::Motion(Motion {
            time: number(&say["time"]),
            gyro: floats(&say["gyro"]),
            accel: floats(&say["accel"]),
        }),
        "battery" => Body::Battery(Battery {
            percent: number(&say["percent"]),
            charging: say["charging"].as_bool().unwrap(),
        }),
        "joystick" => Body::Joystick {
            held: held().fold(0, |bits, button| bits | 1_u32 << button),
            axes: array(&say["axes"]),
            log: log(say),
        },
        kind => panic!("{kind}"),
    };
    input::Frame { slot: number(&value["slot"]), epoch: number(&value["epoch"]), body }
}

pub(crate) fn feedback_frame(value: &Value) -> feedback::Frame {
    let body = match (&value["ack"], &value["epoch_only"]) {
        (Value::Object(ack), _) => feedback::Body::Ack {
            kind: Kind::ALL
                .into_iter()
                .find(|kind| *kind as u8 == number::<u8>(&ack["kind"]))
                .unwrap(),
            tick: number(&ack["tick"]),
            last: number(&ack["last"]),
        },
        (_, Value::Bool(true)) => feedback::Body::Epoch,
        _ => feedback::Body::Feedback {
            sequence: number(&value["sequence"]),
            feedback: feedback(value),
        },
    };
    feedback::Frame { slot: number(&value["slot"]), epoch: number(&value["epoch"]), body }
}

fn feedback(value: &Value) -> Feedback {
    let (kind, say) = value
        .as_object()
        .unwrap()
        .iter()
        .find(|(key, _)| !["slot", "epoch", "sequence"].contains(&key.as_str()))
        .unwrap();
    match kind.as_str() {
        "rumble" => Feedback::Rumble {
            low: number(&say["low"]),
            high: number(&say["high"]),
            left_trigger: number(&say["left_trigger"]),
            right_trigger: number(&say["right_trigger"]),
            ttl_ms: number(&say["ttl_ms"]),
        },
        "lamps" => Feedback::Lamps(number(say)),
        "light_bar" => Feedback::LightBar(array(say)),
        "blink" => Feedback::Blink { on_ms: number(&say["on_ms"]), off_ms: number(&say["off_ms"]) },
        "player_lights" => {
            Feedback::PlayerLights { on: number(&say["on"]), blinking: number(&say["blinking"]) }
        }
        "mute_light" => Feedback::MuteLight(number(say)),
        "home_light" => Feedback::HomeLight(number(say)),
        "left_trigger" => Feedback::LeftTrigger(array(say)),
        "right_trigger" => Feedback::RightTrigger(array(say)),
        kind => panic!("{kind}"),
    }
}

pub(crate) fn message(value: &Value) -> Message {
    let (kind, say) = value.as_object().unwrap().iter().next().unwrap();
    let text = |key: &str| say[key].as_str().unwrap().to_owned();
    let bytes = |key: &str| super::bytes(say[key].as_str().unwrap());
    let slot = || number(&say["slot"]);
    match kind.as_str() {
        "hello" => Message::Hello { features: number(&say["features"]), name: text("name") },
        "attach" => Message::Attach {
            session: text("session"),
            token: bytes("token"),
            resume: bytes("resume"),
        },
        "attached" => Message::Attached {
            resume: bytes("resume"),
            nonce: bytes("nonce").try_into().unwrap(),
            grace_ms: number(&say["grace_ms"]),
        },
        "ready" => Message::Ready { nonce: bytes("nonce").try_into().unwrap() },
        "plug" => Message::Plug { slot: slot(), profile: text("profile") },
        "plug_ok" => Message::PlugOk {
            slot: slot(),
            epoch: number(&say["epoch"]),
            kinds: number(&say["kinds"]),
        },
        "unplug" => Message::Unplug { slot: slot() },
        "feedback" => Message::Feedback(feedback_frame(say)),
        "error" => Message::Error {
            slot: (!say["slot"].is_null()).then(slot),
            fatal: say["fatal"].as_bool().unwrap(),
            code: text("code"),
            text: text("text"),
        },
        "bye" => Message::Bye,
        kind => panic!("{kind}"),
    }
}

fn array<T: TryFrom<i64, Error: std::fmt::Debug> + std::fmt::Debug, const N: usize>(
    value: &Value,
) -> [T; N] {
    value.as_array().unwrap().iter().map(number).collect::<Vec<T>>().try_into().unwrap()
}

fn floats(value: &Value) -> [f32; 3] {
    #[expect(clippy::cast_possible_truncation, reason = "the vectors have numbers that fit")]
    std::array::from_fn(|axis| value[axis].as_f64().unwrap() as f32)
}

fn place(value: &Value) -> Place {
    Place { x: number(&value[0]), y: number(&value[1]) }
}

fn finger(value: &Value) -> Finger {
    Finger {
        contact: Contact {
            id: number(&value["id"]),
            place: place(&value["place"]),
            pressure: number(&value["pressure"]),
        },
        ended: value["ended"].as_bool().unwrap(),
    }
}

/// A button by its name, or anything by its number.
fn numbered(value: &Value) -> u8 {
    let named = |name| button::number(name).or_else(|| joystick::number(name)).unwrap();
    value.as_str().map_or_else(|| number(value), named)
}

fn log(value: &Value) -> Log {
    let edge = |edge: &Value| Edge { number: numbered(&edge[0]), down: edge[1].as_bool().unwrap() };
    let edges: List<Edge, { hotseat_wire::MAX_EDGES }> =
        value["edges"].as_array().unwrap().iter().map(edge).collect();
    Log { last: number(&value["last"]), edges }
}
