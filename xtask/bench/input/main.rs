//! `bench-input ROLE`: the parts of `cargo xtask bench input`.
//!
//! A frame carries when it was said, in the sticks of a pad without fuzz: so whoever reads the event knows how long it took.
//! Roles: `read` reads event nodes, `plain udp|tcp PADS` is the least server there can be, `send` plays, to either, `attack`
//! means harm.

mod attack;
mod clock;
mod plain;
mod read;
mod send;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["read"] => read::run(),
        ["plain", way, pads] => plain::run(way.parse()?, pads.parse()?),
        ["send", "quic", address, fingerprint, session, token, pads] => {
            send::quic(address, fingerprint, session, token, pads.parse()?)
        }
        ["attack", address, session, token] => attack::run(address, session, token),
        ["send", way, address, pads] => send::plain(way.parse()?, address, pads.parse()?),
        _ => {
            bail!("read; plain udp|tcp PADS; send udp|tcp ADDRESS PADS; send quic ...; attack ...")
        }
    }
}

/// How the least server is talked to.
#[derive(Clone, Copy)]
enum Way {
    Udp,
    Tcp,
}

impl std::str::FromStr for Way {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "udp" => Ok(Self::Udp),
            "tcp" => Ok(Self::Tcp),
            _ => bail!("udp or tcp, not {text}"),
        }
    }
}

/// What a frame to the least server has: the pad's number and its four stick axes, little-endian.
const RECORD: usize = 1 + 4 * 2;
