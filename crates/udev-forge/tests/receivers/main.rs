//! What real libraries make of our messages, in the namespaces that containers have.
//!
//! They need root and the libraries that the test machine has in /opt/libudev. Libraries in `target/libudev`
//! take part too; docs/receivers.md says how to get eudev and libudev-zero, which Debian does not have.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and names what it ran with"
)]

mod acceptance;
mod injection;
mod listener;
mod matrix;
