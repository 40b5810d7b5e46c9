//! Does the override work on this kernel? Asked by trying, not by version.

use std::io;

use rustix::fs::OFlags;

use crate::access::{Access, Device};
use crate::cgroup::{Cgroup, CgroupError};
use crate::grants::{GrantError, Grants};
use crate::policy::{Policy, PolicyError};
use crate::probe::{self, ProbeError};

/// The mechanism does not work here, and where it stopped.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestError {
    /// No cgroup to try in.
    #[error("self-test: no scratch cgroup")]
    Cgroup(#[source] CgroupError),
    /// The stand-in for a runtime's policy could not be attached.
    #[error("self-test: could not make a cgroup that refuses devices")]
    Policy(#[source] PolicyError),
    /// Granting failed.
    #[error("self-test: could not grant /dev/null")]
    Grant(#[source] GrantError),
    /// The attempt to open /dev/null had another end than it should.
    #[error("self-test: /dev/null {when}: expected {expected}, found {found}")]
    Unexpected {
        /// Before the grant, granted, or revoked.
        when: &'static str,
        /// "refused" or "opened".
        expected: &'static str,
        /// What happened.
        found: String,
    },
}

const NULL: Device = Device::char(1, 3);

/// Makes a scratch cgroup that refuses every device, and checks that opening `/dev/null` in it fails,
/// works while granted, and fails again. Leaves nothing behind.
///
/// # Errors
///
/// [`SelfTestError`], naming the step.
pub fn self_test(root: &Cgroup, grants: &Grants) -> Result<(), SelfTestError> {
    let name = format!("hotseat-self-test-{}", std::process::id());
    let scratch = root.create_child(&name).map_err(SelfTestError::Cgroup)?;
    let result = run(&scratch, grants);
    // Best effort: an empty cgroup without processes; a leftover would be found by its name.
    let _ = std::fs::remove_dir(scratch.path());
    result
}

fn run(scratch: &Cgroup, grants: &Grants) -> Result<(), SelfTestError> {
    Policy::deny_all().attach(scratch).map_err(SelfTestError::Policy)?;
    expect_refused(scratch, "before the grant")?;
    grants.grant(scratch.id(), NULL, Access::READ | Access::WRITE).map_err(SelfTestError::Grant)?;
    let granted = expect_opened(scratch, "while granted");
    grants.revoke(scratch.id(), NULL).map_err(SelfTestError::Grant)?;
    granted?;
    expect_refused(scratch, "after the revocation")
}

fn open_null(scratch: &Cgroup) -> Result<(), ProbeError> {
    probe::open_in_cgroup(scratch, c"/dev/null", OFlags::RDWR)
}

fn expect_refused(scratch: &Cgroup, when: &'static str) -> Result<(), SelfTestError> {
    let found = match open_null(scratch) {
        Err(ProbeError::Refused { source, .. })
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            return Ok(());
        }
        Ok(()) => "opened".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(SelfTestError::Unexpected { when, expected: "refused", found })
}

fn expect_opened(scratch: &Cgroup, when: &'static str) -> Result<(), SelfTestError> {
    open_null(scratch).map_err(|error| SelfTestError::Unexpected {
        when,
        expected: "opened",
        found: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    /// Needs root; see tests/gate.rs.
    fn skip() -> bool {
        if rustix::process::geteuid().is_root() {
            return false;
        }
        assert!(std::env::var_os("CI").is_none() && std::env::var_os("HOTSEAT_VM").is_none());
        eprintln!("SKIP(not root)");
        true
    }

    #[test]
    fn grants_end_when_their_holder_is_gone() {
        if skip() {
            return;
        }
        let root = Cgroup::root().unwrap();
        let grants = Grants::attach(&root).unwrap();
        let scratch = root.create_child(&format!("hotseat-holder-{}", std::process::id())).unwrap();
        Policy::deny_all().attach(&scratch).unwrap();
        grants.grant(scratch.id(), NULL, Access::READ | Access::WRITE).unwrap();
        expect_opened(&scratch, "while granted").unwrap();
        drop(grants);
        expect_refused(&scratch, "after the holder is gone").unwrap();
        std::fs::remove_dir(scratch.path()).unwrap();
    }

    #[test]
    fn the_self_test_fails_when_the_program_is_not_attached() {
        if skip() {
            return;
        }
        let root = Cgroup::root().unwrap();
        let elsewhere = File::open("/dev/null").unwrap();
        let grants = Grants::with_link(elsewhere.into()).unwrap();
        let error = self_test(&root, &grants).unwrap_err();
        assert!(
            matches!(error, SelfTestError::Unexpected { when: "while granted", .. }),
            "{error:?}"
        );
    }
}
