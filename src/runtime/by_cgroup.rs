//! Containers that are found by the name of their cgroup: no socket, no library, whatever the runtime's version.

use std::fs;
use std::path::{Path, PathBuf};

use device_gate::{find_cgroups, first_process};

use super::{ContainerRef, ResolveError};

/// A container's cgroup and first process.
pub(super) struct Found {
    pub(super) cgroup: PathBuf,
    pub(super) pid: u32,
}

/// An id must be at least so long to be taken for the beginning of one.
const SHORTEST_PREFIX: usize = 4;

/// A container of containerd or CRI-O. `runtimeservice.ContainerStatus` could say the same over a socket, but takes
/// gRPC, and `ctr`'s containers are not there.
pub(super) fn cri(reference: &ContainerRef, id: &str) -> Result<Found, ResolveError> {
    find(reference, |path| is_cri(path, id))
}

/// A container of Podman by its id, for hosts on which nobody listens at Podman's socket: `libpod-ID.scope`, or the id
/// alone with the cgroupfs driver (`getCgroupPath` in libpod/container_internal_linux.go).
pub(super) fn podman(reference: &ContainerRef, id: &str) -> Result<Found, ResolveError> {
    find(reference, |path| {
        let name = scope(path, "libpod-").or_else(|| plain_id(path));
        name.is_some_and(|name| begins(name, id))
    })
}

/// A container of LXC, or of Incus, which uses its library: `lxc.payload.NAME` at any depth, as a user's are in that
/// user's slice (lxc.container.conf(5), "lxc.cgroup.dir"; `DEFAULT_PAYLOAD_CGROUP_PREFIX` in src/lxc/cgroups/cgroup.h).
pub(super) fn lxc(reference: &ContainerRef, name: &str) -> Result<Found, ResolveError> {
    let directory = format!("lxc.payload.{name}");
    find(reference, |path| last(path) == Some(&*directory))
}

fn find(reference: &ContainerRef, wanted: impl Fn(&Path) -> bool) -> Result<Found, ResolveError> {
    let cgroups = find_cgroups(wanted)
        .map_err(|source| ResolveError::Cgroups { reference: reference.clone(), source })?;
    let exists = !cgroups.is_empty();
    let running = |cgroup: PathBuf| first_process(&cgroup).map(|pid| Found { cgroup, pid });
    let mut found: Vec<_> = cgroups.into_iter().filter_map(running).collect();
    match found.pop() {
        Some(only) if found.is_empty() => Ok(only),
        Some(other) => {
            found.push(other);
            let candidates = found.iter().map(|found| found.cgroup.display().to_string()).collect();
            Err(ResolveError::Ambiguous { reference: reference.clone(), candidates })
        }
        None if exists => Err(ResolveError::NotRunning {
            reference: reference.clone(),
            status: "a cgroup without processes".to_owned(),
        }),
        None => Err(ResolveError::NotFound { reference: reference.clone() }),
    }
}

/// Whether a cgroup, given below the root, is the container `id`'s.
///
/// With the systemd driver it is `cri-containerd-ID.scope` (containerd, pkg/cri/server/podsandbox/helpers.go
/// `getCgroupsPath`) or `crio-ID.scope` (CRI-O, internal/config/cgmgr/systemd_linux.go), with the cgroupfs driver the
/// id alone, of 64 hexadecimal digits. Outside of Kubernetes containerd makes `/NAMESPACE/ID`, with an id that `ctr`'s
/// user has chosen (oci.WithNamespacedCgroup).
fn is_cri(path: &Path, id: &str) -> bool {
    let drawn = scope(path, "cri-containerd-").or_else(|| scope(path, "crio-"));
    if let Some(name) = drawn.or_else(|| plain_id(path)) {
        return begins(name, id);
    }
    let mut parts = path.iter().filter_map(|part| part.to_str());
    match (parts.next(), parts.next(), parts.next()) {
        (Some(namespace), Some(name), None) => !is_unit(namespace) && name == id,
        _ => false,
    }
}

fn begins(name: &str, id: &str) -> bool {
    id.len() >= SHORTEST_PREFIX && name.starts_with(id)
}

/// The id in `PREFIX-ID.scope`.
fn scope<'a>(path: &'a Path, prefix: &str) -> Option<&'a str> {
    let id = last(path)?.strip_prefix(prefix)?.strip_suffix(".scope")?;
    is_id(id).then_some(id)
}

/// A directory whose whole name is an id.
fn plain_id(path: &Path) -> Option<&str> {
    last(path).filter(|name| is_id(name))
}

fn last(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// An id as container engines draw them.
pub(super) fn is_id(name: &str) -> bool {
    name.len() == 64
        && name.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
}

/// Whether a cgroup is one of systemd's own (systemd.unit(5)).
fn is_unit(name: &str) -> bool {
    [".slice", ".scope", ".service"].iter().any(|suffix| name.ends_with(suffix))
}

/// What runs a container's processes on another kernel, if anything does: a virtual machine's or gVisor's process is
/// in the cgroup then, where the container's own would be.
pub(super) fn own_kernel(pid: u32) -> Option<String> {
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = program.file_name()?.to_str()?;
    let known = ["qemu-system-", "cloud-hypervisor", "firecracker", "dragonball", "runsc"];
    known.iter().any(|known| name.starts_with(known)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5794c598f0a438c1f76837dbb7a98e768a7de2bad1a739c5d64598391cb0a3d0";

    #[test]
    fn a_container_of_kubernetes_is_known_by_its_cgroup() {
        let slice = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice";
        for path in [
            format!("{slice}/cri-containerd-{ID}.scope"),
            format!("{slice}/crio-{ID}.scope"),
            format!("kubepods/burstable/pod1/{ID}"),
        ] {
            for id in [ID, &ID[..12], &ID[..4]] {
                assert!(is_cri(Path::new(&path), id), "{path} {id}");
            }
            assert!(!is_cri(Path::new(&path), &ID[..3]), "{path}");
            assert!(!is_cri(Path::new(&path), "5794c599"), "{path}");
        }
        for path in [
            format!("{slice}/crio-conmon-{ID}.scope"),
            format!("system.slice/docker-{ID}.scope"),
            format!("machine.slice/libpod-{ID}.scope"),
            "system.slice/cri-containerd-.scope".to_owned(),
        ] {
            assert!(!is_cri(Path::new(&path), ID), "{path}");
        }
    }

    #[test]
    fn a_container_of_ctr_is_known_by_its_whole_name_below_a_namespace() {
        assert!(is_cri(Path::new("default/game"), "game"));
        for path in ["default/games", "default/game/init", "system.slice/game", "game"] {
            assert!(!is_cri(Path::new(path), "game"), "{path}");
        }
    }
}
