//! The real program, in network namespaces made for each test, heard by the library's monitor. Needs root.

#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

mod errors;
mod fake_udev;
mod namespace;
mod send_and_monitor;
mod show;
