//! Which devices a Moonlight client's are, and what of its events is one report.

use hotseat_wire::moonlight::{Device, MAX_PADS, Maker, Model};
use hotseat_wire::{Change, Kind};

use crate::admission::key_is_allowed;

/// How many slots the devices of a client can take.
pub(super) const SLOTS: usize = MAX_PADS as usize + 5;

/// The slot of a device.
pub(super) fn slot(device: Device) -> u8 {
    match device {
        Device::Pad(pad) => pad,
        Device::Keyboard => MAX_PADS,
        Device::Mouse => MAX_PADS + 1,
        Device::Pointer => MAX_PADS + 2,
        Device::Touchscreen => MAX_PADS + 3,
        Device::Tablet => MAX_PADS + 4,
    }
}

/// The profile of what is no pad; of a pad that was not announced, the most usual one.
pub(super) fn profile(device: Device) -> &'static str {
    match device {
        Device::Pad(_) => profile_of(&Model::default()),
        Device::Keyboard => "keyboard",
        Device::Mouse => "mouse",
        Device::Pointer => "mouse-absolute",
        Device::Touchscreen => "touchscreen",
        Device::Tablet => "pen-tablet",
    }
}

/// `LI_CCAP_TOUCHPAD` (moonlight-common-c's src/Limelight.h).
const TOUCHPAD: u16 = 0x08;
/// `LI_CCAP_ACCEL`.
pub(super) const ACCELEROMETER: u16 = 0x10;
/// `LI_CCAP_GYRO`.
pub(super) const GYROSCOPE: u16 = 0x20;

/// The profile of a pad. One that is nobody's but can do more than an Xbox pad is Sony's, which can do all of it.
pub(super) fn profile_of(model: &Model) -> &'static str {
    match model.maker {
        Maker::PlayStation => "dualsense",
        Maker::Nintendo => "switch-pro",
        Maker::Xbox => "xbox-one",
        Maker::Unknown | Maker::Steam => {
            let more = TOUCHPAD | ACCELEROMETER | GYROSCOPE;
            if model.capabilities & more == 0 { "xbox-one" } else { "dualsense" }
        }
    }
}

/// Whether a player may do that.
pub(super) fn is_allowed(change: &Change) -> bool {
    match *change {
        Change::Key { key, .. } => key_is_allowed(key),
        _ => true,
    }
}

/// Whether programs are to see two changes of a device at once. What goes down or up is seen on its own, but together with
/// sticks or motion that came before it.
pub(super) fn is_one_report(before: &[Change], next: &Change) -> bool {
    !(is_edge(next) && before.iter().any(is_edge))
}

fn is_edge(change: &Change) -> bool {
    match change {
        Change::Axes(_) | Change::Move { .. } | Change::Wheel { .. } | Change::Pen(_) => false,
        _ => !matches!(change.kind(), Kind::Pointer | Kind::Motion | Kind::Battery),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hotseat_wire::Axes;

    use super::*;
    use crate::profiles;

    #[test]
    fn every_device_has_a_slot_of_its_own_and_a_profile_that_there_is() {
        let others =
            [Device::Keyboard, Device::Mouse, Device::Pointer, Device::Touchscreen, Device::Tablet];
        let all = (0..MAX_PADS).map(Device::Pad).chain(others);
        let slots: Vec<_> = all.clone().map(slot).collect();
        assert!(slots.iter().map(|slot| usize::from(*slot)).eq(0..SLOTS));
        let makers =
            [Maker::Unknown, Maker::Xbox, Maker::PlayStation, Maker::Nintendo, Maker::Steam];
        let models = makers.map(|maker| profile_of(&Model { maker, ..Model::default() }));
        for name in all.map(profile).chain(models) {
            assert!(profiles::find(Path::new("/nonexistent"), name).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_pad_that_can_do_more_gets_one_that_can() {
        let model =
            |maker, capabilities| profile_of(&Model { maker, capabilities, ..Model::default() });
        assert_eq!(model(Maker::Unknown, 0x03), "xbox-one");
        assert_eq!(model(Maker::Unknown, 0x23), "dualsense");
        assert_eq!(model(Maker::Steam, 0x3b), "dualsense");
        assert_eq!(model(Maker::Xbox, 0xff), "xbox-one");
    }

    #[test]
    fn every_press_is_a_report_of_its_own() {
        let axes = Change::Axes(Axes::default());
        let press = Change::Button { button: 0, down: true };
        assert!(is_one_report(&[axes], &press));
        assert!(is_one_report(&[press], &axes));
        assert!(!is_one_report(&[press, axes], &press));
        assert!(!is_one_report(&[Change::Lift { id: 1 }], &Change::Lift { id: 2 }));
    }

    #[test]
    fn keys_that_the_host_obeys_are_nobodys_to_press() {
        assert!(!is_allowed(&Change::Key { key: 99, down: true }));
        assert!(is_allowed(&Change::Key { key: 30, down: true }));
        assert!(is_allowed(&Change::Button { button: 99, down: true }));
    }
}
