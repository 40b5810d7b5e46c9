//! Errors about a container: who it is, and what can be shown in it.

use axum::http::StatusCode;
use device_gate::ContainerError;
use device_gate::attach::AttachError;

use super::classify::Class;
use crate::runtime::{ContainerRef, ResolveError};

pub(super) fn resolve(error: &ResolveError) -> Class {
    use StatusCode as S;
    let (status, code, hint) = match error {
        ResolveError::NotFound { reference } => {
            (S::NOT_FOUND, "container-not-found", how_to_list(reference))
        }
        ResolveError::NotRunning { .. }
        | ResolveError::Container { source: ContainerError::NotRunning { .. }, .. } => {
            (S::CONFLICT, "container-not-running", "start it first")
        }
        ResolveError::Ambiguous { .. } => {
            (S::CONFLICT, "container-ambiguous", "write more of the id, or pid:NUMBER")
        }
        ResolveError::Socket { reference, .. } | ResolveError::Api { reference, .. } => {
            (S::BAD_GATEWAY, "runtime-socket", how_to_listen(reference))
        }
        ResolveError::NoUser { .. } | ResolveError::LookUpUser { .. } => (
            S::NOT_FOUND,
            "no-such-user",
            "podman:USER/NAME takes a user of this host by name or number",
        ),
        ResolveError::NotTheUsers { .. } => (
            S::CONFLICT,
            "container-not-the-users",
            "a rootless container belongs to the user who started it; root's are podman:NAME",
        ),
        ResolveError::Elsewhere { .. } => (
            S::CONFLICT,
            "container-elsewhere",
            "run hotseat on the host (or in the virtual machine) that runs the container's runtime; for containers \
             without cgroups of their own use pid:NUMBER",
        ),
        ResolveError::OwnKernel { .. } => (
            S::CONFLICT,
            "container-own-kernel",
            "start it with runc or crun; hotseat in the virtual machine can serve what runs there",
        ),
        ResolveError::Cgroups { .. } => (
            S::SERVICE_UNAVAILABLE,
            "cgroups",
            "the daemon must run on the host, with cgroup v2; pid:NUMBER works without a search",
        ),
        ResolveError::Machinectl { .. } => (
            S::BAD_GATEWAY,
            "machinectl",
            "install systemd-container, or use pid:NUMBER with the number of the machine's first process",
        ),
        ResolveError::BrokenOff { .. } => (
            S::INTERNAL_SERVER_ERROR,
            "internal",
            "try again; the daemon's log has the cause: please report it",
        ),
        ResolveError::Container { source, .. } => match source {
            ContainerError::HostNetwork { .. } => (
                S::CONFLICT,
                "host-network",
                "start the container with a network of its own (without `--network host`; systemd-nspawn with \
                 `--private-network`)",
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

fn how_to_list(reference: &ContainerRef) -> &'static str {
    match reference {
        ContainerRef::Docker(_) => "`docker ps` lists the running containers",
        ContainerRef::Podman { user: None, .. } => {
            "`podman ps` as root lists the running containers; a user's are podman:USER/NAME"
        }
        ContainerRef::Podman { user: Some(_), .. } => {
            "`podman ps` as that user lists the running containers"
        }
        ContainerRef::Cri(_) => "`crictl ps` and `ctr containers ls` list the containers",
        ContainerRef::Machine(_) => "`machinectl` lists the machines",
        ContainerRef::Lxc(_) => {
            "`lxc-ls --running` lists the containers; Incus calls those of a project PROJECT_NAME"
        }
        ContainerRef::Pid(_) => "`ps` lists the processes, as numbered on the host",
        ContainerRef::Sandbox(_) => "`hotseat run --session NAME` starts one",
    }
}

fn how_to_listen(reference: &ContainerRef) -> &'static str {
    match reference {
        ContainerRef::Podman { user: None, .. } => {
            "`systemctl enable --now podman.socket`; is it `podman_socket` in the configuration? without it a \
             container's id works"
        }
        ContainerRef::Podman { user: Some(_), .. } => {
            "`systemctl --user enable --now podman.socket` as that user, who must be logged in or linger \
             (loginctl(1)); without it a container's id works"
        }
        _ => "is the Docker daemon running, and `docker_socket` in the configuration its socket?",
    }
}

/// What to do about an attach that fails.
pub(crate) fn attach_hint(error: &AttachError) -> String {
    attach(error).2
}

pub(super) fn attach(error: &AttachError) -> Class {
    use StatusCode as S;
    let (status, code, hint) = match error {
        AttachError::Symlink { .. }
        | AttachError::NotADirectory { .. }
        | AttachError::Exchanged { .. } => (
            S::CONFLICT,
            "mount-point-refused",
            "use an image in which it is a directory, or is missing",
        ),
        AttachError::Occupied { .. } => (
            S::CONFLICT,
            "mount-point-occupied",
            "start the container without --privileged, --device or a mount there: hotseat brings the devices",
        ),
        AttachError::HostDev => (
            S::CONFLICT,
            "host-dev",
            "start the container without `-v /dev:/dev`: hotseat brings the devices",
        ),
        AttachError::Hangs => (
            S::GATEWAY_TIMEOUT,
            "container-hangs",
            "something in the container is mounted over `/`, `/dev` or `/run` and does not answer; other sessions \
             are not affected",
        ),
        AttachError::Taken { .. } => (
            S::CONFLICT,
            "node-exists",
            "remove what has that name in the container; it is never replaced",
        ),
        AttachError::Link { .. } | AttachError::Unlink { .. } => (
            S::CONFLICT,
            "dev-link",
            "is the container's /dev full (`df /dev` in it) or read-only?",
        ),
        AttachError::Create { .. } => (
            S::CONFLICT,
            "mount-point-missing",
            "start a read-only container with `--tmpfs /run`, or with the directory in its image",
        ),
        _ => (
            S::INTERNAL_SERVER_ERROR,
            "attach",
            "the daemon must run as root on the host, on Linux 5.12 or later",
        ),
    };
    (status, code, hint.to_owned())
}
