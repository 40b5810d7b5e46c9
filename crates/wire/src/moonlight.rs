//! Input packets of Moonlight clients, as changes of devices; and the feedback packets that they know.
//!
//! A host of Moonlight clients, such as Wolf, can hand on what comes in control messages of type 0x0206 (`INPUT_DATA`),
//! decrypted. [`Player`] turns it into [`Event`]s, and [`Output`] is what goes back. The layouts are those of
//! moonlight-common-c (src/Input.h, src/ControlStream.c at 874ac95, generation 5 and later), its numbers those of
//! src/Limelight.h.
//!
//! ```
//! use hotseat_wire::Change;
//! use hotseat_wire::moonlight::{Device, Event, Player};
//!
//! let mut player = Player::new();
//! let mouse_moves = [0, 0, 0, 8, 7, 0, 0, 0, 0, 5, 0xff, 0xfd];
//! let change = Change::Move { dx: 5, dy: -3 };
//! assert_eq!(player.handle(&mouse_moves)?, [Event::Change { device: Device::Mouse, change }]);
//! # Ok::<(), hotseat_wire::DecodeError>(())
//! ```

mod keys;
mod output;
mod packet;
mod pad;
mod pen;
mod player;
mod pointers;

pub use self::output::{MotionKind, Output};
pub use self::packet::{Packet, TouchEvent};
pub use self::player::Player;

use crate::Change;

/// How many pads a client has at most (`MAX_GAMEPADS` in src/InputStream.c).
pub const MAX_PADS: u8 = 16;

/// What the size in front of a packet is at most. The largest packet that there is, a text, has 36 bytes after it; what is
/// far larger is no packet.
pub const MAX_PACKET: usize = 128;

/// One of a client's devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Device {
    /// The keyboard.
    Keyboard,
    /// The mouse: motion, buttons, wheels.
    Mouse,
    /// The pointer that is put to a place. It has no buttons: those of the mouse are pressed.
    Pointer,
    /// The touchscreen.
    Touchscreen,
    /// The pen on the screen.
    Tablet,
    /// A pad, by its number.
    Pad(u8),
}

/// What a client does.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// There is a pad.
    Arrived {
        /// Its number.
        pad: u8,
        /// What it is.
        model: Model,
    },
    /// There is no such pad any more.
    Left {
        /// Its number.
        pad: u8,
    },
    /// A device changes. Programs are to see each on its own, unless it is an axis.
    Change {
        /// The device.
        device: Device,
        /// What changes.
        change: Change,
    },
    /// Text that was not typed on a keyboard.
    Text(String),
}

/// What kind of pad it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// Whose pads it is like.
    pub maker: Maker,
    /// What it can do, `LI_CCAP_*`: 1 analog triggers, 2 rumble, 4 rumble in the triggers, 8 touchpad, 0x10
    /// accelerometer, 0x20 gyroscope, 0x40 battery, 0x80 light.
    pub capabilities: u16,
    /// The buttons that it has, as Moonlight numbers them (`*_FLAG`).
    pub buttons: u32,
}

/// Whose pads a pad is like (`LI_CTYPE_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Maker {
    /// Not said.
    #[default]
    Unknown,
    /// Microsoft.
    Xbox,
    /// Sony.
    PlayStation,
    /// Nintendo.
    Nintendo,
    /// Valve.
    Steam,
}
