//! Input packets of Moonlight clients.
