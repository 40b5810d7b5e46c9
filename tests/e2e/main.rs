//! End-to-end scenarios: the daemon and its command line, a real kernel, real containers, real programs.
//!
//! They run as root in the test machine (`cargo xtask test`), or with `--native` on a host that has
//! /dev/uinput, Docker and the image `hotseat/consumers`. They share the host's devices, so one at a time.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and prints what a failure needs"
)]

mod bad_input;
mod connect;
mod consumers;
mod desired;
mod doctor;
mod events;
mod failures;
mod follow;
mod hand_off;
mod harness;
mod hid;
mod hidraw;
mod host_devices;
mod hostile;
mod isolation;
mod lifetime;
mod limits;
mod matrix;
mod matrix_others;
mod metrics;
mod moonlight;
mod nodes;
mod pads;
mod profiles;
mod ready;
mod receivers;
mod recovery;
mod references;
mod reload;
mod remote;
mod sandbox;
mod service;
mod shipped;
mod soak;
mod survive;
mod who;
