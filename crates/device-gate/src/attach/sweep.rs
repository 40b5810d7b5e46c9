//! What a killed daemon has left in containers: mounts of a session's directories, wherever they show.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, major, minor, openat2, stat};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::fchdir;

use super::{AttachError, in_mount_namespace, links, made_by_attach, remove_made};
use crate::container::{Container, Inside};

/// What was taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Mounts.
    pub mounts: usize,
    /// Links in /dev that led to nodes.
    pub links: usize,
    /// Directories that had been made for the mounts.
    pub directories: usize,
}

/// A process for each mount namespace but ours in which something of the session shows whose directory this is
/// ([`Staging::path_of`](crate::Staging::path_of)). Looks at every process of the host.
///
/// # Errors
///
/// When the directory or /proc cannot be read.
pub fn find_mounts(session: &Path) -> io::Result<Vec<u32>> {
    let staged = Staged::at(session)?;
    let mut seen = BTreeSet::from([fs::read_link("/proc/self/ns/mnt")?]);
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may have ended since.
        let Ok(namespace) = fs::read_link(format!("/proc/{pid}/ns/mnt")) else { continue };
        if seen.insert(namespace) && !staged.mount_points(pid).is_empty() {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Takes everything out of a container that shows a session's directories there: mounts, wherever the container has
/// moved them, the links in /dev, and those of the directories `made` for the mounts that are empty.
///
/// # Errors
///
/// [`AttachError::Own`] when the session's directory cannot be looked at; [`AttachError::Enter`], [`AttachError::Hangs`].
/// What cannot be taken away is left.
pub fn sweep(container: &Container, session: &Path, made: &[String]) -> Result<Swept, AttachError> {
    let staged = Staged::at(session).map_err(AttachError::Own)?;
    let (device, points) = (staged.device, staged.mount_points(container.pid()));
    let made: Vec<_> = made_by_attach(made).collect();
    let work = move |inside: &Inside| {
        // The last one first: it may be on top of another.
        let unmounted = points.iter().rev().filter(|point| take_away(inside, point, device));
        let mounts = unmounted.count();
        let links = links::sweep_all(inside);
        Ok(Swept { mounts, links, directories: remove_made(inside, &made) })
    };
    in_mount_namespace(container, work, |_, _| {})
}

/// A session's file system, as mount tables have it.
struct Staged<'a> {
    /// Where it is on the host; and in mount namespaces that are copies of the host's, which is none of our business.
    path: &'a Path,
    device: u64,
}

impl<'a> Staged<'a> {
    fn at(path: &'a Path) -> io::Result<Self> {
        Ok(Self { path, device: stat(path)?.st_dev })
    }

    /// Where else it is mounted, as the process sees it (proc_pid_mountinfo(5)).
    fn mount_points(&self, pid: u32) -> Vec<String> {
        let table = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        let device = format!("{}:{}", major(self.device), minor(self.device));
        let point = |line: &str| {
            let mut fields = line.split(' ').skip(2);
            (fields.next() == Some(&device)).then(|| unescape(fields.nth(1).unwrap_or_default()))
        };
        let points = table.lines().filter_map(point);
        points.filter(|point| !Path::new(point).starts_with(self.path)).collect()
    }
}

/// Unmounts what is at the path, if it is of this file system.
fn take_away(inside: &Inside, point: &str, device: u64) -> bool {
    let found = openat2(
        inside.root.as_fd(),
        point,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    );
    // By current directory: whatever the container makes of the path meanwhile, this is what was looked at.
    found.is_ok_and(|found| {
        fstat(&found).is_ok_and(|stat| stat.st_dev == device)
            && fchdir(&found).and_then(|()| unmount(c".", UnmountFlags::DETACH)).is_ok()
    })
}

/// Space, tab, newline and backslash stand there as `\` and three octal digits (`mangle` in fs/seq_file.c).
fn unescape(text: &str) -> String {
    let mut plain = text.to_owned();
    for (escaped, meant) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        plain = plain.replace(escaped, meant);
    }
    plain
}
