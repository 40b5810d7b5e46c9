//! What can go wrong with cgroups.

use std::io;
use std::path::PathBuf;

/// A cgroup could not be found or used.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// `/proc/self/mountinfo` could not be read.
    #[error("could not read the mount table")]
    MountTable(#[source] io::Error),
    /// There is no cgroup-v2 hierarchy.
    #[error(
        "no cgroup v2 file system is mounted: boot with systemd.unified_cgroup_hierarchy=1, or mount \
         one with `mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified`"
    )]
    NoCgroup2,
    /// The mounted hierarchy starts below the host's root.
    #[error(
        "`{path}` is not the host's root cgroup: this process runs in a cgroup namespace of its own; \
         run it on the host, or give its container the host's cgroup namespace (`--cgroupns=host`; with cgroup v1 \
         also `--volume /sys/fs/cgroup:/sys/fs/cgroup`)"
    )]
    NotRoot {
        /// Where cgroup v2 is mounted.
        path: PathBuf,
    },
    /// A process's cgroup could not be read.
    #[error("could not read the cgroup of process {pid}")]
    OfProcess {
        /// The process.
        pid: u32,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The process is in no cgroup v2.
    #[error("process {pid} is in no cgroup v2 that this process can see")]
    NotInCgroup2 {
        /// The process.
        pid: u32,
    },
    /// The devices controller of cgroup v1 is in use, but cannot be reached.
    #[error(
        "the devices controller of cgroup v1 is in use, but mounted nowhere: mount it with `mount -t cgroup -o \
         devices devices /sys/fs/cgroup/devices`"
    )]
    NoDevicesMount,
    /// The cgroup's directory could not be opened.
    #[error("could not open cgroup `{path}`")]
    Open {
        /// Its directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A cgroup could not be made.
    #[error("could not make cgroup `{path}`")]
    Create {
        /// Its directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}
