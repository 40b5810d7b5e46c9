//! The numbers of buttons and tools.

/// Buttons of a pad.
///
/// The first 24 are numbered as the bits of vinput's `uhid::Button`.
pub mod button {
    /// Names in the order of their numbers: those of the controls in Hotseat's profiles, and `up`, `down`, `left`,
    /// `right` for the directional pad. Numbers from here to 31 are free.
    pub const NAMES: [&str; 30] = [
        "south",
        "east",
        "west",
        "north",
        "up",
        "down",
        "left",
        "right",
        "lb",
        "rb",
        "ls",
        "rs",
        "back",
        "start",
        "guide",
        "touchpad",
        "mute",
        "capture",
        "left_paddle",
        "right_paddle",
        "left_fn",
        "right_fn",
        "sl",
        "sr",
        "paddle_upper_left",
        "paddle_lower_left",
        "paddle_upper_right",
        "paddle_lower_right",
        "l2",
        "r2",
    ];

    /// The number of a name.
    #[must_use]
    pub fn number(name: &str) -> Option<u8> {
        let place = NAMES.iter().position(|known| *known == name)?;
        u8::try_from(place).ok()
    }
}

/// What wheels and flight sticks have that pads do not.
pub mod joystick {
    /// Buttons in the order of their numbers: the controls of Hotseat's profiles `wheel` and `flight-stick`. Numbers from
    /// here to 31 are free.
    pub const BUTTONS: [&str; 14] = [
        "gear1",
        "gear2",
        "gear3",
        "gear4",
        "gear5",
        "gear6",
        "gear_reverse",
        "plus",
        "minus",
        "dial_right",
        "dial_left",
        "enter",
        "base5",
        "base6",
    ];

    /// Axes in the order of their numbers. Numbers from here to 7 are free.
    pub const AXES: [&str; 4] = ["clutch", "handbrake", "rudder", "throttle"];

    /// The throttle of a stick: a lever, which stays where it is put.
    pub const THROTTLE: usize = 3;

    /// The number of a button's name.
    #[must_use]
    pub fn number(name: &str) -> Option<u8> {
        let place = BUTTONS.iter().position(|known| *known == name)?;
        u8::try_from(place).ok()
    }
}

/// What a pen does, as far as it is on or off, and its tools.
pub mod pen {
    /// It is near the surface.
    pub const NEAR: u8 = 0;
    /// Its tip touches.
    pub const TIP: u8 = 1;
    /// The button next to the tip (`BTN_STYLUS`).
    pub const BUTTON1: u8 = 2;
    /// The next one (`BTN_STYLUS2`).
    pub const BUTTON2: u8 = 3;
    /// The one after that (`BTN_STYLUS3`).
    pub const BUTTON3: u8 = 4;

    /// Tools in the order of their numbers: the controls of Hotseat's profile `pen-tablet`.
    pub const TOOLS: [&str; 5] = ["pen", "eraser", "brush", "pencil", "airbrush"];
    /// The number of the eraser among the tools.
    pub const ERASER: u8 = 1;
}
