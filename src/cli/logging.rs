//! Where the daemon's log goes, and in which form.

use std::env;
use std::io::{self, IsTerminal};

use anyhow::{Context, Result};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use super::log_lines::LogLines;
use crate::config::LogFormat;

/// What the fields of a message are called in the journal: `journalctl HOTSEAT_SESSION=alice`.
const FIELD_PREFIX: &str = "HOTSEAT";

/// Logs from now on, to standard error by what is returned. What is logged says the environment variable `RUST_LOG`; `info` and
/// worse without it.
pub(super) fn start(format: LogFormat) -> Result<LogLines> {
    let lines = LogLines::start().context("could not start to log")?;
    let stderr = lines.clone();
    let stderr = move || stderr.clone();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => {
            let text = fmt::layer()
                .with_ansi(io::stderr().is_terminal())
                // A log that cannot be written must not bring the daemon down.
                .log_internal_errors(false)
                .with_writer(stderr);
            // The journal has the time of each line already (systemd.exec(5), "$JOURNAL_STREAM").
            if env::var_os("JOURNAL_STREAM").is_some() {
                text.without_time().boxed()
            } else {
                text.boxed()
            }
        }
        LogFormat::Json => {
            let json = fmt::layer().json().flatten_event(true).log_internal_errors(false);
            json.with_writer(stderr).boxed()
        }
        LogFormat::Journald => {
            let journald = tracing_journald::layer()
                .context("could not reach journald: use another `log` in the configuration")?;
            journald.with_field_prefix(Some(FIELD_PREFIX.to_owned())).boxed()
        }
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    Ok(lines)
}
