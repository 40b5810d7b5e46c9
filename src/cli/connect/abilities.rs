//! What an input device can do, and what it is by that.

use std::collections::{BTreeMap, BTreeSet};

use evdev::raw_stream::RawDevice;
use evdev::{AbsoluteAxisCode, KeyCode, PropType, RelativeAxisCode};

use vinput::Profile;

use super::axis::Axis;

/// What a device says of itself, read from the device or from a record of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Abilities {
    pub(super) name: String,
    pub(super) phys: String,
    pub(super) vendor: u16,
    pub(super) product: u16,
    /// `INPUT_PROP_*` of linux/input-event-codes.h; the others are codes of it, too.
    pub(super) properties: BTreeSet<u16>,
    pub(super) keys: BTreeSet<u16>,
    pub(super) relative: BTreeSet<u16>,
    pub(super) absolute: BTreeMap<u16, Axis>,
}

/// What a device is to its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Pad,
    Keyboard,
    Mouse,
    /// A mouse that says where it is.
    Pointer,
    /// A touchscreen or touchpad.
    Touch,
    Pen,
    /// The motion sensors of a pad, which are nothing without it.
    Motion,
}

impl Abilities {
    pub(super) fn of(device: &RawDevice) -> std::io::Result<Self> {
        let mut absolute = BTreeMap::new();
        if device.supported_absolute_axes().is_some() {
            for (code, info) in device.get_absinfo()? {
                let axis = Axis {
                    least: info.minimum(),
                    most: info.maximum(),
                    resolution: info.resolution(),
                };
                absolute.insert(code.0, axis);
            }
        }
        Ok(Self {
            name: device.name().unwrap_or_default().to_owned(),
            phys: device.physical_path().unwrap_or_default().to_owned(),
            vendor: device.input_id().vendor(),
            product: device.input_id().product(),
            properties: device.properties().iter().map(|property| property.0).collect(),
            keys: device.supported_keys().into_iter().flatten().map(|key| key.0).collect(),
            relative: device
                .supported_relative_axes()
                .into_iter()
                .flatten()
                .map(|axis| axis.0)
                .collect(),
            absolute,
        })
    }

    pub(super) fn has_key(&self, key: KeyCode) -> bool {
        self.keys.contains(&key.0)
    }

    pub(super) fn has_relative(&self, axis: RelativeAxisCode) -> bool {
        self.relative.contains(&axis.0)
    }

    pub(super) fn has_absolute(&self, axis: AbsoluteAxisCode) -> bool {
        self.absolute.contains_key(&axis.0)
    }

    pub(super) fn has_property(&self, property: PropType) -> bool {
        self.properties.contains(&property.0)
    }

    pub(super) fn has_fingers(&self) -> bool {
        self.has_absolute(AbsoluteAxisCode::ABS_MT_SLOT)
    }

    /// What it is, by the rules of udev's `input_id` builtin (systemd, src/udev/udev-builtin-input_id.c); `None` for what
    /// cannot be played with, such as a power button.
    pub(super) fn role(&self) -> Option<Role> {
        let has_place = self.has_absolute(AbsoluteAxisCode::ABS_X)
            && self.has_absolute(AbsoluteAxisCode::ABS_Y);
        let has_motion = self.has_relative(RelativeAxisCode::REL_X)
            && self.has_relative(RelativeAxisCode::REL_Y);
        let is_direct = self.has_property(PropType::DIRECT);
        if self.has_property(PropType::ACCELEROMETER) {
            return Some(Role::Motion);
        }
        if self.has_key(KeyCode::BTN_TOOL_PEN) && has_place {
            return Some(Role::Pen);
        }
        if self.has_fingers() || has_place && self.has_key(KeyCode::BTN_TOUCH) {
            return (is_direct || self.has_fingers()).then_some(Role::Touch);
        }
        if self.has_key(KeyCode::BTN_SOUTH) || self.has_key(KeyCode::BTN_TRIGGER) && has_place {
            return Some(Role::Pad);
        }
        match self.has_key(KeyCode::BTN_LEFT) {
            true if has_motion => return Some(Role::Mouse),
            true if has_place => return Some(Role::Pointer),
            _ => {}
        }
        // KEY_ESC to KEY_D, as udev wants it of a keyboard, and not of a remote control.
        let is_keyboard =
            (KeyCode::KEY_ESC.0..=KeyCode::KEY_D.0).all(|key| self.keys.contains(&key));
        is_keyboard.then_some(Role::Keyboard)
    }

