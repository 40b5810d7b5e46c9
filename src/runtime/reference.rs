//! How a user names a container.

use std::fmt;
use std::str::FromStr;

use crate::sandbox;

/// How a user names a container (docs/runtimes.md).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerRef {
    /// A container of the Docker daemon, by name or id.
    Docker(String),
    /// A container of Podman, by name or id: the host's root's, or a user's.
    Podman {
        /// The user whose rootless container it is, by name or number.
        user: Option<String>,
        /// Its name or id.
        name: String,
    },
    /// A container of containerd or CRI-O, by id or the beginning of one.
    Cri(String),
    /// A container that systemd-machined knows, such as one of systemd-nspawn.
    Machine(String),
    /// A container of LXC or Incus.
    Lxc(String),
    /// Any container, by a process in it, as numbered on the host.
    Pid(u32),
    /// The built-in sandbox of `hotseat run`, by session name.
    Sandbox(String),
}

/// The forms of a reference, for messages and help.
const FORMS: &str = "docker:NAME, podman:NAME, podman:USER/NAME, cri:ID, machine:NAME, lxc:NAME, pid:NUMBER or \
                         sandbox:SESSION";

/// A text that names no container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not name a container: write {FORMS}")]
pub struct RefError(String);

impl FromStr for ContainerRef {
    type Err = RefError;

    fn from_str(text: &str) -> Result<Self, RefError> {
        let error = || RefError(text.to_owned());
        let (kind, name) = text.split_once(':').ok_or_else(error)?;
        let reference = match kind {
            "docker" if is_name(name) => Self::Docker(name.to_owned()),
            "podman" => match name.split_once('/') {
                None if is_name(name) => Self::Podman { user: None, name: name.to_owned() },
                Some((user, name)) if is_user(user) && is_name(name) => {
                    Self::Podman { user: Some(user.to_owned()), name: name.to_owned() }
                }
                _ => return Err(error()),
            },
            "cri" if is_name(name) => Self::Cri(name.to_owned()),
            "machine" if is_name(name) => Self::Machine(name.to_owned()),
            "lxc" if is_name(name) => Self::Lxc(name.to_owned()),
            "pid" => match name.parse() {
                Ok(pid) if pid > 0 => Self::Pid(pid),
                _ => return Err(error()),
            },
            "sandbox" if sandbox::is_name(name) => Self::Sandbox(name.to_owned()),
            _ => return Err(error()),
        };
        Ok(reference)
    }
}

/// The names that Docker itself allows (`RestrictedNameChars` in moby's daemon/names), so that none can reach into
/// another path of its API, nor be an option or another directory elsewhere; no longer than a directory's name can be. Those of Podman, containerd, machines
/// (hostname(7)) and LXC are among them.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.len() <= NAME_MAX
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// The longest name of a file or directory, such as a container's cgroup, in bytes (include/uapi/linux/limits.h).
const NAME_MAX: usize = 255;

/// What useradd(8) lets a user be called, more or less; numbers too.
fn is_user(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && name.len() <= NAME_MAX
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '@'))
}

impl fmt::Display for ContainerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Docker(name) => write!(f, "docker:{name}"),
            Self::Podman { user: None, name } => write!(f, "podman:{name}"),
            Self::Podman { user: Some(user), name } => write!(f, "podman:{user}/{name}"),
            Self::Cri(id) => write!(f, "cri:{id}"),
            Self::Machine(name) => write!(f, "machine:{name}"),
            Self::Lxc(name) => write!(f, "lxc:{name}"),
            Self::Pid(pid) => write!(f, "pid:{pid}"),
            Self::Sandbox(name) => write!(f, "sandbox:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_round_trip() {
        for text in [
            "docker:game-1",
            "podman:game",
            "podman:player/game",
            "podman:1000/game",
            "cri:0123456789ab",
            "machine:debian.lan",
            "lxc:c1",
            "pid:4711",
            "sandbox:alice",
        ] {
            assert_eq!(text.parse::<ContainerRef>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_forms_that_work() {
        for text in [
            "",
            "game",
            "docker:",
            "docker:../info",
            "docker:a/b",
            "podman:",
            "podman:/game",
            "podman:player/",
            "podman:../game",
            "podman:a/b/c",
            "cri:",
            "cri:default/c1",
            "machine:-l",
            "machine:.host",
            "lxc:*",
            "pid:0",
            "pid:-1",
            "pid:x",
            "kata:a",
        ] {
            let error = text.parse::<ContainerRef>().unwrap_err();
            assert!(error.to_string().contains("docker:NAME"), "{text}");
        }
    }
}
