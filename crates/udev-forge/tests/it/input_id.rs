//! Classes of devices, golden and at the edges.

use udev_forge::input_id::{Bitmap, Capabilities, classify};

const EV_KEY: u16 = 1;
const EV_REL: u16 = 2;
const EV_ABS: u16 = 3;

/// The gamepad buttons from BTN_SOUTH on, without BTN_C and BTN_Z, as a pad of the xpad driver has them.
const PAD_BUTTONS: [u16; 11] =
    [0x130, 0x131, 0x133, 0x134, 0x136, 0x137, 0x13a, 0x13b, 0x13c, 0x13d, 0x13e];
const PAD_AXES: [u16; 8] = [0, 1, 2, 3, 4, 5, 0x10, 0x11];
const BTN_LEFT: u16 = 0x110;
const BTN_RIGHT: u16 = 0x111;

fn device(key: &[u16], rel: &[u16], abs: &[u16], properties: &[u16]) -> Capabilities {
    let bitmap = |codes: &[u16]| codes.iter().copied().collect();
    let types = [(EV_KEY, key), (EV_REL, rel), (EV_ABS, abs)];
    Capabilities {
        ev: types.iter().filter(|(_, codes)| !codes.is_empty()).map(|(ev, _)| *ev).collect(),
        key: bitmap(key),
        rel: bitmap(rel),
        abs: bitmap(abs),
        properties: bitmap(properties),
        bustype: 3,
    }
}

/// The classes, without `ID_INPUT_` in front.
fn classes(device: &Capabilities) -> String {
    let keys = classify(device).properties();
    keys.map(|key| key.strip_prefix("ID_INPUT_").unwrap()).collect::<Vec<_>>().join(" ")
}

fn keyboard() -> Vec<u16> {
    (1..=120).collect()
}

#[test]
fn ordinary_devices_are_what_they_look_like() {
    let pad = device(&PAD_BUTTONS, &[], &PAD_AXES, &[]);
    assert_eq!(classes(&pad), "JOYSTICK");
    let mouse = device(&[BTN_LEFT, BTN_RIGHT, 0x112], &[0, 1, 8], &[], &[]);
    assert_eq!(classes(&mouse), "MOUSE");
    assert_eq!(classes(&device(&[BTN_LEFT], &[], &[0, 1], &[])), "MOUSE");
    assert_eq!(classes(&device(&[BTN_LEFT], &[], &[0, 1], &[1])), "MOUSE");
    assert_eq!(classes(&device(&keyboard(), &[], &[], &[])), "KEY KEYBOARD");
    let touchscreen = device(&[0x14a], &[], &[0, 1, 0x2f, 0x35, 0x36, 0x39], &[1]);
    assert_eq!(classes(&touchscreen), "TOUCHSCREEN");
    let touchpad = device(&[BTN_LEFT, 0x145, 0x14a], &[], &[0, 1, 0x2f, 0x35, 0x36, 0x39], &[0, 2]);
    assert_eq!(classes(&touchpad), "TOUCHPAD");
    let pen = device(&[0x140, 0x141, 0x14a, 0x14b, 0x14c], &[], &[0, 1, 0x18, 0x19, 0x1a], &[1]);
    assert_eq!(classes(&pen), "TABLET");
    let motion = device(&[], &[], &[0, 1, 2, 3, 4, 5], &[6]);
    assert_eq!(classes(&motion), "ACCELEROMETER");
    assert_eq!(classes(&Capabilities::default()), "");
}

#[test]
fn a_pad_without_buttons_is_an_accelerometer() {
    assert_eq!(classes(&device(&[], &[], &PAD_AXES, &[])), "ACCELEROMETER");
    // Only with all of X, Y and Z: pedals are a joystick.
    assert_eq!(classes(&device(&[], &[], &[2, 3, 5], &[])), "JOYSTICK");
    assert_eq!(classes(&device(&[], &[], &[0, 1, 5, 6], &[])), "JOYSTICK");
}

#[test]
fn a_pad_with_a_mouse_button_is_a_mouse() {
    let buttons = [&PAD_BUTTONS[..], &[BTN_LEFT]].concat();
    assert_eq!(classes(&device(&buttons, &[], &PAD_AXES, &[])), "MOUSE");
}

