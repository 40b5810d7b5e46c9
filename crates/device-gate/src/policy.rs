//! A container's own device policy, for those who start containers.

use std::os::fd::AsFd;

use crate::access::{Access, DeviceKind};
use crate::cgroup::Cgroup;
use crate::program::policy_program;
use crate::sys::bpf;

/// What a [`Policy`] allows. `None` stands for any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Block or character.
    pub kind: DeviceKind,
    /// Major number, or any.
    pub major: Option<u32>,
    /// Minor number, or any.
    pub minor: Option<u32>,
    /// The accesses allowed.
    pub access: Access,
}

/// The policy could not be put on the cgroup.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The kernel refused the program.
    #[error("could not load the device policy program")]
    Load(#[source] std::io::Error),
    /// The program could not be attached.
    #[error("could not attach the device policy program to cgroup `{cgroup}`")]
    Attach {
        /// The cgroup's path.
        cgroup: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A list of rules; everything else is refused.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    rules: Vec<Rule>,
}

impl Policy {
    /// Refuses every device.
    pub fn deny_all() -> Self {
        Self::default()
    }

    /// What container runtimes allow by default: making any node, and using null, zero, full, random,
    /// urandom, tty, console, ptmx and pseudo-terminals (OCI runtime specification, "Default Devices";
    /// `libcontainer/specconv` in runc).
    pub fn container_default() -> Self {
        let rwm = Access::READ | Access::WRITE | Access::MKNOD;
        let any = |kind| Rule { kind, major: None, minor: None, access: Access::MKNOD };
        let char =
            |major, minor| Rule { kind: DeviceKind::Char, major: Some(major), minor, access: rwm };
        Self {
            rules: vec![
                any(DeviceKind::Char),
                any(DeviceKind::Block),
                char(1, Some(3)),
                char(1, Some(5)),
                char(1, Some(7)),
                char(1, Some(8)),
                char(1, Some(9)),
                char(5, Some(0)),
                char(5, Some(1)),
                char(5, Some(2)),
                char(136, None),
            ],
        }
    }

    /// Puts the policy on `cgroup`; it stays for as long as the cgroup exists.
    ///
    /// # Errors
    ///
    /// [`PolicyError`]; nothing is attached then.
    pub fn attach(&self, cgroup: &Cgroup) -> Result<(), PolicyError> {
        let rules: Vec<_> = self
            .rules
            .iter()
            .map(|rule| (rule.kind, rule.major, rule.minor, rule.access))
            .collect();
        let program = bpf::load_device_program(&policy_program(&rules), "hotseat_policy")
            .map_err(PolicyError::Load)?;
        bpf::attach_device_program(cgroup.as_fd(), program.as_fd()).map_err(|source| {
            PolicyError::Attach { cgroup: cgroup.path().display().to_string(), source }
        })
    }
}
