//! Which network namespace, and who is root there.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use clap::Args;
use udev_forge::Credentials;

/// Why a namespace cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetnsError {
    /// There is no such namespace.
    #[error("cannot open the network namespace of {what}")]
    Open { what: String, source: io::Error },
    /// What is known of a process cannot be read.
    #[error("cannot read {path}")]
    Read { path: String, source: io::Error },
    /// Nobody is root for the process.
    #[error("the user namespace of process {pid} has no root that is known here")]
    NoRoot { pid: u32 },
}

/// A network namespace, as an argument.
#[derive(Debug, Args)]
pub(crate) struct Netns {
    /// The network namespace: that of a process, or that behind a path such as /run/netns/NAME. This
    /// process's own if not given.
    #[arg(long = "netns", value_name = "PID|PATH")]
    name: Option<String>,
}

impl Netns {
    /// The namespace, opened; `None` is this process's own.
    pub(crate) fn open(&self) -> Result<Option<File>, NetnsError> {
        let Some(name) = &self.name else { return Ok(None) };
        let (path, what) = match self.pid() {
            Some(pid) => (format!("/proc/{pid}/ns/net").into(), format!("process {pid}")),
            None => (PathBuf::from(name), format!("`{name}`")),
        };
        File::open(&path).map(Some).map_err(|source| NetnsError::Open { what, source })
    }

    /// The root user as receivers in the namespace see it, in ids of this process's user namespace.
    ///
    /// Only a process tells in which user namespace the receivers live. With a path, or without a
    /// namespace, it is taken for this process's own.
    pub(crate) fn root(&self) -> Result<Credentials, NetnsError> {
        let Some(pid) = self.pid() else { return Ok(Credentials { uid: 0, gid: 0 }) };
        let user_namespace = |process: &str| {
            let path = format!("/proc/{process}/ns/user");
            fs::read_link(&path).map_err(|source| NetnsError::Read { path, source })
        };
        if user_namespace("self")? == user_namespace(&pid.to_string())? {
            return Ok(Credentials { uid: 0, gid: 0 });
        }
        Ok(Credentials { uid: root_in(pid, "uid_map")?, gid: root_in(pid, "gid_map")? })
    }

    fn pid(&self) -> Option<u32> {
        self.name.as_ref()?.parse().ok()
    }
}

/// What id 0 of the process's user namespace is here (user_namespaces(7)).
fn root_in(pid: u32, map: &str) -> Result<u32, NetnsError> {
    let path = format!("/proc/{pid}/{map}");
    let text = fs::read_to_string(&path).map_err(|source| NetnsError::Read { path, source })?;
    parse_map(&text).ok_or(NetnsError::NoRoot { pid })
}

/// The second number of the line whose first one is 0. An id that has no name here is shown as the highest
/// number.
fn parse_map(map: &str) -> Option<u32> {
    let mut lines = map.lines().map(|line| line.split_ascii_whitespace());
    let id = lines.find_map(|mut numbers| (numbers.next()? == "0").then(|| numbers.next())?)?;
    id.parse().ok().filter(|id| *id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::parse_map;

    #[test]
    fn root_is_what_the_map_says() {
        assert_eq!(parse_map("         0     100000      65536\n"), Some(100_000));
        assert_eq!(parse_map("1 100000 1000\n0 1000 1\n1001 101001 64535\n"), Some(1000));
        assert_eq!(parse_map("0 0 4294967295\n"), Some(0));
    }

    #[test]
    fn a_namespace_without_root_has_none() {
        assert_eq!(parse_map("1000 1000 1\n"), None);
        assert_eq!(parse_map("0 4294967295 1\n"), None);
        assert_eq!(parse_map(""), None);
    }
}
