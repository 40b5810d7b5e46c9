//! What kind of input device is it? The answer of udev's `input_id` builtin, from the kernel's
//! capability bitmaps (systemd 257: src/udev/udev-builtin-input_id.c).

use crate::input_codes::*;

/// A bitmap as the kernel prints it in sysfs: hexadecimal words of `unsigned long`, highest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bitmap(Vec<usize>);

impl Bitmap {
    /// Reads a text such as `7cdb000000000000 0 0 0 0`. A word that is not a number counts as 0, as in
    /// udev.
    pub fn parse(text: &str) -> Self {
        let words = text.split_ascii_whitespace().rev();
        Self(words.map(|word| usize::from_str_radix(word, 16).unwrap_or(0)).collect())
    }

    /// Whether the bit of `code` is set.
    pub fn has(&self, code: u16) -> bool {
        let (word, bit) = place(code);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    fn has_all(&self, codes: impl IntoIterator<Item = u16>) -> bool {
        codes.into_iter().all(|code| self.has(code))
    }

    fn has_any(&self, codes: impl IntoIterator<Item = u16>) -> bool {
        codes.into_iter().any(|code| self.has(code))
    }

    fn count(&self, codes: impl IntoIterator<Item = u16>) -> usize {
        codes.into_iter().filter(|code| self.has(*code)).count()
    }
}

impl FromIterator<u16> for Bitmap {
    fn from_iter<T: IntoIterator<Item = u16>>(codes: T) -> Self {
        let mut words = Vec::new();
        for code in codes {
            let (word, bit) = place(code);
            words.resize(words.len().max(word + 1), 0);
            words[word] |= bit;
        }
        Self(words)
    }
}

/// The index of the word of `code`, and its bit there.
fn place(code: u16) -> (usize, usize) {
    let code = usize::from(code);
    let width = usize::BITS as usize;
    (code / width, 1 << (code % width))
}

/// What an input device can do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Event types, `capabilities/ev`.
    pub ev: Bitmap,
    /// Keys and buttons, `capabilities/key`.
    pub key: Bitmap,
    /// Relative axes, `capabilities/rel`.
    pub rel: Bitmap,
    /// Absolute axes, `capabilities/abs`.
    pub abs: Bitmap,
    /// Properties of the device itself (`INPUT_PROP_*`), `properties`.
    pub properties: Bitmap,
    /// The bus, `id/bustype`.
    pub bustype: u16,
}

/// The kinds of input device that udev tells apart; a device can be of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the ID_INPUT_* property of its name")]
pub struct Classes {
    pub accelerometer: bool,
    pub pointingstick: bool,
    pub mouse: bool,
    pub touchpad: bool,
    pub touchscreen: bool,
    pub joystick: bool,
    pub tablet: bool,
    pub tablet_pad: bool,
    pub key: bool,
    pub keyboard: bool,
    pub switch: bool,
}

impl Classes {
    /// The properties set to `1`, in the order in which udev sets them, without `ID_INPUT` itself.
    pub fn properties(self) -> impl Iterator<Item = &'static str> {
        [
            (self.accelerometer, "ID_INPUT_ACCELEROMETER"),
            (self.pointingstick, "ID_INPUT_POINTINGSTICK"),
            (self.mouse, "ID_INPUT_MOUSE"),
            (self.touchpad, "ID_INPUT_TOUCHPAD"),
            (self.touchscreen, "ID_INPUT_TOUCHSCREEN"),
            (self.joystick, "ID_INPUT_JOYSTICK"),
            (self.tablet, "ID_INPUT_TABLET"),
            (self.tablet_pad, "ID_INPUT_TABLET_PAD"),
            (self.key, "ID_INPUT_KEY"),
            (self.keyboard, "ID_INPUT_KEYBOARD"),
            (self.switch, "ID_INPUT_SWITCH"),
        ]
        .into_iter()
        .filter_map(|(set, key)| set.then_some(key))
    }
}

/// The kinds of device with these capabilities.
///
/// ```
/// use udev_forge::input_id::{Bitmap, Capabilities, classify};
///
/// let pad = Capabilities {
///     ev: Bitmap::parse("20000b"),
///     key: Bitmap::parse("7cdb000000000000 0 0 0 0"),
///     abs: Bitmap::parse("3003f"),
///     ..Capabilities::default()
/// };
/// # #[cfg(target_pointer_width = "64")]
/// assert!(classify(&pad).joystick);
/// ```
pub fn classify(device: &Capabilities) -> Classes {
    let pointer = classify_pointer(device);
    let key = has_keys(device);
    let wheel_only = pointer == Classes::default() && !key && has_wheel(device);
    Classes {
        key: key || wheel_only,
        // Escape, the digits, and Q to D.
        keyboard: key && device.key.has_all(1..32),
        switch: device.ev.has(EV_SW),
        ..pointer
    }
}

