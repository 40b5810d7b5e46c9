//! What is ready, what is missing, and how to mend it.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use device_gate::Container;
use serde::{Deserialize, Serialize};
use udev_forge::udevd;
use utoipa::ToSchema;

use crate::cdi;
use crate::engine::{Engine, chain};
use crate::problem::{self, Problem};
use crate::runtime::ContainerRef;
use crate::session::Error;
use crate::session::announcer::UdevMode;
use crate::setup::{MODULES, SEAT_RULES};

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
    vec![
        uinput(Engine::uinput_path()),
        uhid(Path::new(vinput::uhid::DEFAULT_PATH)),
        joydev(),
        profiles(engine.config.profiles.clone()).await,
        grants(engine),
        Check::ok("staging", format!("mounted at {}", engine.config.stage.display())),
        seat_rules(),
        boot_modules(),
        docker(engine).await,
        cdi(engine),
    ]
}

fn uinput(path: &Path) -> Check {
    let shown = path.display();
    match OpenOptions::new().read(true).write(true).custom_flags(O_NONBLOCK).open(path) {
        Ok(_) => Check::ok("uinput", format!("{shown} opens")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Check::not(
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
    let lost = "DualSense, DualShock 4 and Switch pads have no motion sensors, touchpad, lights, battery and \
                trigger effects, and there are no Joy-Cons; profiles that end in -uinput still work";
    let hint = "run `hotseat setup`, which loads the modules now and at boot";
    let shown = path.display();
    if let Err(error) =
        OpenOptions::new().read(true).write(true).custom_flags(O_NONBLOCK).open(path)
    {
        let detail = format!("{shown} does not open ({error}): {lost}");
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

fn grants(engine: &Engine) -> Check {
    match engine.grants().map(|grants| grants.count()) {
        Ok(Ok(count)) => Check::ok(
            "grants",
            format!("the override program works (self-test passed), {count} in use"),
        ),
        Ok(Err(error)) => Check::not(
            "grants",
            Status::Failed,
            chain(&error),
            "restart the daemon; if it stays, the kernel's log may say more",
        ),
        Err(error) => Check::not(
            "grants",
            Status::Failed,
            error.to_string(),
            "run the daemon as root on a host with Linux 5.18 or later and cgroup v2, and restart it",
        ),
    }
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
            "uinput and joydev are not sure to be loaded at the next boot",
            "run `hotseat setup`",
        )
    }
}

async fn docker(engine: &Engine) -> Check {
    let socket = &engine.config.docker_socket;
    let shown = socket.display();
    match tokio::net::UnixStream::connect(socket).await {
        Ok(_) => Check::ok("docker", format!("{shown} answers")),
        Err(error) => Check::not(
            "docker",
            Status::Warning,
            format!("{shown} does not answer ({error}): containers cannot be named docker:NAME"),
            "start the Docker daemon, or set `docker_socket` in the configuration; pid:N works without",
        ),
    }
}

/// Containers that are started ready (docs/ready.md).
fn cdi(engine: &Engine) -> Check {
    let directory = engine.config.cdi_dir.as_deref().unwrap_or(Path::new(cdi::DIRECTORY));
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

/// Looks at a container.
pub async fn container(engine: &Engine, reference: &ContainerRef) -> Vec<Check> {
    let container = match reference.open(&engine.config).await {
        Ok(container) => container,
        Err(error) => {
            let problem = Problem::from(Error::Resolve(error));
            return vec![Check::not("container", Status::Failed, problem.detail, &problem.hint)];
        }
    };
    // What a container has mounted on itself may keep a look at it waiting: not on an async worker.
    let look = tokio::task::spawn_blocking(move || look_at(&container));
    look.await.unwrap_or_default()
}

fn look_at(container: &Container) -> Vec<Check> {
    let (uid, gid) = container.root_ids();
    let pid = container.pid();
    vec![
        Check::ok("container", format!("runs, as process {pid}, with a network of its own")),
        Check::ok("container-root", format!("its root is user {uid}, group {gid} of this host")),
        Check::ok("container-cgroup", container.cgroup().path().display().to_string()),
        udev(container),
        udev_monitors(container),
        apparmor(pid),
        paused(container),
    ]
}

/// Who makes the container's udev messages, and what that takes.
fn udev(container: &Container) -> Check {
    match UdevMode::of(container) {
        Ok(UdevMode::Forge) => udev_control(container),
        Ok(UdevMode::Inject) => Check::ok(
            "udevd",
            "a udevd works in it: it is given the kernel's events of the session",
        ),
        Ok(UdevMode::Kernel) => Check::not(
            "udevd",
            Status::Warning,
            "a udevd works in it and hears the kernel's events of every device of this host: it tells the \
             container's programs of other sessions' devices too, and of ours perhaps before their nodes are \
             there",
            "give the container a user namespace, or no udevd",
        ),
        Err(error) => Check::not("udevd", Status::Failed, chain(&error), "attach it again"),
    }
}

/// libudev looks once, when a monitor is made: without the file that monitor stays deaf
/// (sd-device/device-monitor.c).
fn udev_control(container: &Container) -> Check {
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

/// Programs that were too early for [`udev_control`].
fn udev_monitors(container: &Container) -> Check {
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

fn apparmor(pid: u32) -> Check {
    match fs::read_to_string(format!("/proc/{pid}/attr/apparmor/current")) {
        Ok(profile) => Check::ok("apparmor", format!("confined as {}", profile.trim())),
        Err(_) => Check::ok("apparmor", "not in use"),
    }
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
