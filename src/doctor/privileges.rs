//! What confines a container, and what makes it stronger than it should be.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use device_gate::{Access, Container, Device};

use super::{Check, Status};
use crate::engine::{Engine, chain};

/// A device that no driver has: the minors of the input devices end at 1023 (`INPUT_MAX_CHAR_DEVICES` in
/// drivers/input/input.c), these of a device number at 2^20 - 1 (`MINORBITS` in include/linux/kdev_t.h).
const NOBODYS: Device = Device::char(13, 0xf_ffff);

/// Whether a granted device opens in the container's cgroup and another does not, tried for real.
pub(super) fn device_policy(engine: &Engine, container: &Container) -> Check {
    const CHECK: &str = "device-policy";
    // Two at once would revoke what the other has granted.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let failed = |error: &dyn std::error::Error| {
        let hint = "unpause the container, if it is paused, or raise its limit of processes";
        Check::not(CHECK, Status::Warning, chain(error), hint)
    };
    let lets = || engine.staging.policy_lets(container, NOBODYS);
    match lets() {
        Ok(false) => {}
        Ok(true) if container.has_users_of_its_own() => {
            return Check::ok(
                CHECK,
                "its cgroup may open every device; having users of its own, it has no way to make nodes of them",
            );
        }
        Ok(true) => {
            return Check::not(
                CHECK,
                Status::Warning,
                "its runtime lets it open any input device of this host, those of other sessions too",
                "start it without --privileged and without --device-cgroup-rule: hotseat grants each device",
            );
        }
        Err(error) => return failed(&error),
    }
    if container.shares_cgroup() {
        return Check::not(
            CHECK,
            Status::Failed,
            "a device policy is in force in its cgroup, which is not its own: nothing is granted there",
            "start the container with a cgroup of its own",
        );
    }
    let grants = match engine.grants() {
        Ok(grants) => grants,
        Err(error) => {
            let hint = "`hotseat doctor` says what the host needs";
            return Check::not(CHECK, Status::Failed, chain(&error), hint);
        }
    };
    let granted = grants.grant(container, NOBODYS, Access::READ | Access::WRITE);
    let tried = lets();
    let revoked = grants.revoke(container, NOBODYS);
    match (granted.and(revoked), tried) {
        (Err(error), _) => Check::not(CHECK, Status::Failed, chain(&error), "restart the daemon"),
        (_, Err(error)) => failed(&error),
        (_, Ok(true)) => {
            Check::ok(CHECK, "a granted device opens, and no other (tried in its cgroup)")
        }
        (_, Ok(false)) => Check::not(
            CHECK,
            Status::Failed,
            "a granted device does not open: something refuses it after the grant",
            "`hotseat doctor` tests the grants of the host; unplug and plug again, in case its policy was written anew",
        ),
    }
}

// include/uapi/linux/capability.h
const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_MKNOD: u32 = 27;

/// What its root could do to the host, or to its own mounts.
pub(super) fn capabilities(container: &Container, status: &str) -> Check {
    const CHECK: &str = "capabilities";
    // The bounding set: what any program in it can come by, whoever its first process is.
    let Some(set) = field(status, "CapBnd").and_then(|hex| u64::from_str_radix(hex, 16).ok())
    else {
        return Check::not(CHECK, Status::Warning, "could not be read", "did the container end?");
    };
    let has = |capability: u32| set >> capability & 1 == 1;
    if container.has_users_of_its_own() {
        return Check::ok(CHECK, "hold only in its own user namespace");
    }
    if has(CAP_SYS_ADMIN) {
        return Check::not(
            CHECK,
            Status::Warning,
            "it has CAP_SYS_ADMIN on this host: it may take away what is mounted into it, break the file system of \
             its own session, and has many ways out",
            "start it without --privileged and --cap-add SYS_ADMIN, or with a user namespace (--userns)",
        );
    }
    let notes = [
        (CAP_MKNOD, "CAP_MKNOD (it may make nodes, and open only what is granted)"),
        (CAP_NET_ADMIN, "CAP_NET_ADMIN (it may forge udev messages to itself)"),
    ];
    let notes: Vec<_> = notes.iter().filter(|(it, _)| has(*it)).map(|(_, note)| *note).collect();
    let detail = if notes.is_empty() { "nothing of note".to_owned() } else { notes.join(", ") };
    Check::ok(CHECK, detail)
}

/// proc_pid_status(5).
pub(super) fn seccomp(status: &str) -> Check {
    let mode = match field(status, "Seccomp") {
        Some("0") => "no filter of system calls",
        Some("1") => "strict: its first process can open nothing",
        Some("2") => "a filter of system calls, which can be looked at only by what fails inside",
        _ => "not known",
    };
    let no_new = field(status, "NoNewPrivs") == Some("1");
    Check::ok("seccomp", format!("{mode}{}", if no_new { "; no new privileges" } else { "" }))
}

pub(super) fn apparmor(pid: u32) -> Check {
    match fs::read_to_string(format!("/proc/{pid}/attr/apparmor/current")) {
        Ok(profile) => Check::ok("apparmor", format!("confined as {}", profile.trim())),
        Err(_) => Check::ok("apparmor", "not in use"),
    }
}

/// The label decides what of /dev it may open; whether this one may cannot be asked without its programs.
pub(super) fn selinux(pid: u32) -> Check {
    const CHECK: &str = "selinux";
    let enforces = fs::read_to_string("/sys/fs/selinux/enforce").is_ok_and(|it| it.trim() == "1");
    if !enforces {
        let loaded = Path::new("/sys/fs/selinux/enforce").exists();
        return Check::ok(CHECK, if loaded { "permissive" } else { "not in use" });
    }
    let label = fs::read_to_string(format!("/proc/{pid}/attr/current")).unwrap_or_default();
    let label = label.trim_end_matches(['\0', '\n']);
    Check::not(
        CHECK,
        Status::Warning,
        format!("enforcing, and it runs as {label}; the nodes have the label of a tmpfs"),
        "if its programs cannot open them: `setsebool -P container_use_devices 1`, or --security-opt label=disable",
    )
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}
