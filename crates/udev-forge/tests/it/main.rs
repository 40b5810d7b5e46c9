//! Everything that needs neither root nor a network namespace.

#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

mod acceptance;
mod database;
mod fixture;
mod golden;
mod hostile;
mod hwdb;
mod input_id;
mod rules;
