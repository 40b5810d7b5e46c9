//! A view of a session's file system that is read-only for good.
//!
//! A mount that is merely read-only can be made writable again by a container with `CAP_SYS_ADMIN`
//! (`mount_setattr(2)`). A read-only mount that was copied into the mount namespace of a *less privileged* user
//! namespace is locked so (`MNT_LOCK_READONLY`, fs/namespace.c `lock_mnt_tree`), and so is every clone of it.
//! So it is copied into such a namespace once, and what containers get is cloned from there.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{
    MountFlags, MountPropagationFlags, OpenTreeFlags, UnmountFlags, mount_bind, mount_change,
    mount_remount, open_tree, unmount,
};
use rustix::process::{
    Signal, WaitId, WaitIdOptions, chdir, pidfd_send_signal, pivot_root, waitid,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::sys::fs::{unshare_fs, unshare_mounts};
use crate::sys::probe::spawn_in_new_namespaces;
use crate::thread;

/// A mount namespace whose root, and only mount, is a session's file system.
#[derive(Debug)]
pub(crate) struct View(OwnedFd);

impl View {
    /// Makes a view of the file system at `stage`. Nothing of it shows outside.
    pub(crate) fn make(stage: &Path) -> io::Result<Self> {
        let (child, pid) = thread::run("hotseat-view", || {
            leave_all_but(stage)?;
            spawn_in_new_namespaces()
        })??;
        let path = format!("/proc/{pid}/ns/mnt");
        let namespace = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        pidfd_send_signal(&child, Signal::KILL)?;
        waitid(WaitId::PidFd(child.as_fd()), WaitIdOptions::EXITED)?;
        Ok(Self(namespace?))
    }

    /// Clones a directory of the view, by its path from the root of the file system, as a mount.
    pub(crate) fn clone_directory(&self, path: &Path) -> io::Result<OwnedFd> {
        thread::run("hotseat-view", || {
            unshare_fs()?;
            move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Mount))?;
            let flags = OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
            Ok(open_tree(CWD, Path::new("/").join(path), flags)?)
        })?
    }
}

/// Puts the calling thread into a mount namespace that has nothing but that file system, read-only: a copy
/// of all the host's mounts would keep file systems busy that the host unmounts.
fn leave_all_but(stage: &Path) -> io::Result<()> {
    unshare_fs()?;
    unshare_mounts()?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    mount_bind(stage, stage)?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NOEXEC;
    mount_remount(stage, MountFlags::BIND | flags, c"")?;
    chdir(stage)?;
    // The old root ends up over the new one (pivot_root(2), "pivot_root(\".\", \".\")"), and goes.
    pivot_root(c".", c".")?;
    unmount(c".", UnmountFlags::DETACH)?;
    Ok(())
}
