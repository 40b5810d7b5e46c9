//! A client and a server in virtual time, with a network between them that loses, doubles, delays and reorders.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod chaos;
mod rate;
mod scenarios;
mod world;
