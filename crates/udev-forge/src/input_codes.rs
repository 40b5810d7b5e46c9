//! The event codes that `input_id` looks at (linux/input-event-codes.h, linux/input.h).

pub(crate) const EV_KEY: u16 = 0x01;
pub(crate) const EV_REL: u16 = 0x02;
pub(crate) const EV_SW: u16 = 0x05;

pub(crate) const REL_X: u16 = 0x00;
pub(crate) const REL_Y: u16 = 0x01;
pub(crate) const REL_HWHEEL: u16 = 0x06;
pub(crate) const REL_WHEEL: u16 = 0x08;

pub(crate) const ABS_X: u16 = 0x00;
pub(crate) const ABS_Y: u16 = 0x01;
pub(crate) const ABS_Z: u16 = 0x02;
pub(crate) const ABS_RX: u16 = 0x03;
pub(crate) const ABS_PRESSURE: u16 = 0x18;
pub(crate) const ABS_MT_SLOT: u16 = 0x2f;
pub(crate) const ABS_MT_POSITION_X: u16 = 0x35;
pub(crate) const ABS_MT_POSITION_Y: u16 = 0x36;

pub(crate) const BTN_MISC: u16 = 0x100;
pub(crate) const BTN_0: u16 = 0x100;
pub(crate) const BTN_1: u16 = 0x101;
pub(crate) const BTN_MOUSE: u16 = 0x110;
pub(crate) const BTN_JOYSTICK: u16 = 0x120;
pub(crate) const BTN_DIGI: u16 = 0x140;
pub(crate) const BTN_TOOL_PEN: u16 = 0x140;
pub(crate) const BTN_TOOL_FINGER: u16 = 0x145;
pub(crate) const BTN_TOUCH: u16 = 0x14a;
pub(crate) const BTN_STYLUS: u16 = 0x14b;
pub(crate) const KEY_OK: u16 = 0x160;
pub(crate) const BTN_DPAD_UP: u16 = 0x220;
pub(crate) const BTN_DPAD_RIGHT: u16 = 0x223;
pub(crate) const KEY_ALS_TOGGLE: u16 = 0x230;
pub(crate) const BTN_TRIGGER_HAPPY1: u16 = 0x2c0;
pub(crate) const BTN_TRIGGER_HAPPY40: u16 = 0x2e7;

/// Keys of which a joystick may have one or two, but hardly four: left control, caps lock, num lock,
/// insert, mute, calculator, file, mail, play/pause, darker screen.
pub(crate) const WELL_KNOWN_KEYS: [u16; 10] = [29, 58, 69, 110, 113, 140, 144, 155, 164, 224];

pub(crate) const INPUT_PROP_DIRECT: u16 = 0x01;
pub(crate) const INPUT_PROP_POINTING_STICK: u16 = 0x05;
pub(crate) const INPUT_PROP_ACCELEROMETER: u16 = 0x06;

pub(crate) const BUS_USB: u16 = 0x03;
pub(crate) const BUS_BLUETOOTH: u16 = 0x05;
pub(crate) const BUS_I2C: u16 = 0x18;
