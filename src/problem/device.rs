//! Errors about a device: what is granted, and what the kernel makes.

use axum::http::StatusCode;
use device_gate::GrantError;
use vinput::uhid;
use vinput::uinput::CreateError;

use super::classify::Class;

pub(super) fn grant(error: &GrantError) -> Class {
    use StatusCode as S;
    let (status, code, hint) = match error {
        GrantError::Dangerous { .. } => (
            S::FORBIDDEN,
            "dangerous-device",
            "memory, disks, consoles and the like are not given to containers",
        ),
        GrantError::Full { .. } => (
            S::INSUFFICIENT_STORAGE,
            "grants-full",
            "unplug devices; what is plugged in already goes on working",
        ),
        GrantError::Root { .. } => {
            (S::CONFLICT, "root-cgroup", "start the container in a cgroup of its own")
        }
        GrantError::TooDeep { .. } => (
            S::CONFLICT,
            "cgroup-too-deep",
            "start the container closer to the host: container engines inside containers nest cgroups",
        ),
        GrantError::Path { .. } => {
            (S::CONFLICT, "cgroup-gone", "did the container end? start it, and attach it again")
        }
        GrantError::NoBackEnd { .. } => (
            S::SERVICE_UNAVAILABLE,
            "grants-unavailable",
            "run the daemon as root (CAP_SYS_ADMIN) on Linux 5.9 or later; `hotseat doctor` says what is missing",
        ),
        GrantError::NotCopyable { .. } => (
            S::CONFLICT,
            "foreign-program",
            "no container runtime attaches such a program: `bpftool cgroup tree` shows who did; Linux 5.18 or later \
             does not mind it",
        ),
        GrantError::OtherDaemon { .. } => {
            (S::CONFLICT, "other-daemon", "stop the other hotseat, or leave this container to it")
        }
        GrantError::ParentRefuses { .. } => (
            S::CONFLICT,
            "parent-refuses",
            "a cgroup v1 can have only what the one above it has: allow the device there, or start the container \
             elsewhere",
        ),
        _ => (S::INTERNAL_SERVER_ERROR, "grant", "`hotseat doctor` tests the grants"),
    };
    (status, code, hint.to_owned())
}

pub(super) fn create_pad(error: &uhid::CreateError) -> Class {
    use StatusCode as S;
    use uhid::CreateError as E;
    let (status, code, hint) = match error {
        E::NotFound { .. } => (
            S::SERVICE_UNAVAILABLE,
            "no-uhid",
            "load the module with `modprobe uhid`; `hotseat profiles` has a `-uinput` profile of most pads, \
             which needs none",
        ),
        E::PermissionDenied { .. } => {
            (S::SERVICE_UNAVAILABLE, "uhid-permission", "run the daemon as root")
        }
        E::DriverMissing { .. } | E::DriverFailed { .. } => (
            S::SERVICE_UNAVAILABLE,
            "no-driver",
            "`hotseat profiles` has a `-uinput` profile of most pads, which needs no driver",
        ),
        E::DuplicateMac { .. } => (
            S::CONFLICT,
            "duplicate-address",
            "is the last device of this slot still being unplugged? try again, or use another slot",
        ),
        E::Minors(_) | E::NoNode { what: "event", .. } => (
            S::INSUFFICIENT_STORAGE,
            "no-event-node",
            "unplug other devices: the kernel has no numbers left for their nodes",
        ),
        E::NoNode { .. } | E::NoHidraw { .. } => (
            S::INSUFFICIENT_STORAGE,
            "no-hidraw",
            "unplug other pads, or use a `-uinput` profile of `hotseat profiles`",
        ),
        _ => (S::INTERNAL_SERVER_ERROR, "create", "the kernel's log (`dmesg`) may say more"),
    };
    (status, code, hint.to_owned())
}

pub(super) fn create(error: &CreateError) -> Class {
    use StatusCode as S;
    let (status, code, hint) = match error {
        CreateError::NotFound { .. } => (
            S::SERVICE_UNAVAILABLE,
            "no-uinput",
            "load the module with `modprobe uinput`; `hotseat setup` makes it load at boot",
        ),
        CreateError::PermissionDenied { .. } => {
            (S::SERVICE_UNAVAILABLE, "uinput-permission", "run the daemon as root")
        }
        CreateError::NoEventNode { .. } | CreateError::Minors(_) => (
            S::INSUFFICIENT_STORAGE,
            "no-event-node",
            "the kernel has no minor number left for it: unplug devices, or unload joydev",
        ),
        _ => (S::INTERNAL_SERVER_ERROR, "create", "the kernel's log (`dmesg`) may say more"),
    };
    (status, code, hint.to_owned())
}
