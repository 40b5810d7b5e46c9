//! Descriptions of device models.
//!
//! A profile is a TOML file; `profiles/` in this crate has the built-in ones, commented. Its keys:
//!
//! | key | meaning |
//! |---|---|
//! | `backend` | `"uinput"`, or left out; [`crate::hid`] has the profiles for `"uhid"` |
//! | `name` | what the profile is called: `a-z`, `0-9`, `-` |
//! | `title` | what people call the model |
//! | `device_name` | the kernel name of its devices, where no other is given |
//! | `bus` | `"usb"`, `"bluetooth"`, `"virtual"`; see [`Bus`] |
//! | `vendor`, `product`, `version` | the numbers of `struct input_id` |
//! | `properties` | `INPUT_PROP_*`; none if left out |
//! | `[controls]` | name = code, or name = { code = …, … }, see below |
//! | `keys` | `KEY_*` codes that become controls named in lower case without `KEY_` |
//! | `[contacts]` | `count` and `axes`, for what is touched with fingers; see [`Contacts`] |
//! | `leds` | `LED_*`; none if left out |
//! | `repeat` | whether the kernel repeats held keys; false if left out |
//! | `[force_feedback]` | `effects` (`FF_*`) and `max`, the number of effects held at a time |
//!
//! A control with a `KEY_*` or `BTN_*` code has nothing else; one with a `REL_*` code may have `hi_res`,
//! the axis that reports it in units of 1/120; one with an `ABS_*` code has `min` and `max` and may have
//! `rest`, `position`, `fuzz`, `flat` and `resolution`, see [`Axis`]. So have the axes of `[contacts]`,
//! whose codes are `ABS_MT_*`. A code without a name is written like `EV_KEY:0x12c`.

mod builtin;
mod contacts;
mod control;
mod file;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use self::contacts::Contacts;
pub(crate) use self::contacts::{
    ABS_MT_POSITION_X, ABS_MT_POSITION_Y, ABS_MT_PRESSURE, ABS_MT_SLOT, ABS_MT_TRACKING_ID,
    ABS_PRESSURE, ABS_X, ABS_Y, BTN_TOOLS, BTN_TOUCH, LAST_TRACKING_ID,
};
pub(crate) use self::control::HI_RES_PER_DETENT;
pub use self::control::{Axis, Control, ControlKind};
pub(crate) use self::file::{Backend, Invalid, backend, invalid, load_with, read, spelled_with};
pub use self::file::{LoadError, ProfileError};
use crate::code::Property;
use crate::{DeviceName, EventCode};

/// A device model: identity, controls and feedback. Immutable and checked.
///
/// ```
/// use vinput::Profile;
///
/// let pad = Profile::builtin("xbox-one").unwrap();
/// assert_eq!((pad.vendor(), pad.product()), (0x045e, 0x02ea));
/// assert_eq!(pad.control("south").unwrap().code().name(), Some("BTN_SOUTH"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    name: String,
    title: String,
    device_name: DeviceName,
    bus: Bus,
    vendor: u16,
    product: u16,
    version: u16,
    properties: Vec<Property>,
    /// Sorted by code; those of contacts at the end, by contact.
    controls: Vec<Control>,
    contacts: Option<Contacts>,
    leds: Vec<EventCode>,
    effects: Vec<EventCode>,
    max_effects: u32,
    repeat: bool,
}

/// What a device claims to be attached to (`BUS_*` in include/uapi/linux/input.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u16)]
#[non_exhaustive]
pub enum Bus {
    /// `BUS_USB`.
    Usb = 0x03,
    /// `BUS_BLUETOOTH`.
    Bluetooth = 0x05,
    /// `BUS_VIRTUAL`.
    Virtual = 0x06,
    /// `BUS_I8042`: the keyboards, mice and touchpads of most laptops.
    I8042 = 0x11,
    /// `BUS_I2C`: the touchpads and touchscreens of newer ones.
    I2c = 0x18,
    /// `BUS_HOST`: the machine itself.
    Host = 0x19,
}

impl Bus {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Usb, Self::Bluetooth, Self::Virtual, Self::I8042, Self::I2c, Self::Host];
}

