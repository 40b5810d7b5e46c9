//! Status, code and hint of every error.

use axum::http::StatusCode;
use device_gate::StagingError;

use super::{container, device};
use crate::cdi::CdiError;
use crate::limits::LimitError;
use crate::profiles::ProfilesError;
use crate::session::Error;

/// What a problem document says beside its `detail`.
pub(super) type Class = (StatusCode, &'static str, String);

/// The code of an error, as its problem document has it.
pub(crate) fn code(error: &Error) -> &'static str {
    classify(error).1
}

/// Status, code and hint of every error.
pub(super) fn classify(error: &Error) -> Class {
    use StatusCode as S;
    let (status, code, hint) = match error {
        Error::EventId(_) => {
            (S::BAD_REQUEST, "event-id", "give an id as an event had it, or none to begin now")
        }
        Error::Limit(error) => return limit(error),
        Error::SessionExists { .. } => {
            (S::CONFLICT, "session-exists", "choose another name, or `hotseat session rm` it first")
        }
        Error::SessionNotFound { .. } => {
            (S::NOT_FOUND, "session-not-found", "`hotseat session ls` lists the sessions")
        }
        Error::SessionName { .. } => {
            (S::BAD_REQUEST, "session-name", "for example `alice` or `seat-1`")
        }
        Error::Reference(_) => (
            S::BAD_REQUEST,
            "container-reference",
            "for example docker:game, podman:player/game or pid:4711",
        ),
        Error::Resolve(error) => return container::resolve(error),
        Error::HasContainer { .. } => (
            S::CONFLICT,
            "session-has-container",
            "`hotseat session move` takes it to another container",
        ),
        Error::NoContainer { .. } => (
            S::CONFLICT,
            "no-container",
            "`hotseat session attach` it to one, or start one with `hotseat run`",
        ),
        Error::NotMoved { source, .. } => return classify(source),
        Error::Tried(error) => return classify(error),
        Error::Withdrawn { .. } => (
            S::CONFLICT,
            "withdrawn",
            "two callers disagree about the slot; `hotseat session show` says what it has now",
        ),
        Error::NetworkShared { .. } => (
            S::CONFLICT,
            "network-shared",
            "containers of one pod are one seat: use one session for them, or give each its own network",
        ),
        Error::CgroupShared { .. } => (
            S::CONFLICT,
            "cgroup-shared",
            "a grant is given to a cgroup: start each session's container in a cgroup of its own",
        ),
        Error::CgroupNotOwn { .. } => (
            S::CONFLICT,
            "cgroup-not-own",
            "start the container where no device policy is in force (DevicePolicy=auto), or with a runtime that gives \
             it a cgroup of its own",
        ),
        Error::Attach(error) | Error::Link(error) => return container::attach(error),
        Error::Profile(ProfilesError::Unknown { .. }) => (
            S::NOT_FOUND,
            "unknown-profile",
            "`hotseat profiles` lists them; `profiles` in the configuration is the directory of your own",
        ),
        Error::Profile(_) => (
            S::UNPROCESSABLE_ENTITY,
            "bad-profile",
            "mend the file; it is read again at the next plug",
        ),
        Error::DeviceName(_) => {
            (S::BAD_REQUEST, "device-name", "use at most 79 bytes and no control characters")
        }
        Error::NoSuchSlot { .. } => {
            (S::BAD_REQUEST, "no-such-slot", "leave the slot out to take a free one")
        }
        Error::SlotTaken { .. } => {
            (S::CONFLICT, "slot-taken", "unplug it first, or leave the slot out to take a free one")
        }
        Error::NoFreeSlot { .. } => (S::CONFLICT, "no-free-slot", "unplug a device first"),
        Error::SlotEmpty { .. } => {
            (S::NOT_FOUND, "slot-empty", "`hotseat ls` shows what is plugged")
        }
        Error::Create(error) => return device::create(error),
        Error::CreatePad(error) => return device::create_pad(error),
        Error::GrantsUnavailable(_) => (
            S::SERVICE_UNAVAILABLE,
            "grants-unavailable",
            "`hotseat doctor` says what the host needs",
        ),
        Error::Input(_) => {
            (S::BAD_REQUEST, "input", "`hotseat profiles` lists the controls of each profile")
        }
        Error::Verify(_) => (
            S::BAD_GATEWAY,
            "not-usable-inside",
            "the device was taken away again; `hotseat doctor REF` looks at the container",
        ),
        Error::Removed { .. } => (S::CONFLICT, "session-removed", "add the session again"),
        Error::Node(StagingError::Exists { .. }) => (
            S::CONFLICT,
            "node-exists",
            "an earlier device left it; remove the session and add it again, and report this as a bug",
        ),
        Error::Cdi(error) => return cdi(error),
        Error::Stage(StagingError::Lock { .. }) => (
            S::SERVICE_UNAVAILABLE,
            "user-namespaces",
            "allow them: `sysctl user.max_user_namespaces=15000`",
        ),
        Error::Stage(_) | Error::KeepAnnounced(_) => {
            (S::INTERNAL_SERVER_ERROR, "staging", "is the staging file system full?")
        }
        Error::Node(_) => (S::INTERNAL_SERVER_ERROR, "node", "is the staging file system full?"),
        Error::Journal(_) => {
            (S::INTERNAL_SERVER_ERROR, "journal", "is its disk full or read-only?")
        }
        Error::Database(_) => {
            (S::INTERNAL_SERVER_ERROR, "database", "is the staging file system full?")
        }
        Error::OpenSender(_)
        | Error::OpenMonitor(_)
        | Error::OpenInjector(_)
        | Error::Announce(_)
        | Error::Inject(_) => (
            S::INTERNAL_SERVER_ERROR,
            "announce",
            "the daemon needs CAP_NET_ADMIN and CAP_SYS_ADMIN on the host",
        ),
        Error::Holders(_) => (S::INTERNAL_SERVER_ERROR, "holders", "is /proc mounted?"),
        Error::LookForUdevd(_) => {
            (S::INTERNAL_SERVER_ERROR, "udevd", "did the container end? is /proc mounted?")
        }
        Error::Grant(error) => return device::grant(error),
        Error::KernelEvents(_) | Error::ReadAxes(_) | Error::ReadDevice(_) | Error::Stamp(_) => {
            (S::INTERNAL_SERVER_ERROR, "read-device", "is /sys mounted?")
        }
        Error::Write(_) | Error::WritePad(_) => {
            (S::INTERNAL_SERVER_ERROR, "device", "unplug the device and plug it again")
        }
        Error::WatchHost { .. } => {
            (S::INTERNAL_SERVER_ERROR, "watch-host", "the daemon must run as root on the host")
        }
        Error::Tell(_) | Error::HostGone { .. } => (
            S::CONFLICT,
            "host-device",
            "is the device still there? `hotseat devices` lists those of the host",
        ),
        Error::HostTaken { .. } => (
            S::CONFLICT,
            "host-device-taken",
            "it comes when that session gives it up; leave `exclusive` out of both rules to share it",
        ),
        Error::NoPlace { .. } => {
            (S::CONFLICT, "no-place", "`hotseat doctor REF` looks at the container's /dev")
        }
        Error::Owner(_) => (
            S::CONFLICT,
            "node-owner",
            "`owner` and `group` of the rule are ids of the container's user namespace",
        ),
        Error::Rule(_) => (S::BAD_REQUEST, "rule", "docs/host-devices.md has the words of a rule"),
        Error::RuleNotFound { .. } => (
            S::NOT_FOUND,
            "no-such-rule",
            "`hotseat rule ls` lists them; those of the configuration are changed there",
        ),
        Error::Lost => (
            S::INTERNAL_SERVER_ERROR,
            "internal",
            "remove the session and add it again; the daemon's log has the cause: please report it",
        ),
    };
    (status, code, hint.to_owned())
}

