//! Whether the container's programs hear of devices, and from whom.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use device_gate::Container;
use udev_forge::udevd;

use super::{Check, Status};
use crate::session::announcer::UdevMode;

/// Who makes the container's udev messages, and what that takes.
pub(super) fn mode(mode: UdevMode, container: &Container) -> Check {
    match mode {
        UdevMode::Forge => control(container),
        UdevMode::Inject => Check::ok(
            "udevd",
            "a udevd works in it: it is given the kernel's events of the session",
        ),
        UdevMode::Kernel => Check::not(
            "udevd",
            Status::Warning,
            "a udevd works in it and hears the kernel's events of every device of this host: it tells the \
             container's programs of other sessions' devices too, and of ours perhaps before their nodes are \
             there",
            "give the container a user namespace, or no udevd",
        ),
    }
}

/// libudev looks once, when a monitor is made: without the file that monitor stays deaf
/// (sd-device/device-monitor.c).
fn control(container: &Container) -> Check {
    match container.has("run/udev/control") {
        Ok(true) => Check::ok("udev-control", "/run/udev/control is there: libudev listens"),
        Ok(false) => Check::not(
            "udev-control",
            Status::Warning,
            "/run/udev/control is not there yet: a program that already runs in the container, and has \
             opened its udev monitor, hears nothing of devices",
            "attach the session before the program starts, or restart the program after",
        ),
        Err(error) => Check::not(
            "udev-control",
            Status::Warning,
            format!("could not look for /run/udev/control in the container: {error}"),
            "is /run or /run/udev a symbolic link there? use an image in which they are directories",
        ),
    }
}

/// Programs that were too early for [`control`].
pub(super) fn monitors(container: &Container) -> Check {
    let net = PathBuf::from(format!("/proc/{}/net", container.pid()));
    match udevd::deaf_monitors(&net) {
        Ok(found) => {
            // Ours that send.
            let own = own_sockets();
            match found.iter().filter(|inode| !own.contains(*inode)).count() {
                0 => Check::ok("udev-monitors", "no program has listened too early"),
                count => Check::not(
                    "udev-monitors",
                    Status::Warning,
                    format!(
                        "{count} udev monitors in it were opened while /run/udev/control was not there: they \
                         will never hear of a device"
                    ),
                    "restart the programs; start the container ready the next time (docs/ready.md)",
                ),
            }
        }
        Err(error) => Check::not(
            "udev-monitors",
            Status::Warning,
            format!("could not look for programs that have listened too early: {error}"),
            "did the container end? is /proc mounted?",
        ),
    }
}

/// The inode numbers of this process's sockets (proc_pid_fd(5)).
fn own_sockets() -> HashSet<u64> {
    let inode = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?.into_os_string().into_string().ok()?;
        target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    fs::read_dir("/proc/self/fd").into_iter().flatten().flatten().filter_map(inode).collect()
}
