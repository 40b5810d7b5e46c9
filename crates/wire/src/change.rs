//! What a player does, one thing at a time.

use crate::Kind;

/// One change of a device's state: what a client tells its side, and what the server's side hands to the device.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// A button of a pad goes down or up; [`button`](crate::button) has the numbers, 0 to 31.
    Button {
        /// Which one.
        button: u8,
        /// Whether it is down now.
        down: bool,
    },
    /// Sticks and triggers of a pad, all of them.
    Axes(Axes),
    /// A key of a keyboard.
    Key {
        /// Its code, `KEY_*` of linux/input-event-codes.h, 1 to 255.
        key: u8,
        /// Whether it is down now.
        down: bool,
    },
    /// A button of a mouse: 0 left, 1 right, 2 middle, 3 side, 4 extra, as from `BTN_LEFT` on.
    MouseButton {
        /// Which one, 0 to 7.
        button: u8,
        /// Whether it is down now.
        down: bool,
    },
    /// The mouse moves.
    Move {
        /// Counts to the right.
        dx: i32,
        /// Counts downwards.
        dy: i32,
    },
    /// The mouse's wheels turn, in 1/120 detent (`REL_WHEEL_HI_RES`).
    Wheel {
        /// Up is positive.
        vertical: i32,
        /// Right is positive.
        horizontal: i32,
    },
    /// The pointer is put to a place on the screen.
    Place(Place),
    /// A finger comes down, or moves.
    Touch(Contact),
    /// A finger goes up.
    Lift {
        /// Which one.
        id: u16,
    },
    /// Something of a pen; [`pen`](crate::pen) has the numbers, 0 to 7.
    PenButton {
        /// What.
        button: u8,
        /// Whether it is so now.
        down: bool,
    },
    /// Where the pen is and how it is held.
    Pen(Pen),
    /// What the motion sensors measure.
    Motion(Motion),
    /// How the battery is.
    Battery(Battery),
    /// A button of a wheel or stick that pads do not have; [`joystick`](crate::joystick) has the numbers, 0 to 31.
    JoystickButton {
        /// Which one.
        button: u8,
        /// Whether it is down now.
        down: bool,
    },
    /// Axes of a wheel or stick that pads do not have, all of them, by their numbers in [`joystick`](crate::joystick):
    /// −32767 to 32767, of what goes one way only 0 to 32767. −32768 is taken as −32767.
    JoystickAxes([i16; 8]),
}

impl Change {
    /// The kind of frame that carries it.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Button { .. } | Self::Axes(_) => Kind::Gamepad,
            Self::Key { .. } => Kind::Keyboard,
            Self::MouseButton { .. } | Self::Move { .. } | Self::Wheel { .. } => Kind::Mouse,
            Self::Place(_) => Kind::Pointer,
            Self::Touch(_) | Self::Lift { .. } => Kind::Touch,
            Self::PenButton { .. } | Self::Pen(_) => Kind::Pen,
            Self::Motion(_) => Kind::Motion,
            Self::Battery(_) => Kind::Battery,
            Self::JoystickButton { .. } | Self::JoystickAxes(_) => Kind::Joystick,
        }
    }
}

/// Sticks and triggers of a pad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Axes {
    /// The left stick, across and down: −32767 is left and up, 32767 right and down; −32768 is taken as −32767.
    pub left_stick: [i16; 2],
    /// The right stick.
    pub right_stick: [i16; 2],
    /// The left trigger: 0 is let go, 65535 all the way down.
    pub left_trigger: u16,
    /// The right trigger.
    pub right_trigger: u16,
}

/// A place on a surface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// 0 is the left edge, 65535 the right one.
    pub x: u16,
    /// 0 is the upper edge, 65535 the lower one.
    pub y: u16,
}

/// A finger that is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// Tells fingers apart.
    pub id: u16,
    /// Where it is.
    pub place: Place,
    /// How hard it presses: 65535 is hardest, 0 is unknown.
    pub pressure: u16,
}

/// Where a pen is and how it is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pen {
    /// Which end of which tool, one of those in [`pen`](crate::pen).
    pub tool: u8,
    /// Where it is.
    pub place: Place,
    /// How hard the tip is pressed: 65535 is hardest.
    pub pressure: u16,
    /// How far it is above the surface: 65535 is farthest.
    pub distance: u16,
    /// Degrees from upright, −90 to 90: to the right, and towards the user.
    pub tilt: [i8; 2],
}

/// What motion sensors measure, along axes fixed to the pad: x points right, y out of its face, z to the player.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Motion {
    /// When, in microseconds of the sensor's own clock, wrapping.
    pub time: u32,
    /// Radians per second about each axis, counter-clockwise seen from the axis' end; −1000 to 1000.
    pub gyro: [f32; 3],
    /// Metres per second squared, gravity included, so a pad at rest measures it upwards; −1000 to 1000.
    pub accel: [f32; 3],
}

impl Motion {
    /// Beyond what any sensor measures.
    pub const MOST: f32 = 1000.0;

    /// The same with every number in range, and 0 for what is not a number.
    #[must_use]
    pub fn clamped(self) -> Self {
        let clamp = |number: f32| {
            if number.is_nan() { 0.0 } else { number.clamp(-Self::MOST, Self::MOST) }
        };
        Self { time: self.time, gyro: self.gyro.map(clamp), accel: self.accel.map(clamp) }
    }
}

/// How a battery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Battery {
    /// 0 to 100.
    pub percent: u8,
    /// Whether it is being charged.
    pub charging: bool,
}

impl Default for Battery {
    /// Full.
    fn default() -> Self {
        Self { percent: 100, charging: false }
    }
}
