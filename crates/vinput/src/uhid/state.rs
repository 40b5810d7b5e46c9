//! What a pad's controls are set to.

use std::ops::{BitOr, BitOrAssign};

/// Everything that a pad reports, as absolute values. Controls that a model lacks are left out.
///
/// Numbers out of range are taken as the nearest one in it, and what is not a number as 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    /// Those that are held.
    pub buttons: Buttons,
    /// The left stick: −1 is left, 1 is right; −1 is up, 1 is down.
    pub left_stick: [f32; 2],
    /// The right stick.
    pub right_stick: [f32; 2],
    /// The left trigger: 0 is let go, 1 is all the way down.
    pub left_trigger: f32,
    /// The right trigger.
    pub right_trigger: f32,
    /// How fast the pad turns about each of its axes, in radians per second, counter-clockwise seen from
    /// the axis' end: x points right, y out of the face of the pad, z to the player.
    pub gyro: [f32; 3],
    /// What an accelerometer in the pad measures along the same axes, in metres per second squared. A
    /// pad at rest measures gravity, upwards.
    pub accel: [f32; 3],
    /// Fingers on the touchpad. A finger stays in its place in the array as long as it is down.
    pub touches: [Option<Touch>; 2],
    /// The battery.
    pub battery: Battery,
}

/// A finger on the touchpad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Touch {
    /// Tells touches apart; a finger that comes down again has another one. The lowest seven bits count.
    pub id: u8,
    /// 0 is the left edge, 1 the right one.
    pub x: f32,
    /// 0 is the upper edge, 1 the lower one.
    pub y: f32,
}

/// The battery as the pad reports it. Pads have steps of 10 percent (Sony) or 25 percent (Nintendo).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Battery {
    /// 0 to 100.
    pub percent: u8,
    /// Whether it is being charged; at 100 percent that makes it full.
    pub charging: bool,
}

/// A button, named by where it is: [`South`](Self::South) is Sony's cross and Nintendo's B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Button {
    /// The lower of the four.
    South = 1,
    /// The right one.
    East = 1 << 1,
    /// The left one.
    West = 1 << 2,
    /// The upper one.
    North = 1 << 3,
    /// Directional pad, up.
    Up = 1 << 4,
    /// Directional pad, down.
    Down = 1 << 5,
    /// Directional pad, left.
    Left = 1 << 6,
    /// Directional pad, right.
    Right = 1 << 7,
    /// Left shoulder.
    L1 = 1 << 8,
    /// Right shoulder.
    R1 = 1 << 9,
    /// The left stick, pressed.
    L3 = 1 << 10,
    /// The right stick, pressed.
    R3 = 1 << 11,
    /// Create, Share, minus.
    Select = 1 << 12,
    /// Options, plus.
    Start = 1 << 13,
    /// The maker's button: PS, Home.
    Guide = 1 << 14,
    /// The touchpad, pressed.
    Touchpad = 1 << 15,
    /// Microphone mute of a DualSense.
    Mute = 1 << 16,
    /// Capture of a Switch pad.
    Capture = 1 << 17,
    /// Left paddle of a DualSense Edge.
    LeftPaddle = 1 << 18,
    /// Right paddle of a DualSense Edge.
    RightPaddle = 1 << 19,
    /// Left Fn of a DualSense Edge.
    LeftFn = 1 << 20,
    /// Right Fn of a DualSense Edge.
    RightFn = 1 << 21,
    /// SL on the rail of a Joy-Con.
    Sl = 1 << 22,
    /// SR on the rail of a Joy-Con.
    Sr = 1 << 23,
}

impl Button {
    /// All of them, in the order of their bits.
    pub const ALL: [Self; 24] = [
        Self::South,
        Self::East,
        Self::West,
        Self::North,
        Self::Up,
        Self::Down,
        Self::Left,
        Self::Right,
        Self::L1,
        Self::R1,
        Self::L3,
        Self::R3,
        Self::Select,
        Self::Start,
        Self::Guide,
        Self::Touchpad,
        Self::Mute,
        Self::Capture,
        Self::LeftPaddle,
        Self::RightPaddle,
        Self::LeftFn,
        Self::RightFn,
        Self::Sl,
        Self::Sr,
    ];
}

