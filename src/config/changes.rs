//! What a changed key of the configuration takes to have an effect.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Config, Limits};

/// A key that was changed, and when that has an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// The key, as in the file; one of a table with a dot, such as `limits.devices`.
    pub key: String,
    /// When its new value has an effect.
    pub applies: Applies,
}

/// When a changed key has an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Applies {
    /// At once. What is there already stays as it is: a limit takes nothing away.
    Now,
    /// For sessions that are added from now on.
    NextSession,
    /// For containers that are attached from now on.
    NextAttach,
    /// For devices that are plugged from now on.
    NextPlug,
    /// For connections that are made from now on.
    NextConnection,
    /// Not before the daemon is started again; it goes on with the old value.
    Restart,
}

impl fmt::Display for Applies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Now => "now",
            Self::NextSession => "from the next session",
            Self::NextAttach => "from the next attach",
            Self::NextPlug => "from the next plug",
            Self::NextConnection => "from the next connection",
            Self::Restart => "after a restart",
        })
    }
}

impl Config {
    /// The keys in which `new` differs.
    pub fn changes(&self, new: &Self) -> Vec<Change> {
        let changed = self.compare(new).into_iter().filter(|(_, _, is_changed)| *is_changed);
        let change = |(key, applies, _): (&str, _, _)| Change { key: key.to_owned(), applies };
        changed.map(change).collect()
    }

    /// The configuration as it can be taken over while the daemon runs: this one, with what needs a restart as
    /// `running` has it.
    pub fn onto(self, running: &Self) -> Self {
        Self {
            socket: running.socket.clone(),
            stage: running.stage.clone(),
            journal: running.journal.clone(),
            log: running.log,
            remote: self.remote.onto(&running.remote),
            ..self
        }
    }

    /// Every key, when a change of it applies, and whether it is changed. Taken apart field by field, so that a new key
    /// does not compile without its line here.
    fn compare(&self, new: &Self) -> Vec<(&'static str, Applies, bool)> {
        let Self {
            socket,
            stage,
            journal,
            profiles,
            docker_socket,
            podman_socket,
            follow,
            follow_podman_users,
            cdi_dir,
            grace_seconds,
            allow_uids,
            libudev_zero,
            log,
            node_mode,
            on_stop,
            rule,
            limits,
            remote,
        } = self;
        let mut keys = vec![
            ("socket", Applies::Restart, *socket != new.socket),
            ("stage", Applies::Restart, *stage != new.stage),
            ("journal", Applies::Restart, *journal != new.journal),
            ("profiles", Applies::NextPlug, *profiles != new.profiles),
            ("docker_socket", Applies::Now, *docker_socket != new.docker_socket),
            ("podman_socket", Applies::Now, *podman_socket != new.podman_socket),
            ("follow", Applies::Now, *follow != new.follow),
            ("follow_podman_users", Applies::Now, *follow_podman_users != new.follow_podman_users),
            ("cdi_dir", Applies::Now, *cdi_dir != new.cdi_dir),
            ("grace_seconds", Applies::NextSession, *grace_seconds != new.grace_seconds),
            ("allow_uids", Applies::Now, *allow_uids != new.allow_uids),
            ("libudev_zero", Applies::NextAttach, *libudev_zero != new.libudev_zero),
            ("log", Applies::Restart, *log != new.log),
            ("node_mode", Applies::NextPlug, *node_mode != new.node_mode),
            ("on_stop", Applies::Now, *on_stop != new.on_stop),
            ("rule", Applies::Now, *rule != new.rule),
        ];
        keys.extend(limits.compare(&new.limits));
        keys.extend(remote.compare(&new.remote));
        keys
    }
}

impl Limits {
    fn compare(&self, new: &Self) -> [(&'static str, Applies, bool); 12] {
        let Self {
            sessions,
            devices,
            devices_per_session,
            whole_pads,
            watchers,
            connections,
            connections_per_user,
            requests_per_user,
            requests_per_session,
            body_bytes,
            headers,
            idle_seconds,
        } = self;
        let per_session = *devices_per_session != new.devices_per_session;
        let per_user = *connections_per_user != new.connections_per_user;
        let of_session = *requests_per_session != new.requests_per_session;
        [
            ("limits.sessions", Applies::Now, *sessions != new.sessions),
            ("limits.devices", Applies::Now, *devices != new.devices),
            ("limits.devices_per_session", Applies::Now, per_session),
            ("limits.whole_pads", Applies::Now, *whole_pads != new.whole_pads),
            ("limits.watchers", Applies::Now, *watchers != new.watchers),
            ("limits.connections", Applies::Now, *connections != new.connections),
            ("limits.connections_per_user", Applies::Now, per_user),
            ("limits.requests_per_user", Applies::Now, *requests_per_user != new.requests_per_user),
            ("limits.requests_per_session", Applies::Now, of_session),
            ("limits.body_bytes", Applies::Now, *body_bytes != new.body_bytes),
            ("limits.headers", Applies::NextConnection, *headers != new.headers),
            ("limits.idle_seconds", Applies::NextConnection, *idle_seconds != new.idle_seconds),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_is_the_same_is_no_change() {
        let text = "allow_uids = [1000]\n[limits]\ndevices = 3\n";
        assert_eq!(config(text).changes(&config(text)), []);
    }

    #[test]
    fn what_needs_a_restart_is_said_and_stays_as_it_was() {
        let old = config("");
        let new = config("stage = \"/x\"\nlog = \"json\"\nnode_mode = \"0600\"\n");
        let changes: Vec<_> =
            old.changes(&new).into_iter().map(|change| (change.key, change.applies)).collect();
        let expected = [
            ("stage".to_owned(), Applies::Restart),
            ("log".to_owned(), Applies::Restart),
            ("node_mode".to_owned(), Applies::NextPlug),
        ];
        assert_eq!(changes, expected);
        let taken_over = new.onto(&old);
        assert_eq!(taken_over, Config { node_mode: 0o600, ..config("") });
        // Nothing but the keys of which it is said.
        let needs_restart = |change: &Change| change.applies == Applies::Restart;
        assert!(!old.changes(&taken_over).iter().any(needs_restart));
    }

    #[test]
    fn the_documentation_has_every_key_and_when_it_applies() {
        let page = include_str!("../../docs/configuration.md");
        for (key, applies, _) in Config::default().compare(&Config::default()) {
            let row = format!("| `{key}` | ");
            let line = page.lines().find(|line| line.starts_with(&row));
            let line = line.unwrap_or_else(|| panic!("no row for `{key}`"));
            assert!(line.ends_with(&format!(" | {applies} |")), "{line}");
        }
    }
}
