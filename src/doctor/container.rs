//! One container, looked at from inside: what works, what does not, and how to mend it.

use std::fs;
use std::sync::Arc;

use device_gate::Container;
use device_gate::attach::{Found, Spot, examine};

use super::{Check, Status, privileges, udev};
use crate::engine::{Engine, chain};
use crate::problem::{Problem, attach_hint};
use crate::runtime::ContainerRef;
use crate::session::Error;
use crate::session::announcer::UdevMode;

/// Looks at a container.
pub async fn container(engine: &Arc<Engine>, reference: &ContainerRef) -> Vec<Check> {
    let container = match reference.open(&engine.config()).await {
        Ok(container) => container,
        Err(error) => {
            let problem = Problem::from(Error::Resolve(error));
            return vec![Check::not("container", Status::Failed, problem.detail, &problem.hint)];
        }
    };
    // What a container has mounted on itself may keep a look at it waiting: not on an async worker.
    let engine = Arc::clone(engine);
    let look = tokio::task::spawn_blocking(move || look_at(&engine, &container));
    look.await.unwrap_or_default()
}

fn look_at(engine: &Engine, container: &Container) -> Vec<Check> {
    let pid = container.pid();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mut checks = vec![
        Check::ok("container", format!("runs, as process {pid}")),
        network(container),
        users(container),
        cgroup(container),
        paused(container),
    ];
    checks.extend(places(engine, container));
    checks.extend([
        privileges::device_policy(engine, container),
        privileges::capabilities(container, &status),
        privileges::seccomp(&status),
        privileges::apparmor(pid),
        privileges::selinux(pid),
    ]);
    checks
}

/// Who else hears what is announced there.
fn network(container: &Container) -> Check {
    match container.network_neighbours() {
        Ok(others) if others.is_empty() => {
            Check::ok("container-network", "has a network of its own")
        }
        Ok(others) => {
            let all: Vec<_> = others.iter().map(|path| format!("/{}", path.display())).collect();
            Check::not(
                "container-network",
                Status::Warning,
                format!(
                    "shares its network with what runs in {}: programs there are told of its devices too, but cannot \
                     open them",
                    all.join(", ")
                ),
                "containers of one pod are one seat; give a container that is not part of it a network of its own",
            )
        }
        Err(error) => {
            Check::not("container-network", Status::Warning, error.to_string(), "is /proc mounted?")
        }
    }
}

fn cgroup(container: &Container) -> Check {
    let path = container.cgroup().path().display();
    if container.shares_cgroup() {
        Check::not(
            "container-cgroup",
            Status::Warning,
            format!(
                "{path} holds processes from outside the container: no device is granted to it"
            ),
            "nothing, if devices open all the same; else start the container with a cgroup of its own",
        )
    } else {
        Check::ok("container-cgroup", path.to_string())
    }
}

fn users(container: &Container) -> Check {
    let (uid, gid) = container.root_ids();
    let detail = if container.has_users_of_its_own() {
        format!(
            "has users of its own; its root is user {uid}, group {gid} of this host, and owns its nodes"
        )
    } else {
        "has the users of this host, and no user namespace".to_owned()
    };
    Check::ok("container-root", detail)
}

fn paused(container: &Container) -> Check {
    if container.cgroup().is_frozen() {
        Check::not(
            "paused",
            Status::Warning,
            "the container is paused: devices can be plugged, but not tried from inside",
            "unpause it",
        )
    } else {
        Check::ok("paused", "the container is not paused")
    }
}

/// Where the session's directories show, or would.
fn places(engine: &Engine, container: &Container) -> Vec<Check> {
    let mode = match UdevMode::of(container) {
        Ok(mode) => mode,
        Err(error) => {
            let hint = "did the container end? is /proc mounted?";
            return vec![Check::not("udevd", Status::Failed, chain(&error), hint)];
        }
    };
    let session = engine.session_of(container).map(|name| engine.staging.path_of(&name));
    let spots = match examine(container, session.as_deref()) {
        Ok(spots) => spots,
        Err(error) => {
            let hint = attach_hint(&error);
            return vec![Check::not("mounts", Status::Failed, chain(&error), &hint)];
        }
    };
    let mut checks: Vec<_> = spots
        .iter()
        .filter(|spot| mode == UdevMode::Forge || spot.path != "/run/udev")
        .map(place)
        .collect();
    checks.extend([udev::mode(mode, container), udev::monitors(container)]);
    checks
}

fn place(spot: &Spot) -> Check {
    let path = spot.path;
    let check = match path {
        "/dev/input" => "dev-input",
        "/run/udev" => "run-udev",
        _ => "hidraw",
    };
    let lost = if spot.is_optional { "; pads get no hidraw node, and have the others" } else { "" };
    match &spot.found {
        Ok(Found::Attached) => Check::ok(check, format!("{path} is the session's")),
        Ok(Found::Empty) => Check::ok(check, format!("{path} is an empty directory")),
        Ok(Found::Nothing) => {
            Check::ok(check, format!("{path} is missing, and is made when a session is attached"))
        }
        Err(error) => {
            let status = if spot.is_optional { Status::Warning } else { Status::Failed };
            Check::not(check, status, format!("{}{lost}", chain(error)), &attach_hint(error))
        }
    }
}