impl Profile {
    /// The built-in profile of this name.
    #[must_use]
    pub fn builtin(name: &str) -> Option<&'static Self> {
        Self::builtins().find(|profile| profile.name == name)
    }

    /// All built-in profiles.
    pub fn builtins() -> impl Iterator<Item = &'static Self> {
        builtin::all()
    }

    /// Reads a profile from a file.
    ///
    /// # Errors
    ///
    /// [`LoadError`] names the file; its source names the line and says what is allowed there.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        load_with(path.as_ref(), Self::parse)
    }

    /// Reads a profile from TOML.
    ///
    /// # Errors
    ///
    /// [`ProfileError`] names the line or the key and says what is allowed there.
    pub fn parse(toml: &str) -> Result<Self, ProfileError> {
        file::parse(toml)
    }

    /// What the profile is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What people call the model.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The kernel name of its devices, where no other is given.
    #[must_use]
    pub fn device_name(&self) -> &DeviceName {
        &self.device_name
    }

    /// The bus its devices claim to be on.
    #[must_use]
    pub fn bus(&self) -> Bus {
        self.bus
    }

    /// The vendor's number (of USB, on [`Bus::Usb`] and [`Bus::Bluetooth`]).
    #[must_use]
    pub fn vendor(&self) -> u16 {
        self.vendor
    }

    /// The vendor's number for the model.
    #[must_use]
    pub fn product(&self) -> u16 {
        self.product
    }

    /// The model's version.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.version
    }

    /// The properties, as numbers of `INPUT_PROP_*`.
    pub fn properties(&self) -> impl Iterator<Item = u16> {
        self.properties.iter().map(|property| property.0)
    }

    /// Everything a client can set, in the order of the codes; then, contact by contact, what it can set
    /// of each contact.
    #[must_use]
    pub fn controls(&self) -> &[Control] {
        &self.controls
    }

    /// The control of this name.
    #[must_use]
    pub fn control(&self, name: &str) -> Option<&Control> {
        self.controls.iter().find(|control| control.name() == name)
    }

    /// The contacts that its devices tell apart, if they are touched with fingers.
    #[must_use]
    pub fn contacts(&self) -> Option<&Contacts> {
        self.contacts.as_ref()
    }

    /// The lights that programs can set.
    #[must_use]
    pub fn leds(&self) -> &[EventCode] {
        &self.leds
    }

    /// The kinds of effect that programs can upload, and `FF_GAIN` if they can set that.
    #[must_use]
    pub fn effects(&self) -> &[EventCode] {
        &self.effects
    }

    /// How many effects programs can have uploaded at a time; 0 without force feedback.
    #[must_use]
    pub fn max_effects(&self) -> u32 {
        self.max_effects
    }

    /// Whether the kernel repeats held keys.
    #[must_use]
    pub fn repeat(&self) -> bool {
        self.repeat
    }

    /// Every code that its devices declare to programs.
    pub fn codes(&self) -> impl Iterator<Item = EventCode> {
        let own = self.own_controls().flat_map(Control::codes);
        let emulated = self.contacts.iter().flat_map(|contacts| &contacts.emulated);
        let keys = emulated.filter(|(_, axis)| axis.is_none()).map(|(code, _)| *code);
        let axes = self.contacts.iter().flat_map(Contacts::device_axes).map(|(code, _)| code);
        let feedback = self.leds.iter().chain(&self.effects).copied();
        own.chain(keys).chain(axes).chain(feedback)
    }

    /// Every absolute axis that its devices declare.
    pub fn axes(&self) -> impl Iterator<Item = (EventCode, Axis)> {
        let own = self.own_controls().filter_map(|control| match control.kind() {
            ControlKind::Absolute(axis) => Some((control.code(), axis)),
            _ => None,
        });
        own.chain(self.contacts.iter().flat_map(Contacts::device_axes))
    }

    /// The controls of the device as a whole.
    pub(crate) fn own_controls(&self) -> impl Iterator<Item = &Control> {
        self.controls.iter().filter(|control| control.slot().is_none())
    }
}

#[cfg(test)]
mod tests;
