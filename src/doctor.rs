//! What is ready, what is missing, and how to mend it.

mod container;
mod host_devices;
mod privileges;
mod udev;

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use device_gate::BackEnd;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::cdi;
use crate::engine::{Engine, chain};
use crate::problem;
use crate::remote::Listening;
use crate::runtime::Runtime;
use crate::setup::{MODULES, SEAT_RULES};

pub use self::container::container;
pub use self::host_devices::host_devices;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Ready.
    Ok,
    /// Works, with something lost.
    Warning,
    /// Does not work.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// What; stable, for programs.
    pub check: String,
    /// How it ended.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// How to mend it; empty when there is nothing to mend.
    pub hint: String,
}

impl Check {
    fn ok(check: &str, detail: impl Into<String>) -> Self {
        Self { check: check.into(), status: Status::Ok, detail: detail.into(), hint: String::new() }
    }

    fn not(check: &str, status: Status, detail: impl Into<String>, hint: &str) -> Self {
        Self { check: check.into(), status, detail: detail.into(), hint: hint.into() }
    }
}

/// Looks at the host.
pub async fn host(engine: &Engine) -> Vec<Check> {
    let mut checks = vec![
        uinput(Engine::uinput_path()),
        uhid(Path::new(vinput::uhid::DEFAULT_PATH)),
        joydev(),
        profiles(engine.config().profiles.clone()).await,
        grants(engine),
        staging(engine),
        seat_rules(),
        boot_modules(),
    ];
    checks.extend(runtimes(engine).await);
    checks.push(cdi(engine));
    checks.push(remote(engine));
    checks
}

fn uinput(path: &Path) -> Check {
    let shown = path.display();
    match OpenOptions::new().read(true).write(true).custom_flags(O_NONBLOCK).open(path) {
        Ok(_) => Check::ok("uinput", format!("{shown} opens")),
        Err(error) if error.kind() == ErrorKind::NotFound => Check::not(
            "uinput",
            Status::Failed,
            format!("{shown} is missing: no device can be made"),
            "run `hotseat setup`, which loads the module now and at boot",
        ),
        Err(error) => Check::not(
            "uinput",
            Status::Failed,
            format!("{shown} does not open ({error}): no device can be made"),
            "run the daemon as root on the host",
        ),
    }
}

/// Whole pads need uhid and the kernel's own drivers for them.
fn uhid(path: &Path) -> Check {
    let lost = "DualSense, DualShock 4 and Switch pads, Joy-Cons too, have no motion sensors, touchpad, lights, battery \
                and trigger effects; profiles that end in -uinput still work";
    let hint = "run `hotseat setup`, which loads the modules now and at boot";
    let shown = path.display();
    if let Err(error) =
        OpenOptions::new().read(true).write(true).custom_flags(O_NONBLOCK).open(path)
    {
        let detail = format!(
            "{shown} does not open ({error}): there are no HID devices of your own; {lost}"
        );
        return Check::not("uhid", Status::Warning, detail, hint);
    }
    let missing: Vec<&str> = ["playstation", "nintendo"]
        .into_iter()
        .filter(|driver| !Path::new("/sys/bus/hid/drivers").join(driver).exists())
        .collect();
    if missing.is_empty() {
        Check::ok(
            "uhid",
            format!("{shown} opens; the drivers of PlayStation and Switch pads are there"),
        )
    } else {
        let detail =
            format!("the kernel's drivers hid-{} are not loaded: {lost}", missing.join(", hid-"));
        Check::not("uhid", Status::Warning, detail, hint)
    }
}

/// `O_NONBLOCK` of open(2), as std has no name for it.
const O_NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

