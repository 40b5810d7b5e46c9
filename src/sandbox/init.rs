//! The sandbox's first process: makes the inside, waits to be let go, runs the command, reaps.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change, mount_remount};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, umask, wait};

use super::sys;

/// Runs as process 1 of a new process namespace. `lifeline` is the connection to the launcher: a byte goes out
/// when the inside is ready, one comes in when the command may run, and its end is the end of the sandbox.
///
/// # Errors
///
/// What of the inside could not be made.
pub fn run(mut lifeline: UnixStream, cgroup: &Path, command: &[OsString]) -> Result<ExitCode> {
    fs::write(cgroup.join("cgroup.procs"), "0")
        .with_context(|| format!("could not enter cgroup {}", cgroup.display()))?;
    sys::unshare_namespaces().context("could not make the sandbox's namespaces")?;
    make_inside()?;
    sys::bring_up_loopback().context("could not bring up the loopback interface")?;

    lifeline.write_all(b"r").context("the launcher is gone")?;
    // The launcher has said why, if it gives up now.
    if lifeline.read_exact(&mut [0]).is_err() {
        return Ok(ExitCode::FAILURE);
    }
    let (program, arguments) = command.split_first().context("no command to run")?;
    let mut child = match Command::new(program).args(arguments).spawn() {
        Ok(child) => child,
        Err(error) => {
            let name = program.display();
            return Err(anyhow::Error::new(error).context(format!("could not run `{name}`")));
        }
    };
    let pid = child.id();
    watch(lifeline, pid)?;
    let status = reap_until(pid);
    // Already reaped; this only tells std so.
    let _ = child.try_wait();
    status
}

/// Mounts: nothing made here shows on the host.
fn make_inside() -> Result<()> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .context("could not make the sandbox's mounts private")?;
    let of_the_user = umask(Mode::empty());
    make_dev()?;
    let nosuid = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", "/run", "tmpfs", nosuid, c"mode=0755").context("could not mount /run")?;
    let none = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", none, None).context("could not mount /proc")?;
    // The host's devices stay visible here, as in any container, but cannot be changed.
    mount_remount("/sys", MountFlags::BIND | MountFlags::RDONLY | none, c"")
        .context("could not make /sys read-only")?;
    umask(of_the_user);
    Ok(())
}

/// The nodes, links and mounts of the OCI runtime specification ("Default Devices", "Default Filesystems").
fn make_dev() -> Result<()> {
    mount("tmpfs", "/dev", "tmpfs", MountFlags::NOSUID, c"mode=0755")
        .context("could not mount /dev")?;
    for (name, major, minor) in [
        ("null", 1, 3),
        ("zero", 1, 5),
        ("full", 1, 7),
        ("random", 1, 8),
        ("urandom", 1, 9),
        ("tty", 5, 0),
    ] {
        let path = format!("/dev/{name}");
        mknodat(
            CWD,
            &path,
            FileType::CharacterDevice,
            Mode::from_raw_mode(0o666),
            makedev(major, minor),
        )
        .with_context(|| format!("could not make {path}"))?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(target, format!("/dev/{name}"))
            .with_context(|| format!("could not link /dev/{name}"))?;
    }
    let plain = MountFlags::NOSUID | MountFlags::NOEXEC;
    for (path, kind, data) in [
        ("/dev/pts", "devpts", c"newinstance,ptmxmode=0666,mode=0620"),
        ("/dev/shm", "tmpfs", c"mode=1777"),
    ] {
        fs::create_dir(path).with_context(|| format!("could not make {path}"))?;
        mount(kind, path, kind, plain, data).with_context(|| format!("could not mount {path}"))?;
    }
    Ok(())
}

/// Kills the command when the launcher is gone; the sandbox ends with it.
fn watch(mut lifeline: UnixStream, pid: u32) -> io::Result<()> {
    let watch = move || {
        // Nothing more is ever sent: this returns at the end.
        let _ = lifeline.read(&mut [0]);
        if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
            let _ = kill_process(pid, Signal::KILL);
        }
    };
    std::thread::Builder::new().name("hotseat-watch".to_owned()).spawn(watch).map(drop)
}

/// Reaps whatever ends, as process 1 must, until the command does. Ends with its status, or 128 plus the
/// number of the signal that ended it, as a shell would.
fn reap_until(pid: u32) -> Result<ExitCode> {
    loop {
        let (ended, status) = match wait(WaitOptions::empty()) {
            Ok(Some(ended)) => ended,
            Ok(None) | Err(rustix::io::Errno::INTR) => continue,
            Err(errno) => return Err(errno).context("could not wait for the command"),
        };
        if ended.as_raw_nonzero().get().cast_unsigned() != pid {
            continue;
        }
        let code = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => code,
            (None, Some(signal)) => 128 + signal,
            (None, None) => continue,
        };
        return Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)));
    }
}