/// udev's `test_pointers`.
fn classify_pointer(device: &Capabilities) -> Classes {
    let Capabilities { ev, key, rel, abs, properties, bustype } = device;
    let mut found = Classes::default();

    let coordinates = abs.has_all([ABS_X, ABS_Y]);
    if properties.has(INPUT_PROP_ACCELEROMETER)
        || (!ev.has(EV_KEY) && coordinates && abs.has(ABS_Z))
    {
        found.accelerometer = true;
        return found;
    }

    let pen = key.has(BTN_TOOL_PEN);
    let direct = properties.has(INPUT_PROP_DIRECT);
    let mouse_button = key.has_any(BTN_MOUSE..BTN_JOYSTICK);
    let joystick_controls = count_joystick_controls(device);
    let mut absolute_mouse = false;

    let mut surface = |found: &mut Classes, multitouch: bool| {
        if pen || key.has(BTN_STYLUS) {
            found.tablet = true;
        } else if key.has(BTN_TOOL_FINGER) && !direct {
            found.touchpad = true;
        } else if mouse_button && !multitouch {
            absolute_mouse = true;
        } else if direct || key.has(BTN_TOUCH) {
            found.touchscreen = true;
        } else if joystick_controls > 0 && !multitouch {
            found.joystick = true;
        }
    };
    if coordinates {
        surface(&mut found, false);
    } else {
        found.joystick = joystick_controls > 0;
    }
    // A device that claims every axis has slots by accident.
    if abs.has_all([ABS_MT_POSITION_X, ABS_MT_POSITION_Y])
        && !abs.has_all([ABS_MT_SLOT - 1, ABS_MT_SLOT])
    {
        surface(&mut found, true);
    }

    let relative = ev.has(EV_REL) && rel.has_all([REL_X, REL_Y]);
    let wheel = has_wheel(device);
    let pad_buttons = key.has_all([BTN_0, BTN_1]) && !pen;
    found.tablet_pad = pad_buttons && (found.tablet || (wheel && !relative));
    found.tablet |= found.tablet_pad;

    let relative_mouse = mouse_button
        && (relative || !coordinates)
        && !(found.tablet || found.touchpad || found.joystick);
    found.mouse = relative_mouse || absolute_mouse;
    // There are no mice on I²C.
    found.pointingstick =
        properties.has(INPUT_PROP_POINTING_STICK) || (relative_mouse && *bustype == BUS_I2C);

    // Some keyboards have stray joystick buttons, and one control makes no joystick.
    let keyboard_like = ev.has(EV_KEY) && key.count(WELL_KNOWN_KEYS) >= 4;
    if keyboard_like || joystick_controls < 2 || (wheel && pad_buttons) {
        found.joystick = false;
    }
    found
}

/// Joystick axes plus buttons.
fn count_joystick_controls(device: &Capabilities) -> usize {
    let axes = device.abs.count(ABS_RX..ABS_PRESSURE);
    // The buttons of a mouse with more than 16 run into those of joysticks.
    if device.key.has(BTN_JOYSTICK - 1) {
        return axes;
    }
    axes + device.key.count(BTN_JOYSTICK..BTN_DIGI)
        + device.key.count(BTN_TRIGGER_HAPPY1..=BTN_TRIGGER_HAPPY40)
        + device.key.count(BTN_DPAD_UP..=BTN_DPAD_RIGHT)
}

/// udev's `test_key`: any key that is not a button.
fn has_keys(device: &Capabilities) -> bool {
    device.ev.has(EV_KEY)
        && (device.key.has_any(0..BTN_MISC)
            || device.key.has_any(KEY_OK..BTN_DPAD_UP)
            || device.key.has_any(KEY_ALS_TOGGLE..BTN_TRIGGER_HAPPY1))
}

fn has_wheel(device: &Capabilities) -> bool {
    device.ev.has(EV_REL) && device.rel.has_any([REL_WHEEL, REL_HWHEEL])
}
