//! Devices that go on when the process that made them is killed: another one, which has a duplicate of their
//! descriptor, takes them over, and programs that have them open notice nothing but that everything is let go
//! of. Needs root, /dev/uinput, /dev/uhid, and the modules evdev, joydev, mousedev, hid-playstation and
//! hid-nintendo.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../uhid/harness.rs"]
mod harness;
mod maker;
mod own;
mod pads;
mod uinput;