#[test]
fn a_pad_with_four_well_known_keys_is_a_keyboard() {
    let with = |keys: &[u16]| classes(&device(&[&PAD_BUTTONS, keys].concat(), &[], &PAD_AXES, &[]));
    assert_eq!(with(&[29, 58, 69, 110]), "KEY");
    assert_eq!(with(&[29, 58, 69]), "JOYSTICK KEY");
    assert_eq!(with(&[167]), "JOYSTICK KEY");
}

#[test]
fn one_control_makes_no_joystick() {
    assert_eq!(classes(&device(&[0x120], &[], &[], &[])), "");
    assert_eq!(classes(&device(&[], &[], &[6], &[])), "");
    assert_eq!(classes(&device(&[0x120], &[], &[6], &[])), "JOYSTICK");
    assert_eq!(classes(&device(&[0x220, 0x221], &[], &[], &[])), "JOYSTICK");
    assert_eq!(classes(&device(&[0x2c0, 0x2e7], &[], &[], &[])), "JOYSTICK");
    assert_eq!(classes(&device(&[0x2c0, 0x2e8], &[], &[], &[])), "");
}

#[test]
fn a_mouse_with_too_many_buttons_is_no_joystick() {
    let buttons: Vec<u16> = (BTN_LEFT..0x128).collect();
    assert_eq!(classes(&device(&buttons, &[0, 1, 8], &[], &[])), "MOUSE");
}

#[test]
fn slots_of_a_device_that_claims_every_axis_mean_nothing() {
    let keys = [0x14a];
    assert_eq!(classes(&device(&keys, &[], &[0x35, 0x36, 0x2f], &[])), "TOUCHSCREEN");
    let every_axis: Vec<u16> = (0x20..0x40).collect();
    assert_eq!(classes(&device(&keys, &[], &every_axis, &[])), "");
}

#[test]
fn pads_of_tablets_are_told_from_joysticks_and_mice() {
    let buttons = [0x100, 0x101, 0x102];
    assert_eq!(classes(&device(&buttons, &[8], &[], &[])), "TABLET TABLET_PAD");
    let with_stylus = [&buttons[..], &[0x14b]].concat();
    assert_eq!(classes(&device(&with_stylus, &[], &[0, 1], &[])), "TABLET TABLET_PAD");
    let with_pen = [&with_stylus[..], &[0x140]].concat();
    assert_eq!(classes(&device(&with_pen, &[], &[0, 1], &[])), "TABLET");
    let with_joystick = [&buttons[..], &PAD_BUTTONS].concat();
    assert_eq!(classes(&device(&with_joystick, &[8], &[], &[])), "TABLET TABLET_PAD");
}

#[test]
fn pointing_sticks_are_named_by_property_or_by_bus() {
    assert_eq!(classes(&device(&[BTN_LEFT], &[0, 1], &[], &[5])), "POINTINGSTICK MOUSE");
    let mut mouse = device(&[BTN_LEFT], &[0, 1], &[], &[]);
    mouse.bustype = 0x18;
    assert_eq!(classes(&mouse), "POINTINGSTICK MOUSE");
}

#[test]
fn keys_are_everything_that_is_not_a_button() {
    assert_eq!(classes(&device(&[0x160], &[], &[], &[])), "KEY");
    assert_eq!(classes(&device(&[0x230], &[], &[], &[])), "KEY");
    assert_eq!(classes(&device(&[0x2bf], &[], &[], &[])), "KEY");
    assert_eq!(classes(&device(&[0x15f], &[], &[], &[])), "");
    assert_eq!(classes(&device(&keyboard()[1..], &[], &[], &[])), "KEY");
    // A knob, and a lid.
    assert_eq!(classes(&device(&[], &[8], &[], &[])), "KEY");
    let lid = Capabilities { ev: [5].into_iter().collect(), ..Capabilities::default() };
    assert_eq!(classes(&lid), "SWITCH");
}

#[test]
#[cfg(target_pointer_width = "64")]
fn bitmaps_are_read_as_the_kernel_prints_them() {
    let key = Bitmap::parse("7cdb000000000000 0 0 0 0\n");
    assert_eq!((0..=u16::MAX).filter(|code| key.has(*code)).collect::<Vec<_>>(), PAD_BUTTONS);
    assert_eq!(key, PAD_BUTTONS.into_iter().collect());
    let broken = Bitmap::parse("1 x 10000000000000000 2");
    assert_eq!((0..=u16::MAX).filter(|code| broken.has(*code)).collect::<Vec<_>>(), [1, 192]);
    assert!(!Bitmap::parse("").has(0));
}