    /// The profile that is most like it, and has the kernel's driver or the codes of it.
    pub(super) fn profile(&self) -> Option<&'static str> {
        Some(match self.role()? {
            Role::Pad => match (self.vendor, self.product) {
                (SONY, 0x0df2) => "dualsense-edge",
                (SONY, 0x0ce6) => "dualsense",
                (SONY, 0x05c4 | 0x09cc) => "dualshock-4",
                (NINTENDO, 0x2009) => "switch-pro",
                (NINTENDO, 0x2006) => "joy-con-l",
                (NINTENDO, 0x2007) => "joy-con-r",
                (MICROSOFT, 0x028e) => "xbox-360",
                (MICROSOFT, 0x0b12) => "xbox-series",
                (MICROSOFT, 0x0b00) => "xbox-elite",
                (LOGITECH, 0xc24f) => "wheel",
                (LOGITECH, 0xc215) => "flight-stick",
                _ => "xbox-one",
            },
            Role::Keyboard => "keyboard",
            Role::Mouse => "mouse",
            Role::Pointer => "mouse-absolute",
            Role::Touch if self.has_property(PropType::DIRECT) => "touchscreen",
            Role::Touch => "touchpad",
            Role::Pen => "pen-tablet",
            Role::Motion => return None,
        })
    }

    /// The profile of a wheel or stick that has all of its controls.
    pub(super) fn wheel(&self) -> Option<&'static Profile> {
        let name = self.profile().filter(|name| matches!(*name, "wheel" | "flight-stick"))?;
        Profile::builtin(name)
    }

    /// Whether Hotseat made it. What comes from a session does not go into one.
    pub(super) fn is_ours(&self) -> bool {
        self.phys.starts_with("hotseat/")
    }
}

// Vendors and products are those of crates/vinput/profiles and drivers/hid/hid-ids.h.
pub(super) const SONY: u16 = 0x054c;
pub(super) const NINTENDO: u16 = 0x057e;
const MICROSOFT: u16 = 0x045e;
const LOGITECH: u16 = 0x046d;

#[cfg(test)]
mod tests {
    use vinput::EventType;

    use super::*;

    /// A device of a profile, without the ranges of its axes.
    pub(super) fn device(profile: &str) -> Abilities {
        let profile = Profile::builtin(profile).unwrap();
        let codes =
            |kind| profile.codes().filter(move |code| code.kind == kind).map(|code| code.code);
        Abilities {
            keys: codes(EventType::Key).collect(),
            relative: codes(EventType::Rel).collect(),
            absolute: codes(EventType::Abs).map(|code| (code, Axis::default())).collect(),
            ..Abilities::default()
        }
    }

    #[test]
    fn the_built_in_profiles_are_told_from_each_other() {
        for profile in ["keyboard", "mouse", "mouse-absolute", "pen-tablet", "xbox-one"] {
            assert_eq!(device(profile).profile(), Some(profile));
        }
        assert_eq!(device("touchpad").profile(), Some("touchpad"));
        let mut screen = device("touchscreen");
        screen.properties.insert(PropType::DIRECT.0);
        assert_eq!(screen.profile(), Some("touchscreen"));
        for stick in ["flight-stick", "arcade-stick", "gamepad", "dualsense-uinput"] {
            assert_eq!(device(stick).role(), Some(Role::Pad), "{stick}");
        }
    }

    #[test]
    fn pads_are_told_from_each_other_by_their_numbers() {
        let pad = |vendor, product| Abilities { vendor, product, ..device("xbox-one") };
        assert_eq!(pad(0x054c, 0x0ce6).profile(), Some("dualsense"));
        assert_eq!(pad(0x057e, 0x2009).profile(), Some("switch-pro"));
        assert_eq!(pad(0x1234, 0x5678).profile(), Some("xbox-one"));
        for name in ["wheel", "flight-stick"] {
            let profile = Profile::builtin(name).unwrap();
            let (vendor, product) = (profile.vendor(), profile.product());
            let wheel = Abilities { vendor, product, ..device(name) };
            assert_eq!(wheel.wheel().map(Profile::name), Some(name));
        }
    }

    #[test]
    fn buttons_of_the_house_and_sensors_are_nothing_to_play_with() {
        let power = Abilities { keys: [KeyCode::KEY_POWER.0].into(), ..Abilities::default() };
        assert_eq!(power.profile(), None);
        let mut sensors = device("xbox-one");
        sensors.properties.insert(PropType::ACCELEROMETER.0);
        assert_eq!((sensors.role(), sensors.profile()), (Some(Role::Motion), None));
        assert!(Abilities { phys: "hotseat/alice/0".to_owned(), ..power }.is_ours());
    }
}
