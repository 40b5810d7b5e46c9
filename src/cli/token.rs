//! `hotseat token` and `hotseat tokens`.

use anyhow::Result;
use clap::{Args, Subcommand};

use super::client::Client;
use super::{Json, output};
use crate::api::types::WantedToken;

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// The session.
    session: String,
    /// How long clients may attach with it, such as 90s, 30m, 12h or 7d; without end if not given.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires: Option<u64>,
    /// A profile that may be plugged with it, as often as needed; all if not given.
    #[arg(long = "profile", value_name = "PROFILE")]
    profiles: Vec<String>,
    /// Let keys through that a host may obey, such as SysRq and Power.
    #[arg(long)]
    all_keys: bool,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum TokensCommand {
    /// Take a token back; its clients are disconnected.
    Revoke {
        /// Its id.
        id: String,
    },
}

pub(super) async fn make(args: TokenArgs, client: &Client) -> Result<()> {
    let TokenArgs { session, expires, profiles, all_keys, json } = args;
    let wanted = WantedToken { session, expires_seconds: expires, profiles, all_keys };
    output::token(&client.add_token(&wanted).await?, json.json)
}

pub(super) async fn tokens(
    command: Option<TokensCommand>,
    json: &Json,
    client: &Client,
) -> Result<()> {
    match command {
        Some(TokensCommand::Revoke { id }) => Ok(client.revoke_token(&id).await?),
        None => output::tokens(&client.tokens().await?, json.json),
    }
}

/// A number and its unit.
fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no time: write 90s, 30m, 12h or 7d");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_number_and_a_unit() {
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("2h"), Ok(7200));
        assert_eq!(seconds("7d"), Ok(604_800));
        for wrong in ["", "h", "5", "1.5h", "-1s", "1w", "99999999999999999999d", "1ä"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
