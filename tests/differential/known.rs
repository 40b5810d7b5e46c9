//! Every known difference, and why it is one.

use udev_forge::Message;

/// Why udevd's message or record of this device may say something else under `key`.
pub(crate) fn reason(_message: &Message, _key: &str) -> Option<&'static str> {
    None
}
