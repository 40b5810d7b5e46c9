//! Containers that systemd-machined knows.

use std::process::{Command, Stdio};

use super::{ContainerRef, ResolveError};

/// The first process of a machine. `machinectl show` is what systemd offers to programs (machinectl(1)); the files in
/// /run/systemd/machines are its own, and a D-Bus library would be a large thing for one property.
pub(super) fn leader(reference: &ContainerRef, name: &str) -> Result<u32, ResolveError> {
    let output = Command::new("machinectl")
        .args(["show", "--property=Leader", "--property=Class", "--", name])
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ResolveError::Machinectl { reference: reference.clone(), source })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let property = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    if property("Class=") == Some("vm") {
        let runtime = "a virtual machine".to_owned();
        return Err(ResolveError::OwnKernel { reference: reference.clone(), runtime });
    }
    match property("Leader=").and_then(|leader| leader.parse().ok()) {
        Some(pid) if output.status.success() && pid > 0 => Ok(pid),
        _ => Err(ResolveError::NotFound { reference: reference.clone() }),
    }
}
