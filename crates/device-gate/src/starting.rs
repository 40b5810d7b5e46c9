//! A container that its runtime is about to start: at the OCI hook `createRuntime`.
//!
//! The OCI runtime specification (config.md, "createRuntime Hooks") has it run after the namespaces are made and before
//! `pivot_root(2)`. runc and crun both have all mounts of the container in place then, below the directory that will be
//! its root; but `/proc/PID/root` still is the root of the host's tree, as the container's mount namespace has it. So
//! the container's root is found by its path in that namespace. A descriptor of it stays right after `pivot_root`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxAttributes, StatxFlags, openat2, statx,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::container::{Container, ContainerError};
use crate::sys::fs::unshare_fs;
use crate::thread;

/// Opens the container whose first process is `pid` and whose root will be `root` (`root.path` in its config.json, made
/// absolute). `id` has to be in the name of its cgroup, as it is with every runtime's default: so that no other process
/// is taken for it, when it has ended or its runtime counts processes in a process namespace of its own.
///
/// When the container has gone on meanwhile, because nobody waited, it is opened as a running one.
///
/// # Errors
///
/// [`ContainerError`], in particular [`ContainerError::NotIt`].
pub fn open_starting(id: &str, pid: u32, root: &Path) -> Result<Container, ContainerError> {
    let mut container = Container::open(pid)?;
    let not_it = || ContainerError::NotIt { pid, id: id.to_owned() };
    let cgroup = named_after(id, container.cgroup().path()).ok_or_else(not_it)?;
    match open_root(&container, root) {
        Ok(root) => {
            // As it is known by its name, too (crun has its first process one deeper).
            container.widen_cgroup(&cgroup)?;
            container.set_root(root);
            Ok(container)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut container = Container::open(pid)?;
            // By now it may have made cgroups of its own.
            if container.widen_cgroup(&cgroup)? { Ok(container) } else { Err(not_it()) }
        }
        Err(source) => Err(ContainerError::Root { pid, path: root.to_owned(), source }),
    }
}

/// What engines and runtimes put before a container's id in the name of its cgroup: Docker, Podman, Buildah, CRI-O,
/// containerd for Kubernetes, nerdctl; runc and crun where they are told no name.
const ENGINES: [&str; 8] =
    ["docker", "libpod", "buildah", "crio", "cri-containerd", "nerdctl", "runc", "crun"];

/// The name of the cgroup, of this one and those around it, that is the container's: `ID`, `ENGINE-ID` or
/// `ENGINE-ID.scope` (runc's libcontainer/cgroups, crun's src/libcrun/cgroup-systemd.c). All of the id: `3` is not that of
/// a login's `session-3.scope`.
fn named_after(id: &str, cgroup: &Path) -> Option<String> {
    let is_its = |name: &str| {
        let name = name.strip_suffix(".scope").unwrap_or(name);
        let engine = name.strip_suffix(id).and_then(|rest| rest.strip_suffix('-'));
        !id.is_empty() && (name == id || engine.is_some_and(|engine| ENGINES.contains(&engine)))
    };
    let mut names = cgroup.iter().map(|name| name.to_string_lossy());
    names.find(|name| is_its(name)).map(String::from)
}

fn open_root(container: &Container, root: &Path) -> io::Result<OwnedFd> {
    let (inside, root) = (container.inside()?, root.to_owned());
    let open = move || {
        unshare_fs()?;
        // Its root, and this thread's then, is that of the host's tree.
        move_into_link_name_space(inside.mount.as_fd(), Some(LinkNameSpaceType::Mount))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat2(CWD, &root, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)?;
        // pivot_root(2) wants a mount point that is not the root. Anything else is a directory of the host.
        let its = statx(&opened, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
        let root = statx(CWD, c"/", AtFlags::empty(), StatxFlags::MNT_ID)?;
        let is_mount_point = its.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
        if !is_mount_point || its.stx_mnt_id == root.stx_mnt_id {
            return Err(io::Error::other("it is not where a root file system is mounted"));
        }
        Ok(opened)
    };
    // Its volumes may be file systems that do not answer.
    thread::run_within("hotseat-root", open, drop)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_has_the_cgroup_with_its_id() {
        let of = |id, path: &str| named_after(id, Path::new(path));
        for (path, name) in [
            ("/sys/fs/cgroup/system.slice/docker-4f9c.scope", "docker-4f9c.scope"),
            ("/sys/fs/cgroup/docker/4f9c", "4f9c"),
            ("/sys/fs/cgroup/machine.slice/libpod-4f9c.scope/container", "libpod-4f9c.scope"),
            (
                "/sys/fs/cgroup/machine.slice/libpod-4f9c.scope/container/init.scope",
                "libpod-4f9c.scope",
            ),
            ("/sys/fs/cgroup/kubepods/pod1/crio-4f9c.scope", "crio-4f9c.scope"),
        ] {
            assert_eq!(of("4f9c", path).as_deref(), Some(name), "{path}");
        }
        for path in ["/sys/fs/cgroup/system.slice/docker-4f9.scope", "/sys/fs/cgroup/user.slice"] {
            assert_eq!(of("4f9c", path), None, "{path}");
        }
        assert_eq!(of("user", "/sys/fs/cgroup/user.slice/user-1000.slice"), None);
        assert_eq!(of("", "/sys/fs/cgroup/docker/4f9c"), None);
        let login = "/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope";
        assert_eq!(of("3", login), None);
        assert_eq!(of("9c", "/sys/fs/cgroup/system.slice/docker-4f-9c.scope"), None);
    }
}
