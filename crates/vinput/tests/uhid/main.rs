//! Pads that the kernel's own drivers have taken, read back through evdev, sysfs and hidraw, and by
//! SDL. Needs root, /dev/uhid, the modules hid-playstation, hid-nintendo, evdev, joydev and mousedev,
//! Python and SDL.

#![expect(clippy::unwrap_used, reason = "tests")]

mod harness;
mod lifetime;
mod sdl;
mod sony;
mod switch;
