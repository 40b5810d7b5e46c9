//! Hotseat.
