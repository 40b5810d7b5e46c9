//! HID devices that a file describes, with the kernel's hid-generic: what is captured from a device of the machine
//! makes one like it, and a pad that nobody sells works. Needs root, /dev/uhid, and for some the programs and the
//! USB mouse and keyboard of the test machine.

#![expect(clippy::unwrap_used, reason = "tests")]

mod capture;
mod harness;
mod pad;
#[path = "../consumers/program.rs"]
#[expect(dead_code, reason = "others talk to their programs")]
mod program;