fn limit(error: &LimitError) -> Class {
    let (code, hint) = match error {
        LimitError::Sessions { .. } => (
            "too-many-sessions",
            "remove a session; `limits.sessions` of the configuration is their number",
        ),
        LimitError::Devices { .. } => (
            "too-many-devices",
            "unplug devices; what is plugged goes on working; `limits.devices` of the configuration is their number",
        ),
        LimitError::DevicesOfSession { .. } => (
            "too-many-devices-in-session",
            "unplug a device of it first; `limits.devices_per_session` of the configuration is their number",
        ),
        LimitError::WholePads { .. } => (
            "too-many-whole-pads",
            "unplug other pads, or use a `-uinput` profile of `hotseat profiles`; `limits.whole_pads` of the \
             configuration is their number",
        ),
        LimitError::Watchers { .. } => (
            "too-many-watchers",
            "end a `hotseat watch`; `limits.watchers` of the configuration is their number",
        ),
    };
    (StatusCode::INSUFFICIENT_STORAGE, code, hint.to_owned())
}

/// Also of `hotseat cdi`, which asks no daemon.
pub(crate) fn cdi(error: &CdiError) -> Class {
    use StatusCode as S;
    let (status, code, hint) = match error {
        CdiError::Name { .. } => {
            (S::BAD_REQUEST, "session-name", "choose a name that ends in a letter or digit")
        }
        CdiError::NoDevices => {
            (S::BAD_REQUEST, "no-session", "add a session first, or name one with --session")
        }
        CdiError::Hook { .. } => (
            S::INTERNAL_SERVER_ERROR,
            "no-hook",
            "install `hotseat-hook` beside `hotseat`, or name it with `hotseat cdi --hook`",
        ),
        CdiError::Foreign { .. } => (
            S::CONFLICT,
            "cdi-foreign",
            "move it away, or choose another file with `hotseat cdi --output`",
        ),
        CdiError::Lock { .. } | CdiError::Read { .. } | CdiError::Write { .. } => (
            S::INTERNAL_SERVER_ERROR,
            "cdi",
            "run it as root; the directory is `cdi_dir` of the configuration, or that of `hotseat cdi --output`",
        ),
    };
    (status, code, hint.to_owned())
}
