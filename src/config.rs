//! `/etc/hotseat/hotseat.toml` (docs/configuration.md).

mod changes;
mod remote;

use std::fs;
use std::io;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use changes::{Applies, Change};
pub use remote::Remote;

use crate::host::{Rule, RuleError};

/// Where the daemon looks when no `--config` is given; it may be missing.
pub const DEFAULT_PATH: &str = "/etc/hotseat/hotseat.toml";

/// Where the daemon listens, and the command line calls, unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/hotseat/hotseat.sock";

/// The configuration could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("could not read the configuration `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file says something that is not understood.
    #[error("the configuration `{path}` is not valid")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why, with the line.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A rule cannot be one.
    #[error("rule config{at} of the configuration `{path}` is not valid")]
    Rule {
        /// The file.
        path: PathBuf,
        /// Which, from 0 on.
        at: usize,
        /// Why.
        #[source]
        source: RuleError,
    },
}

/// Everything that can be configured. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The API's Unix socket.
    pub socket: PathBuf,
    /// Where the staging file system is mounted.
    pub stage: PathBuf,
    /// The journal of what sessions have and are to have (docs/recovery.md). Containers do not outlive the kernel: in
    /// /run syncing it costs nothing. On a disk, sessions outlive a reboot, and wait for new containers.
    pub journal: PathBuf,
    /// Where the user's own profiles are, a file `NAME.toml` each. It may be missing.
    pub profiles: PathBuf,
    /// Docker's API socket.
    pub docker_socket: PathBuf,
    /// The API socket of the host's root's Podman.
    pub podman_socket: PathBuf,
    /// Whether containers with the label `hotseat.session=NAME` are attached when they start (docs/runtimes.md).
    pub follow: bool,
    /// Users whose rootless containers are followed too. Whoever is named here can take a session's devices.
    pub follow_podman_users: Vec<String>,
    /// A directory of CDI specifications, such as /etc/cdi: each session that is added becomes a device of its
    /// hotseat.json (docs/ready.md). None if not given.
    pub cdi_dir: Option<PathBuf>,
    /// How long a device outlives the client that declared it, in seconds: a client that comes back in this time finds
    /// the same device. A session can have its own.
    pub grace_seconds: u32,
    /// Users who may call the API, besides root and the daemon's own user.
    pub allow_uids: Vec<u32>,
    /// Whether programs with libudev-zero, a libudev for systems without udevd, are told of devices too: a
    /// second message in its own group (docs/receivers.md).
    pub libudev_zero: bool,
    /// What the log looks like, and where it goes.
    pub log: LogFormat,
    /// Permission bits of the nodes in a container, as an octal string such as "0660".
    ///
    /// The default is 0666: a session's directory can be reached from its own container only, where games
    /// run as any user the image likes, in no group of the host's.
    #[serde(deserialize_with = "octal")]
    pub node_mode: u32,
    /// What becomes of sessions and devices when the daemon is told to stop. If nothing is said: they are kept where
    /// systemd has a descriptor store for the daemon, and unplugged elsewhere (docs/survive.md).
    pub on_stop: Option<OnStop>,
    /// Which devices of the host sessions get (docs/host-devices.md); beside the rules that sessions have of their own.
    pub rule: Vec<Rule>,
    /// How much of everything there may be.
    pub limits: Limits,
    /// Clients from afar.
    pub remote: Remote,
}

/// What becomes of sessions and devices when the daemon is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnStop {
    /// They are unplugged and removed; nothing is left.
    Unplug,
    /// They are left as they are, as if the daemon had been killed: the next one takes over what it can.
    Keep,
}

/// How much of everything there may be, so that neither clients nor the sum of them get as far as the kernel's own
/// limits. What would be more is refused.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Sessions.
    pub sessions: usize,
    /// Devices of all sessions. The kernel has minor numbers for 816 input nodes (16 of joydev, 32 of evdev and 768 for
    /// whoever comes first; `input_get_new_minor`, drivers/input/input.c): a pad of two nodes 408 times, without the
    /// host's own devices.
    pub devices: usize,
    /// Devices of one session; slots are 0 to 31.
    pub devices_per_session: usize,
    /// Devices through uhid: each has a hidraw node, of which the kernel has 64 (`HIDRAW_MAX_DEVICES`,
    /// include/linux/hidraw.h) with those of the host's own keyboards and mice.
    pub whole_pads: usize,
    /// Those who watch events at once.
    pub watchers: usize,
    /// Connections to the API at once.
    pub connections: usize,
    /// Connections of one user at once, so that one user leaves some to the others.
    pub connections_per_user: usize,
    /// Requests of one user in a second.
    pub requests_per_user: NonZeroU32,
    /// Requests about one session in a second, from whomever.
    pub requests_per_session: NonZeroU32,
    /// Length of a request's body in bytes.
    pub body_bytes: usize,
    /// Headers of a request.
    pub headers: NonZeroUsize,
    /// Seconds after which a connection without a request is closed, or one whose request does not go on.
    pub idle_seconds: NonZeroU64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 256,
            devices: 400,
            devices_per_session: 32,
            whole_pads: 56,
            watchers: 64,
            connections: 512,
            connections_per_user: 384,
            requests_per_user: const { NonZeroU32::new(20_000).unwrap() },
            requests_per_session: const { NonZeroU32::new(10_000).unwrap() },
            body_bytes: 64 * 1024,
            headers: const { NonZeroUsize::new(64).unwrap() },
            idle_seconds: const { NonZeroU64::new(60).unwrap() },
        }
    }
}

