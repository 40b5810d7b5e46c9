//! What a killed daemon has left in containers: mounts of a session's directories, wherever they show.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read as _};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, major, minor, openat2, stat};
use rustix::io::Errno;
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

/// How much of a line of a mount table is read, in bytes: ids, and two paths, each at most `PATH_MAX` bytes of which each
/// may be written as four.
const LONGEST_LINE: u64 = 64 << 10;

/// How many mounts in one container are looked at. A session has three; a container may multiply them.
const MOST: usize = 1024;

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
        if seen.contains(&namespace) {
            continue;
        }
        match staged.mount_points(pid) {
            // It has ended since; another may be in the same namespace.
            Err(error) if has_ended(&error) => continue,
            Ok(points) if points.is_empty() => {}
            // What cannot be looked at is for whoever sweeps it to say.
            Ok(_) | Err(_) => found.push(pid),
        }
        seen.insert(namespace);
    }
    Ok(found)
}

/// Takes everything out of a container that shows a session's directories there: mounts, wherever the container has
/// moved them, the links in /dev, and those of the directories `made` for the mounts that are empty.
///
/// # Errors
///
/// [`AttachError::Own`] when the session's directory cannot be looked at, [`AttachError::Table`] when the container's mounts
/// cannot; [`AttachError::Enter`], [`AttachError::Hangs`]. What cannot be taken away is left.
pub fn sweep(container: &Container, session: &Path, made: &[String]) -> Result<Swept, AttachError> {
    let staged = Staged::at(session).map_err(AttachError::Own)?;
    let points = staged.mount_points(container.pid()).map_err(AttachError::Table)?;
    let device = staged.device;
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
    /// Where it is on the host.
    path: &'a Path,
    device: u64,
    /// The file system in which the sessions' are mounted: no container has it but with a copy of the host's mounts.
    stage: u64,
}

impl<'a> Staged<'a> {
    fn at(path: &'a Path) -> io::Result<Self> {
        let stage = stat(path.parent().unwrap_or(path))?.st_dev;
        Ok(Self { path, device: stat(path)?.st_dev, stage })
    }

    /// Where else it is mounted, as the process sees it.
    fn mount_points(&self, pid: u32) -> io::Result<VecDeque<Vec<u8>>> {
        self.find(BufReader::new(File::open(format!("/proc/{pid}/mountinfo"))?))
    }

    /// Its mount points in a table (proc_pid_mountinfo(5)), without those that belong to a copy of the host's mounts: that
    /// is none of our business.
    fn find(&self, mut table: impl BufRead) -> io::Result<VecDeque<Vec<u8>>> {
        let mut points = VecDeque::new();
        let mut has_stage = false;
        while let Some(line) = next_line(&mut table)? {
            let mut fields = line.split(|&byte| byte == b' ').skip(2);
            let device = fields.next().unwrap_or_default();
            let point = fields.nth(1).unwrap_or_default();
            if device == number(self.stage).as_bytes() {
                has_stage |= self.path.parent() == Some(as_path(&unescape(point)));
            } else if device == number(self.device).as_bytes() {
                if points.len() == MOST {
                    // The last ones are on top.
                    points.pop_front();
                }
                points.push_back(unescape(point));
            }
        }
        points.retain(|point| !has_stage || !as_path(point).starts_with(self.path));
        Ok(points)
    }
}

/// A file system's number, as mount tables have it.
fn number(device: u64) -> String {
    format!("{}:{}", major(device), minor(device))
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// The next line, as much of it as matters.
fn next_line(table: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if table.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        table.skip_until(b'\n')?;
    }
    Ok(Some(line))
}

/// What the kernel says of the mounts of a process that has ended, at each stage of its end (`mounts_open_common` in
/// fs/proc_namespace.c).
fn has_ended(error: &io::Error) -> bool {
    [Errno::NOENT, Errno::SRCH, Errno::INVAL]
        .map(|errno| errno.raw_os_error())
        .map(Some)
        .contains(&error.raw_os_error())
}

/// Unmounts what is at the path, if it is of this file system.
fn take_away(inside: &Inside, point: &[u8], device: u64) -> bool {
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
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let (meant, after) = match rest {
            [b'\\', b'0', b'4', b'0', after @ ..] => (b' ', after),
            [b'\\', b'0', b'1', b'1', after @ ..] => (b'\t', after),
            [b'\\', b'0', b'1', b'2', after @ ..] => (b'\n', after),
            [b'\\', b'1', b'3', b'4', after @ ..] => (b'\\', after),
            _ => (byte, after),
        };
        plain.push(meant);
        rest = after;
    }
    plain
}

#[cfg(test)]
mod tests {
    use rustix::fs::makedev;

    use super::*;

    fn find(table: &[u8]) -> Vec<Vec<u8>> {
        let path = Path::new("/run/hotseat/stage/s");
        let staged = Staged { path, device: makedev(0, 71), stage: makedev(0, 70) };
        staged.find(table).unwrap().into()
    }

    #[test]
    fn a_name_that_is_no_text_and_a_line_without_end_hide_nothing() {
        let mut table = b"1 0 0:50 / /\xff\xfe rw - tmpfs x rw\n".to_vec();
        table.extend(b"2 1 0:50 / /");
        table.resize(table.len() + 200_000, b'x');
        table.extend(b" rw - tmpfs x rw\n3 1 0:71 /input /de\\040v/\xff rw - tmpfs hotseat rw\n");
        table.extend(b"4 1 0:71 /udev /run/\\134040 rw - tmpfs hotseat rw");
        assert_eq!(find(&table), [b"/de v/\xff".to_vec(), b"/run/\\040".to_vec()]);
    }

    #[test]
    fn our_own_path_is_left_out_only_in_a_copy_of_the_hosts_mounts() {
        let own = b"3 1 0:71 / /run/hotseat/stage/s rw - tmpfs hotseat rw\n";
        assert_eq!(find(own), [b"/run/hotseat/stage/s".to_vec()]);
        let stage = b"2 1 0:70 / /run/hotseat/stage rw - tmpfs hotseat rw\n";
        assert!(find(&[&stage[..], &own[..]].concat()).is_empty());
        let elsewhere = b"2 1 0:70 / /stage rw - tmpfs hotseat rw\n";
        assert_eq!(find(&[&elsewhere[..], &own[..]].concat()).len(), 1);
    }

    #[test]
    fn of_mounts_without_number_the_last_ones_are_taken() {
        let lines = (0..2 * MOST).map(|at| format!("9 1 0:71 /input /m/{at} rw - tmpfs x rw\n"));
        let points = find(lines.collect::<String>().as_bytes());
        assert_eq!(points.len(), MOST);
        assert_eq!(points[MOST - 1], format!("/m/{}", 2 * MOST - 1).into_bytes());
    }
}
