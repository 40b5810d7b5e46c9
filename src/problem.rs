//! Errors as RFC 9457 problem documents: a stable `code`, a `detail` in plain words, a `hint`.

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use device_gate::attach::AttachError;
use device_gate::{ContainerError, StagingError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vinput::uhid;
use vinput::uinput::CreateError;

use crate::cdi::CdiError;
use crate::engine::chain;
use crate::profiles::ProfilesError;
use crate::runtime::ResolveError;
use crate::session::Error;

/// A problem document (RFC 9457) with two members of our own, `code` and `hint`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The HTTP status again.
    pub status: u16,
    /// The HTTP status in words.
    pub title: String,
    /// What kind of problem; stable, for programs.
    pub code: String,
    /// What happened and why, for people.
    pub detail: String,
    /// What to do about it.
    pub hint: String,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        code: &str,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            code: code.to_owned(),
            detail: detail.into(),
            hint: hint.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
        (status, content_type, axum::Json(self)).into_response()
    }
}

pub(crate) async fn no_such_path(uri: Uri) -> Problem {
    let detail = format!("there is nothing at `{}`", uri.path());
    Problem::new(
        StatusCode::NOT_FOUND,
        "no-such-path",
        detail,
        "GET /v1/openapi.json lists every path",
    )
}

pub(crate) async fn no_such_method(uri: Uri) -> Problem {
    let detail = format!("`{}` does not take this method", uri.path());
    let hint = "GET /v1/openapi.json lists every path and its methods";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", detail, hint)
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, code, hint) = classify(&error);
        Self::new(status, code, chain(&error), hint)
    }
}

/// Status, code and hint of every error.
fn classify(error: &Error) -> (StatusCode, &'static str, String) {
    use StatusCode as S;
    let (status, code, hint) = match error {
        Error::SessionExists { .. } => {
            (S::CONFLICT, "session-exists", "choose another name, or `hotseat session rm` it first")
        }
        Error::SessionNotFound { .. } => {
            (S::NOT_FOUND, "session-not-found", "`hotseat session ls` lists the sessions")
        }
        Error::SessionName { .. } => {
            (S::BAD_REQUEST, "session-name", "for example `alice` or `seat-1`")
        }
        Error::Reference(_) => {
            (S::BAD_REQUEST, "container-reference", "for example docker:game or pid:4711")
        }
        Error::Resolve(error) => return resolve(error),
        Error::HasContainer { .. } => {
            (S::CONFLICT, "session-has-container", "remove the session, or add another one")
        }
        Error::NoContainer { .. } => (
            S::CONFLICT,
            "no-container",
            "add the session with --container, or start one with `hotseat run`",
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
        Error::Attach(error) => return attach(error),
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
        Error::Create(error) => return create(error),
        Error::CreatePad(error) => return create_pad(error),
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
        Error::Stage(_) => {
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
        Error::LookForUdevd(_) => {
            (S::INTERNAL_SERVER_ERROR, "udevd", "did the container end? is /proc mounted?")
        }
        Error::Grant(_) => (S::INTERNAL_SERVER_ERROR, "grant", "`hotseat doctor` tests the grants"),
        Error::KernelEvents(_) | Error::ReadAxes(_) | Error::ReadDevice(_) | Error::Stamp(_) => {
            (S::INTERNAL_SERVER_ERROR, "read-device", "is /sys mounted?")
        }
        Error::Write(_) | Error::WritePad(_) => {
            (S::INTERNAL_SERVER_ERROR, "device", "unplug the device and plug it again")
        }
        Error::Lost => (
            S::INTERNAL_SERVER_ERROR,
            "internal",
            "remove the session and add it again; the daemon's log has the cause: please report it",
        ),
    };
    (status, code, hint.to_owned())
}

fn resolve(error: &ResolveError) -> (StatusCode, &'static str, String) {
    use StatusCode as S;
    let (status, code, hint) = match error {
        ResolveError::NotFound { .. } => {
            (S::NOT_FOUND, "container-not-found", "`docker ps` lists the running containers")
        }
        ResolveError::NotRunning { .. }
        | ResolveError::Container { source: ContainerError::NotRunning { .. }, .. } => {
            (S::CONFLICT, "container-not-running", "start it first")
        }
        ResolveError::Docker { .. } => (
            S::BAD_GATEWAY,
            "docker",
            "is the Docker daemon running, and `docker_socket` in the configuration its socket?",
        ),
        ResolveError::Elsewhere { .. } => (
            S::CONFLICT,
            "container-elsewhere",
            "run hotseat on the host (or in the virtual machine) that runs the Docker daemon",
        ),
        ResolveError::Container { source, .. } => match source {
            ContainerError::HostNetwork { .. } => (
                S::CONFLICT,
                "host-network",
                "start the container with a network of its own (without `--network host`)",
            ),
            ContainerError::HostMounts { .. } => (
                S::CONFLICT,
                "not-a-container",
                "give the number of a process inside the container",
            ),
            ContainerError::NotIt { .. } => (
                S::CONFLICT,
                "container-elsewhere",
                "run hotseat on the host that runs the container, and let its cgroup be named after it",
            ),
            ContainerError::Root { .. } => (
                S::CONFLICT,
                "container-root",
                "its runtime and hotseat must see the same files: run both on the host",
            ),
            ContainerError::RootCgroup { .. } => {
                (S::CONFLICT, "root-cgroup", "start the container in a cgroup of its own")
            }
            _ => (
                S::INTERNAL_SERVER_ERROR,
                "container",
                "the daemon must run as root on the host; `hotseat doctor REF` looks closer",
            ),
        },
    };
    (status, code, hint.to_owned())
}

/// Also of `hotseat cdi`, which asks no daemon.
pub(crate) fn cdi(error: &CdiError) -> (StatusCode, &'static str, String) {
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

fn attach(error: &AttachError) -> (StatusCode, &'static str, String) {
    use StatusCode as S;
    let (status, code, hint) = match error {
        AttachError::Symlink { .. } | AttachError::NotADirectory { .. } => (
            S::CONFLICT,
            "mount-point-refused",
            "use an image in which it is a directory, or is missing",
        ),
        AttachError::Occupied { .. } => (
            S::CONFLICT,
            "mount-point-occupied",
            "start the container without --privileged, --device or a mount there: hotseat brings the devices",
        ),
        AttachError::Create { .. } => (
            S::CONFLICT,
            "mount-point-missing",
            "start a read-only container with `--tmpfs /run`, or with the directory in its image",
        ),
        _ => (
            S::INTERNAL_SERVER_ERROR,
            "attach",
            "the daemon must run as root on the host, on Linux 5.18 or later",
        ),
    };
    (status, code, hint.to_owned())
}

fn create_pad(error: &uhid::CreateError) -> (StatusCode, &'static str, String) {
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

fn create(error: &CreateError) -> (StatusCode, &'static str, String) {
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