/// What the daemon's log looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Lines for people, on standard error.
    #[default]
    Text,
    /// A JSON object per line, on standard error.
    Json,
    /// Messages with fields of their own, to systemd's journal.
    Journald,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            socket: DEFAULT_SOCKET.into(),
            stage: "/run/hotseat/stage".into(),
            journal: "/run/hotseat/journal.jsonl".into(),
            profiles: "/etc/hotseat/profiles".into(),
            docker_socket: "/var/run/docker.sock".into(),
            podman_socket: "/run/podman/podman.sock".into(),
            follow: true,
            follow_podman_users: Vec::new(),
            cdi_dir: None,
            grace_seconds: 15,
            allow_uids: Vec::new(),
            libudev_zero: false,
            log: LogFormat::default(),
            node_mode: 0o666,
            on_stop: None,
            rule: Vec::new(),
            limits: Limits::default(),
            remote: Remote::default(),
        }
    }
}

impl Config {
    /// Reads `path`; without one, [`DEFAULT_PATH`] if it exists.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]. A missing file is an error only when it was named.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let named = path.unwrap_or(Path::new(DEFAULT_PATH));
        match fs::read_to_string(named) {
            Ok(text) => Self::parse(&text, named),
            Err(error) if path.is_none() && error.kind() == io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(source) => Err(ConfigError::Read { path: named.to_owned(), source }),
        }
    }
}

impl Config {
    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        for (at, rule) in config.rule.iter().enumerate() {
            rule.check_configured().map_err(|source| ConfigError::Rule {
                path: path.to_owned(),
                at,
                source,
            })?;
        }
        Ok(config)
    }
}

fn octal<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let text = String::deserialize(deserializer)?;
    match u32::from_str_radix(&text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err(serde::de::Error::custom(format!(
            "`{text}` is not a file mode: write permission bits in octal, such as \"0660\""
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hotseat.toml");
        fs::write(&path, text).unwrap();
        Config::load(Some(&path)).map_err(|error| error.source().unwrap().to_string())
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(parse(""), Ok(Config::default()));
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_the_line() {
        let error = parse("allow_uids = [1000]\nsokcet = \"/x\"\n").unwrap_err();
        assert!(error.contains("line 2") && error.contains("sokcet"), "{error}");
    }

    #[test]
    fn a_mode_is_octal_text() {
        assert_eq!(parse("node_mode = \"0660\"").unwrap().node_mode, 0o660);
        for text in ["node_mode = \"0999\"", "node_mode = \"7777\"", "node_mode = 660"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_limit_that_nothing_could_keep_to_is_refused() {
        let config = parse("on_stop = \"keep\"\n[limits]\nsessions = 0\n").unwrap();
        assert_eq!((config.on_stop, config.limits.sessions), (Some(OnStop::Keep), 0));
        assert_eq!(config.limits.devices, Limits::default().devices);
        for key in ["requests_per_user", "requests_per_session", "headers", "idle_seconds"] {
            let error = parse(&format!("[limits]\n{key} = 0\n")).unwrap_err();
            assert!(error.contains("line 2"), "{error}");
        }
        assert!(parse("[limits]\npads = 3\n").unwrap_err().contains("pads"));
        assert!(parse("[remote]\ndscp = 64\n").unwrap_err().contains("64 is no DSCP"));
        let error = parse("[remote]\nclient_fingerprints = [\"ab\"]\n").unwrap_err();
        assert!(error.contains("`ab` is not a fingerprint"), "{error}");
    }

    #[test]
    fn a_rule_that_can_be_none_is_refused_by_its_name() {
        let tty = "[[rule]]\nsession = \"gateway\"\nsubsystem = \"tty\"\n";
        assert_eq!(parse(tty).unwrap().rule[0].session.as_deref(), Some("gateway"));
        let error = parse(&format!("{tty}[[rule]]\nsession = \"*\"\n")).unwrap_err();
        assert!(error.contains("means every device"), "{error}");
        let error = parse("[[rule]]\nsession = \"*\"\nmajor = 166\nminr = 0\n").unwrap_err();
        assert!(error.contains("line 4") && error.contains("minr"), "{error}");
    }

    #[test]
    fn a_missing_file_is_an_error_only_when_named() {
        assert!(matches!(
            Config::load(Some(Path::new("/nonexistent/hotseat.toml"))),
            Err(ConfigError::Read { .. })
        ));
    }
}