fn joydev() -> Check {
    // Built in or loaded, it has its handler in this list (drivers/input/input.c).
    let handlers = fs::read_to_string("/proc/bus/input/handlers").unwrap_or_default();
    if handlers.lines().any(|line| line.contains("Name=joydev")) {
        Check::ok("joydev", "pads get a /dev/input/jsN")
    } else {
        Check::not(
            "joydev",
            Status::Warning,
            "joydev is not loaded: pads get no /dev/input/jsN, which Chromium and old games need",
            "run `hotseat setup`, which loads the module now and at boot",
        )
    }
}

/// The user's own profiles.
async fn profiles(directory: PathBuf) -> Check {
    let shown = directory.display().to_string();
    let hint = "mend or remove the file; it is read again when it is asked for";
    let listed = tokio::task::spawn_blocking(move || crate::profiles::list(&directory));
    match listed.await {
        Ok(Ok((profiles, wrong))) if wrong.is_empty() => Check::ok(
            "profiles",
            format!("{} can be plugged; your own are in {shown}", profiles.len()),
        ),
        Ok(Ok((_, wrong))) => {
            let all: Vec<_> = wrong.iter().map(|error| chain(error)).collect();
            Check::not("profiles", Status::Warning, all.join("; "), hint)
        }
        Ok(Err(error)) => {
            Check::not("profiles", Status::Warning, chain(&error), "is it a directory?")
        }
        Err(error) => Check::not("profiles", Status::Warning, error.to_string(), hint),
    }
}

/// The back-ends in use, and why not better ones.
fn grants(engine: &Engine) -> Check {
    let grants = match engine.grants() {
        Ok(grants) => grants,
        Err(error) => {
            return Check::not(
                "grants",
                Status::Failed,
                error.to_string(),
                "run the daemon as root on a host with Linux 5.9 or later, and restart it",
            );
        }
    };
    let count = match grants.count() {
        Ok(count) => count,
        Err(error) => {
            return Check::not(
                "grants",
                Status::Failed,
                chain(&error),
                "restart the daemon; if it stays, the kernel's log may say more",
            );
        }
    };
    let back_ends = grants.back_ends();
    let names: Vec<_> = back_ends.iter().map(ToString::to_string).collect();
    let mut detail = format!("by {} (self-test passed), {count} in use", names.join(" and "));
    for better in grants.passed_over() {
        detail.push_str(&format!("; no {better}"));
    }
    if back_ends.contains(&BackEnd::NotNeeded) {
        let hint = "only containers without a device policy, such as rootless ones, can be served: run the daemon as \
                    root (CAP_SYS_ADMIN) on Linux 5.9 or later";
        Check::not("grants", Status::Warning, detail, hint)
    } else if back_ends == [BackEnd::RootOverride] {
        Check::ok("grants", detail)
    } else {
        let hint = "grants are lost when the runtime or systemd writes a container's device policy again \
                    (`docker update`, `systemctl daemon-reload`), until the next plug into it; Linux 5.18 or later \
                    with cgroup v2 alone does not have that";
        Check::not("grants", Status::Warning, detail, hint)
    }
}

/// What containers get is locked read-only with the help of a user namespace.
fn staging(engine: &Engine) -> Check {
    let limit = fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    if limit.trim() == "0" {
        return Check::not(
            "staging",
            Status::Failed,
            "this host allows no user namespaces: no session can have a directory for its nodes",
            "allow them: `sysctl user.max_user_namespaces=15000`",
        );
    }
    Check::ok("staging", format!("mounted at {}", engine.config().stage.display()))
}

fn seat_rules() -> Check {
    if SEAT_RULES.is_current() {
        Check::ok("seat-rules", format!("{} is installed", SEAT_RULES.path))
    } else {
        Check::not(
            "seat-rules",
            Status::Warning,
            format!(
                "{} is missing or of another version: a desktop on this host would take the sessions' \
                 devices as its own",
                SEAT_RULES.path
            ),
            "run `hotseat setup`",
        )
    }
}

