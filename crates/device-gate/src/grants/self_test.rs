//! Does a back-end work on this kernel?

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::OFlags;

use crate::access::{Access, Device};
use crate::cgroup::{Cgroup, CgroupError};
use crate::policy::{Policy, PolicyError};
use crate::probe::{self, ProbeError};

use super::{GrantError, Granting};

/// The mechanism does not work here, and where it stopped.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestError {
    /// No cgroup to try in.
    #[error("self-test: no scratch cgroup")]
    Cgroup(#[source] CgroupError),
    /// The stand-in for a runtime's policy could not be attached.
    #[error("self-test: could not make a cgroup that refuses devices")]
    Policy(#[source] PolicyError),
    /// Its counterpart for cgroup v1 could not be written.
    #[error("self-test: could not make a cgroup of version 1 that refuses devices")]
    Deny(#[source] io::Error),
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

/// What the name of a scratch cgroup begins with; the number of its maker's process follows.
const SCRATCH: &str = "hotseat-self-test-";

const NULL: Device = Device::char(1, 3);

/// Makes a scratch cgroup below `root` that refuses every device, and checks that opening `/dev/null` in it fails,
/// works while granted, and fails again. Leaves nothing behind.
pub(super) fn self_test(root: &Cgroup, grants: &dyn Granting) -> Result<(), SelfTestError> {
    sweep(root);
    // One process may try several back-ends at once.
    static TRIED: AtomicU32 = AtomicU32::new(0);
    let tried = TRIED.fetch_add(1, Ordering::Relaxed);
    let name = format!("{SCRATCH}{}-{tried}", std::process::id());
    let scratch = root.create_child(&name).map_err(SelfTestError::Cgroup)?;
    let result = run(&scratch, grants);
    // Best effort: an empty cgroup without processes; the next test of a process looks for leftovers.
    let _ = std::fs::remove_dir(scratch.path());
    result
}

/// Removes the scratch cgroups of processes that were killed in a test.
fn sweep(root: &Cgroup) {
    for entry in std::fs::read_dir(root.path()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(SCRATCH));
        if maker.is_some_and(|pid| !std::path::Path::new("/proc").join(pid).exists()) {
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}

fn run(scratch: &Cgroup, grants: &dyn Granting) -> Result<(), SelfTestError> {
    if scratch.is_v1() {
        std::fs::write(scratch.path().join("devices.deny"), "a").map_err(SelfTestError::Deny)?;
    } else {
        Policy::deny_all().attach(scratch).map_err(SelfTestError::Policy)?;
    }
    expect_refused(scratch, "before the grant")?;
    let access = Access::READ | Access::WRITE;
    grants.grant(scratch, NULL.into(), access).map_err(SelfTestError::Grant)?;
    let granted = expect_opened(scratch, "while granted");
    grants.revoke_all(scratch).map_err(SelfTestError::Grant)?;
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