/// A set of buttons.
///
/// ```
/// use vinput::uhid::{Button, Buttons};
///
/// let held = Button::South | Button::L1;
/// assert!(held.contains(Button::L1) && !held.contains(Button::R1));
/// assert_eq!(held | Button::South, held);
/// assert_ne!(held, Buttons::NONE);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buttons(pub(super) u32);

/// Standard gravity in m/s² (ISO 80000-3).
pub const STANDARD_GRAVITY: f32 = 9.806_65;

impl State {
    /// Nothing is touched, and the pad lies on a table with a full battery.
    pub const NEUTRAL: Self = Self {
        buttons: Buttons::NONE,
        left_stick: [0.0; 2],
        right_stick: [0.0; 2],
        left_trigger: 0.0,
        right_trigger: 0.0,
        gyro: [0.0; 3],
        accel: [0.0, STANDARD_GRAVITY, 0.0],
        touches: [None; 2],
        battery: Battery { percent: 100, charging: false },
    };
}

impl Default for State {
    fn default() -> Self {
        Self::NEUTRAL
    }
}

impl Buttons {
    /// None.
    pub const NONE: Self = Self(0);

    /// Whether it is in the set.
    #[must_use]
    pub const fn contains(self, button: Button) -> bool {
        self.0 & button as u32 != 0
    }

    /// The directional pad: −1 is left and up. Both ways at once are none, as a pad's rocker cannot do
    /// that.
    pub(super) fn directions(self) -> (i8, i8) {
        let axis = |minus, plus| i8::from(self.contains(plus)) - i8::from(self.contains(minus));
        (axis(Button::Left, Button::Right), axis(Button::Up, Button::Down))
    }

    /// Those of the buttons that are held, as bits of a report.
    pub(super) fn bits(self, bits: &[(Button, u8)]) -> u8 {
        let held = bits.iter().filter(|(button, _)| self.contains(*button));
        held.fold(0, |all, (_, bit)| all | bit)
    }
}

impl From<Button> for Buttons {
    fn from(button: Button) -> Self {
        Self(button as u32)
    }
}

impl<B: Into<Self>> BitOr<B> for Buttons {
    type Output = Self;

    fn bitor(self, other: B) -> Self {
        Self(self.0 | other.into().0)
    }
}

impl<B: Into<Self>> BitOrAssign<B> for Buttons {
    fn bitor_assign(&mut self, other: B) {
        *self = *self | other;
    }
}

impl BitOr for Button {
    type Output = Buttons;

    fn bitor(self, other: Self) -> Buttons {
        Buttons::from(self) | other
    }
}

/// `value` from −1 to 1, or 0 to 1, as the nearest whole number of `unit`s, kept between the limits.
pub(super) fn scaled(value: f32, unit: f32, (least, most): (i32, i32)) -> i32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates, and makes 0 of what is not a number"
    )]
    let whole = (value * unit).round() as i32;
    whole.clamp(least, most)
}

/// The same for signed 16 bit.
pub(super) fn scaled_i16(value: f32, unit: f32) -> i16 {
    let whole = scaled(value, unit, (i16::MIN.into(), i16::MAX.into()));
    i16::try_from(whole).unwrap_or_default()
}

/// The same for 8 bit.
pub(super) fn scaled_u8(value: f32, unit: f32) -> u8 {
    u8::try_from(scaled(value, unit, (0, u8::MAX.into()))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buttons_are_listed_by_their_bits() {
        for (bit, button) in Button::ALL.into_iter().enumerate() {
            assert_eq!(button as u32, 1 << bit);
        }
    }

    #[test]
    fn opposite_directions_are_none() {
        assert_eq!((Button::Left | Button::Up).directions(), (-1, -1));
        assert_eq!((Button::Left | Button::Right | Button::Down).directions(), (0, 1));
        assert_eq!(Buttons::NONE.directions(), (0, 0));
    }

    #[test]
    fn numbers_out_of_range_are_the_nearest_in_it_and_what_is_no_number_is_0() {
        assert_eq!(scaled_u8(1.5, 255.0), 255);
        assert_eq!(scaled_u8(-1.0, 255.0), 0);
        assert_eq!(scaled_u8(f32::NAN, 255.0), 0);
        assert_eq!(scaled_i16(f32::INFINITY, 16.0), i16::MAX);
        assert_eq!(scaled_i16(-1e9, 16.0), i16::MIN);
        assert_eq!(scaled_i16(0.5, 3.0), 2);
    }
}