fn boot_modules() -> Check {
    if MODULES.is_current() {
        Check::ok("boot-modules", format!("{} is installed", MODULES.path))
    } else {
        Check::not(
            "boot-modules",
            Status::Warning,
            "uinput, uhid and joydev are not sure to be loaded at the next boot",
            "run `hotseat setup`",
        )
    }
}

/// The sockets of the runtimes that are asked for containers, and the labels that were not followed.
async fn runtimes(engine: &Engine) -> Vec<Check> {
    let users = engine.config().follow_podman_users.clone().into_iter().map(Runtime::PodmanOf);
    let mut checks = Vec::new();
    for runtime in [Runtime::Docker, Runtime::Podman].into_iter().chain(users) {
        checks.push(socket(engine, &runtime).await);
    }
    for (container, refused) in engine.following.all_refused() {
        let detail = format!(
            "{container} is labelled for session `{}`, but is not attached: {}",
            refused.session, refused.problem.detail
        );
        checks.push(Check::not("label", Status::Warning, detail, &refused.problem.hint));
    }
    checks
}

async fn socket(engine: &Engine, runtime: &Runtime) -> Check {
    let name = runtime.to_string();
    let socket = match runtime.socket(&engine.config()).await {
        Ok(Some(socket)) => socket,
        Ok(None) => {
            let hint = "mend `follow_podman_users` in the configuration";
            return Check::not(&name, Status::Warning, "there is no such user", hint);
        }
        Err(error) => return Check::not(&name, Status::Warning, error.to_string(), "try again"),
    };
    let shown = socket.display();
    let followed = match engine.following.of(runtime) {
        Some(Ok(())) => "containers with the label hotseat.session are followed".to_owned(),
        Some(Err(why)) => format!("containers are not followed for now: {why}"),
        None => "containers are not followed".to_owned(),
    };
    match crate::runtime::answers(&socket).await {
        Ok(()) => Check::ok(&name, format!("{shown} answers; {followed}")),
        // Few hosts have both.
        Err(error) if *runtime == Runtime::Podman && error.kind() == ErrorKind::NotFound => {
            Check::ok(
                &name,
                format!(
                    "not in use: {shown} is not there (`systemctl enable --now podman.socket`)"
                ),
            )
        }
        Err(error) => Check::not(
            &name,
            Status::Warning,
            format!(
                "{shown} does not answer ({error}): its containers cannot be named, nor followed"
            ),
            "start it, or set its socket in the configuration; pid:N works without",
        ),
    }
}

/// Containers that are started ready (docs/ready.md).
fn cdi(engine: &Engine) -> Check {
    let config = engine.config();
    let directory = config.cdi_dir.as_deref().unwrap_or(Path::new(cdi::DIRECTORY));
    let path = directory.join(cdi::FILE);
    match cdi::check(&path) {
        Ok(0) => {
            Check::ok("cdi", "no container is started by a CDI device; `hotseat cdi` makes them")
        }
        Ok(count) => Check::ok("cdi", format!("{} has {count} devices", path.display())),
        Err(error) => {
            let lost = "containers with its devices may not start";
            let detail = format!("{} cannot be used, {lost}: {}", path.display(), chain(&error));
            Check::not("cdi", Status::Warning, detail, &problem::cdi(&error).2)
        }
    }
}

/// Clients from afar (docs/remote.md).
fn remote(engine: &Engine) -> Check {
    match engine.remote.get() {
        Listening::No => Check::ok(
            "remote",
            "not in use: `listen` in the table `[remote]` of the configuration lets clients come over the network",
        ),
        Listening::Yes(address, fingerprint) => Check::ok(
            "remote",
            format!("clients come at {address} (UDP); the fingerprint is {fingerprint}"),
        ),
        Listening::Failed(why) => Check::not(
            "remote",
            Status::Failed,
            format!("no client can come over the network: {why}"),
            "mend `[remote]` in the configuration and restart the daemon; under systemd it needs the drop-in remote.conf \
             (docs/service.md)",
        ),
    }
}
