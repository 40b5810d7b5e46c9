//! The door of a running container.
//!
//! Three things decide whether a program in a container can use a device, and this crate does each of
//! them for a container that is *already running*, however it was started and without its help:
//!
//! 1. **The grant** ([`Grants`]): what the container's cgroup may open. One program at the cgroup-v2 root
//!    runs after every program of the container's runtime and turns exactly the granted refusals into
//!    permission. The runtime's own programs are never touched. Older kernels and cgroup v1 have other
//!    [back-ends](BackEnd).
//! 2. **The node** ([`Staging`], [`SessionDir`]): a device node in a directory that belongs to the host,
//!    with the owner as the container's user namespace maps it.
//! 3. **The mount** ([`attach`]): that directory, read-only, at `/dev/input` and `/run/udev` in the
//!    container. After it no path of the container is ever walked again, but for the links to nodes in `/dev` itself
//!    ([`link_node`]).
//!
//! [`Container`] is the handle on a running container; [`probe`] opens a node from inside it, to see what
//! its programs would see.
//!
//! The crate needs Linux 5.12 for the mounts, 5.9 for grants in cgroup v2, better 5.18, and root
//! (`CAP_SYS_ADMIN`; `CAP_BPF`, `CAP_NET_ADMIN` and `CAP_PERFMON` suffice for the override program alone).
//!
//! ```no_run
//! use device_gate::{Access, Cgroup, Device, Grants};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let grants = Grants::choose()?;
//! let container = Cgroup::of_pid(4711)?;
//! grants.grant(&container, Device::char(13, 69), Access::READ | Access::WRITE)?;
//! # Ok(())
//! # }
//! ```

#![deny(missing_docs)]

mod access;
pub mod attach;
mod belonging;
mod cgroup;
mod container;
mod danger;
mod grants;
mod id_map;
mod policy;
pub mod probe;
mod program;
mod staging;
mod starting;
mod sys;
mod thread;
mod view;

pub use access::{Access, AccessError, Device, DeviceKind, Devices};
pub use attach::{Attachment, attach, attach_nodes, keep_link, link_node, unlink_node};
pub use belonging::{find_cgroups, first_process};
pub use cgroup::{Cgroup, CgroupError, Cgroups};
pub use container::{Container, ContainerError, Identity};
pub use danger::{Danger, DangerError};
pub use grants::{
    BackEnd, BackEndError, ChooseError, GrantError, Grants, Lasting, PassedOver, SelfTestError,
};
pub use id_map::{IdMap, IdMapError};
pub use policy::{Policy, PolicyError, Rule};
pub use staging::{Cleared, Kept, NewNode, SessionDir, Shown, ShownMount, Staging, StagingError};
pub use starting::open_starting;
