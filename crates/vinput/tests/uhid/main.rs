//! Pads that the kernel's own drivers have taken, read back through evdev, sysfs and hidraw, and by
//! programs: SDL, python-evdev and fftest. Needs root, /dev/uhid, the modules hid-playstation,
//! hid-nintendo, evdev, joydev and mousedev, and these programs.
//!
//! What the programs find is the second table in docs/profiles.md; a test per column holds it against
//! that, or writes it where `HOTSEAT_UPDATE_DOCS` is set.

#![expect(clippy::unwrap_used, reason = "tests")]

mod consumers;
mod harness;
mod lifetime;
#[path = "../consumers/program.rs"]
mod program;
mod sdl;
mod sony;
mod switch;
#[path = "../consumers/table.rs"]
mod table;
