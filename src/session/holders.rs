//! Who has a device open, in its container or on the host.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::{Device, Node};

/// A process that has a node open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Holder {
    /// The node's path in the container.
    pub node: String,
    /// The process, as numbered on the host.
    pub pid: u32,
    /// Its name, as `ps` shows it (proc_pid_comm(5)); it can call itself what it likes.
    pub command: String,
}

/// The processes that have a node of the device open, each once per node. Looks at every process of the host: a desktop
/// that takes a session's pad is just what one wants to find.
///
/// # Errors
///
/// When /proc cannot be read. What ends meanwhile is passed over.
pub fn holders(device: &Device) -> io::Result<Vec<Holder>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        let Some(pid) = pid else { continue };
        let Ok(descriptors) = fs::read_dir(entry.path().join("fd")) else { continue };
        for descriptor in descriptors.flatten() {
            if let Some(node) = device.nodes.iter().find(|node| is_of(&descriptor.path(), node)) {
                let command = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                let command = command.trim_end().to_owned();
                found.push(Holder { node: node.path.clone(), pid, command });
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Whether an entry of /proc/PID/fd is an open `node`.
fn is_of(descriptor: &Path, node: &Node) -> bool {
    let Ok(target) = fs::read_link(descriptor) else { return false };
    if target.file_name() != Path::new(&node.path).file_name() {
        return false;
    }
    // Not to ask the file system, which may be one of the container's own that never answers.
    let flags = AtFlags::STATX_DONT_SYNC;
    statx(CWD, descriptor, flags, StatxFlags::TYPE).is_ok_and(|stat| {
        (stat.stx_rdev_major, stat.stx_rdev_minor) == (node.major, node.minor)
            && rustix::fs::FileType::from_raw_mode(stat.stx_mode.into()).is_char_device()
    })
}
