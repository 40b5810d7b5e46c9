//! The gate against a real kernel: a stand-in container made with unshare(1), and `/dev/null` standing in
//! for a pad. Needs root; the parts with real pads are end-to-end tests of the product.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use device_gate::attach::AttachError;
use device_gate::probe::{ProbeError, open_in_container};
use device_gate::{
    Access, Cgroup, Container, ContainerError, Danger, Device, Grants, NewNode, Policy, SessionDir,
    Staging, StagingError, attach, attach_nodes, link_node, unlink_node,
};

const NULL: Device = Device::char(1, 3);
const ZERO: Device = Device::char(1, 5);

/// Whether to skip: loudly, and never where CI or the test machine promise root.
fn skip() -> bool {
    if rustix::process::geteuid().is_root() {
        return false;
    }
    assert!(std::env::var_os("CI").is_none() && std::env::var_os("HOTSEAT_VM").is_none());
    eprintln!("SKIP(not root)");
    true
}

/// A process in its own mount, network and pid namespaces and its own cgroup, with a private /dev and /run.
struct StandIn {
    child: Child,
    cgroup: Cgroup,
    pid: u32,
}

impl StandIn {
    /// `prepare` is run by sh inside, after /dev and /run are made.
    fn start(name: &str, prepare: &str) -> Self {
        let name = format!("hotseat-test-{}-{name}", std::process::id());
        let cgroup = Cgroup::root().unwrap().create_child(&name).unwrap();
        Policy::container_default().attach(&cgroup).unwrap();
        let script = format!(
            "mount -t tmpfs dev /dev && mount -t tmpfs run /run && {prepare} && echo ready && exec cat"
        );
        let enter = format!(
            "echo 0 > {}/cgroup.procs && exec unshare --mount --net --pid --fork --kill-child \
             --propagation private sh -c \"$1\"",
            cgroup.path().display()
        );
        let mut child = Command::new("sh")
            .args(["-c", &enter, "sh", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        let pid = fs::read_to_string(children).unwrap().trim().parse().unwrap();
        Self { child, cgroup, pid }
    }

    fn path(&self, path: &str) -> PathBuf {
        Path::new("/proc").join(self.pid.to_string()).join("root").join(path)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        // The inner process dies with its parent; the cgroup can be removed once it has.
        let pid = i32::try_from(self.pid).unwrap();
        let inner = rustix::process::Pid::from_raw(pid).unwrap();
        if let Ok(pidfd) = rustix::process::pidfd_open(inner, rustix::process::PidfdFlags::empty())
        {
            let mut fds = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
            rustix::event::poll(&mut fds, None).unwrap();
        }
        // Zombies of the inner processes leave the cgroup when they are reaped; see rmdir's EBUSY.
        let _ = fs::remove_dir(self.cgroup.path());
    }
}

fn place(session: &SessionDir, device: Device) -> Result<(), StagingError> {
    session.place(&NewNode { path: "input/event5", device, mode: 0o660, uid: 0, gid: 0 })
}

/// A staging file system in a temporary directory.
struct Stage {
    staging: Option<Staging>,
    directory: tempfile::TempDir,
}

impl Stage {
    fn mount() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let staging = Some(Staging::mount(&directory.path().join("stage")).unwrap());
        Self { staging, directory }
    }

    fn staging(&self) -> &Staging {
        self.staging.as_ref().unwrap()
    }

    fn session(&self) -> SessionDir {
        self.staging().session("s").unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.staging.take().unwrap().unmount().unwrap();
    }
}

fn refused_with(result: Result<(), ProbeError>) -> ErrorKind {
    match result {
        Err(ProbeError::Refused { source, .. }) => source.kind(),
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[test]
fn the_self_tests_pass_and_leave_nothing() {
    if skip() {
        return;
    }
    let root = Cgroup::root().unwrap();
    let grants = Grants::choose().unwrap();
    assert_eq!(grants.count().unwrap(), 0);
    let name = format!("hotseat-self-test-{}", std::process::id());
    assert!(!root.path().join(name).exists());
}

#[test]
fn a_staged_node_opens_in_the_container_exactly_while_granted() {
    if skip() {
        return;
    }
    let stand_in = StandIn::start("granted", "true");
    let stage = Stage::mount();
    let session = stage.session();
    let container = Container::open(stand_in.pid).unwrap();
    let grants = Grants::choose().unwrap();
    let attachment = attach(&container, &session).unwrap();

    // /dev/kmsg: outside a container's default policy, and present on every machine.
    let kmsg = Device::char(1, 11);
    place(&session, kmsg).unwrap();
    let open = || open_in_container(&container, "/dev/input/event5");
    assert_eq!(refused_with(open()), ErrorKind::PermissionDenied);
    let grant = |cgroup: &Cgroup, access| {
        grants.grant_despite(Danger::Memory, cgroup, kmsg, access).unwrap();
    };
    let cgroup = container.cgroup();
    grant(cgroup, Access::READ);
    assert_eq!(refused_with(open()), ErrorKind::PermissionDenied, "read is not read and write");
    let sibling = Cgroup::root().unwrap().create_child("hotseat-test-sibling").unwrap();
    grant(&sibling, Access::READ | Access::WRITE);
    assert_eq!(refused_with(open()), ErrorKind::PermissionDenied, "another cgroup's grant");
    fs::remove_dir(sibling.path()).unwrap();
    grant(cgroup, Access::READ | Access::WRITE);
    open().unwrap();
    grants.revoke(cgroup, kmsg).unwrap();
    assert_eq!(refused_with(open()), ErrorKind::PermissionDenied);

    session.remove_node("input/event5").unwrap();
    assert_eq!(refused_with(open()), ErrorKind::NotFound);
    attachment.detach(&container).unwrap();
    assert!(!stand_in.path("dev/input").exists());
    assert!(!stand_in.path("run/udev").exists());
}

#[test]
fn the_container_cannot_change_what_is_staged() {
    if skip() {
        return;
    }
    let stand_in = StandIn::start("readonly", "true");
    let stage = Stage::mount();
    let session = stage.session();
    let container = Container::open(stand_in.pid).unwrap();
    let _attachment = attach(&container, &session).unwrap();
    place(&session, NULL).unwrap();
    let attempts = [
        "rm /dev/input/event5",
        "mknod /dev/input/event6 c 1 3",
        "chmod 777 /dev/input/event5",
        "mv /dev/input/event5 /dev/input/js0",
        "touch /run/udev/data/c13:69",
        "mkdir /run/udev/tags/seat",
        "chown 1 /run/udev/data",
        "chmod 666 /run/udev/control",
        "rm /run/udev/control",
        // With every capability: a read-only mount that is locked so.
        "mount -o remount,bind,rw /dev/input",
        "mount -o remount,bind,rw /run/udev",
    ];
    for attempt in attempts {
        let status = Command::new("nsenter")
            .args(["--target", &stand_in.pid.to_string(), "--mount", "sh", "-c", attempt])
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(!status.success(), "`{attempt}` worked");
    }
}

#[test]
fn a_udevd_keeps_its_own_database() {
    if skip() {
        return;
    }
    let stand_in = StandIn::start("udevd", "mkdir /run/udev && touch /run/udev/control");
    let stage = Stage::mount();
    let session = stage.session();
    let container = Container::open(stand_in.pid).unwrap();
    assert!(container.hears_the_kernel(), "made by the host's root");
    let refused = attach(&container, &session).unwrap_err();
    assert!(matches!(refused, AttachError::Occupied { path: "/run/udev", .. }), "{refused:?}");
    let attachment = attach_nodes(&container, &session).unwrap();
    place(&session, NULL).unwrap();
    assert!(stand_in.path("dev/input/event5").exists());
    assert!(!stand_in.path("run/udev/data").exists());
    attachment.detach(&container).unwrap();
    assert!(!stand_in.path("dev/input").exists());
    assert!(stand_in.path("run/udev/control").exists());
}

#[test]
fn a_node_of_dev_itself_shows_by_a_link_and_replaces_nothing() {
    if skip() {
        return;
    }
    let stand_in = StandIn::start("links", "touch /dev/hidraw1; ln -s hotseat/x /dev/hidraw2");
    let stage = Stage::mount();
    let session = stage.session();
    let container = Container::open(stand_in.pid).unwrap();
    let attachment = attach(&container, &session).unwrap();
    assert!(attachment.no_links().is_none());
    let node = |path| NewNode { path, device: NULL, mode: 0o666, uid: 0, gid: 0 };
    for name in ["hidraw0", "hidraw1", "hidraw2"] {
        session.place(&node(name)).unwrap();
    }
    link_node(&container, "hidraw0").unwrap();
    open_in_container(&container, "/dev/hidraw0").unwrap();
    for name in ["hidraw1", "hidraw2"] {
        let taken = link_node(&container, name);
        assert!(matches!(taken, Err(AttachError::Taken { .. })), "{taken:?}");
        unlink_node(&container, name).unwrap();
        assert!(fs::symlink_metadata(stand_in.path("dev").join(name)).is_ok(), "{name} is theirs");
    }
    // One that an earlier daemon left.
    link_node(&container, "hidraw0").unwrap();
    unlink_node(&container, "hidraw0").unwrap();
    unlink_node(&container, "hidraw0").unwrap();
    assert!(!stand_in.path("dev/hidraw0").is_symlink());
    link_node(&container, "hidraw0").unwrap();
    attachment.detach(&container).unwrap();
    assert!(!stand_in.path("dev/hidraw0").is_symlink());
    assert!(!stand_in.path("dev/hotseat").exists());
}

#[test]
fn a_container_without_room_for_links_has_the_rest() {
    if skip() {
        return;
    }
    let stand_in = StandIn::start("no-links", "mkdir /dev/input; ln -s /etc /dev/hotseat");
    let stage = Stage::mount();
    let session = stage.session();
    let container = Container::open(stand_in.pid).unwrap();
    let attachment = attach(&container, &session).unwrap();
    let why = attachment.no_links();
    assert!(
        matches!(why, Some(AttachError::Symlink { path }) if path == "/dev/hotseat"),
        "{why:?}"
    );
    place(&session, NULL).unwrap();
    open_in_container(&container, "/dev/input/event5").unwrap();
    attachment.detach(&container).unwrap();
    assert!(stand_in.path("dev/hotseat").is_symlink());
}

#[test]
fn the_hosts_own_dev_is_left_alone() {
    if skip() {
        return;
    }
    let before = fs::read_dir("/dev").unwrap().count();
    let stand_in = StandIn::start("hostdev", "umount /dev");
    let stage = Stage::mount();
    let session = stage.session();
    let container = Container::open(stand_in.pid).unwrap();
    let refused = attach(&container, &session).unwrap_err();
    assert!(matches!(refused, AttachError::HostDev), "{refused:?}");
    assert!(matches!(link_node(&container, "hidraw0"), Err(AttachError::HostDev)));
    assert_eq!(fs::read_dir("/dev").unwrap().count(), before);
}

#[test]
fn what_the_container_plants_is_refused_and_the_host_stays_untouched() {
    if skip() {
        return;
    }
    let stage = Stage::mount();
    let session = stage.session();
    type Expected = fn(&AttachError) -> bool;
    let cases: [(&str, &str, Expected); 6] = [
        (
            "link",
            "ln -s /etc /dev/input",
            |error| matches!(error, AttachError::Symlink { path } if path == "/dev/input"),
        ),
        ("file", "touch /dev/input", |error| matches!(error, AttachError::NotADirectory { .. })),
        ("fifo", "mkfifo /dev/input", |error| matches!(error, AttachError::NotADirectory { .. })),
        (
            "nodes",
            "mkdir /dev/input && touch /dev/input/event0",
            |error| matches!(error, AttachError::Occupied { path: "/dev/input", entry } if entry == "event0"),
        ),
        (
            "udev-link",
            "ln -s ../etc /run/udev",
            |error| matches!(error, AttachError::Symlink { path } if path == "/run/udev"),
        ),
        (
            "read-only",
            "mount -o remount,ro /run",
            |error| matches!(error, AttachError::Create { path, source } if path == "/run/udev" && source.kind() == ErrorKind::ReadOnlyFilesystem),
        ),
    ];
    let etc = fs::read_dir("/etc").unwrap().count();
    for (name, prepare, expected) in cases {
        let stand_in = StandIn::start(name, prepare);
        let container = Container::open(stand_in.pid).unwrap();
        let error = attach(&container, &session).unwrap_err();
        assert!(expected(&error), "{name}: {error:?}");
        let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", stand_in.pid)).unwrap();
        for point in [" /dev/input ", " /run/udev "] {
            assert!(!mounts.contains(point), "{name}: a mount was left:\n{mounts}");
        }
    }
    assert_eq!(fs::read_dir("/etc").unwrap().count(), etc);
}

#[test]
fn attaching_again_is_no_second_mount() {
    if skip() {
        return;
    }
    let stand_in = StandIn::start("again", "true");
    let stage = Stage::mount();
    let session = stage.session();
    let container = Container::open(stand_in.pid).unwrap();
    let first = attach(&container, &session).unwrap();
    let second = attach(&container, &session).unwrap();
    second.detach(&container).unwrap();
    assert!(!stand_in.path("run/udev/control").exists(), "there was but one mount");
    first.detach(&container).unwrap();
    assert!(!stand_in.path("run/udev").exists());
}

#[test]
fn a_name_is_placed_once_and_no_private_node_is_left() {
    if skip() {
        return;
    }
    let stage = Stage::mount();
    let session = stage.session();
    place(&session, NULL).unwrap();
    assert!(matches!(place(&session, ZERO), Err(StagingError::Exists { .. })));
    let new = stage.directory.path().join("stage/s/.new");
    assert_eq!(fs::read_dir(new).unwrap().count(), 0);
    for path in ["", ".", "..", "input/", "input/..", "input/a/b", "../x", "snd/seq"] {
        assert!(matches!(session.remove_node(path), Err(StagingError::Place { .. })), "{path}");
    }
}

#[test]
fn a_second_mount_takes_over_and_clears_what_was_left() {
    if skip() {
        return;
    }
    let mut stage = Stage::mount();
    let session = stage.session();
    place(&session, NULL).unwrap();
    fs::write(session.udev_path().join("data/c1:3"), "V:1\n").unwrap();
    fs::create_dir(session.udev_path().join("tags/seat")).unwrap();
    let path = stage.directory.path().join("stage");
    assert!(matches!(Staging::mount(&path), Err(StagingError::InUse { .. })));
    drop(stage.staging.take());
    let again = Staging::mount(&path).unwrap();
    assert_eq!(again.sessions().unwrap(), ["s"]);
    for directory in ["input", "dev", "udev/data", "udev/tags"] {
        let directory = stage.directory.path().join("stage/s").join(directory);
        assert_eq!(fs::read_dir(directory).unwrap().count(), 0);
    }
    assert!(session.udev_path().join("control").exists());
    stage.staging = Some(again);
}

#[test]
fn processes_of_the_host_are_not_containers() {
    if skip() {
        return;
    }
    let own = Container::open(std::process::id());
    assert!(matches!(own, Err(ContainerError::HostMounts { .. })), "{own:?}");

    let mut child = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", "echo ready; exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let shared_network = Container::open(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        matches!(shared_network, Err(ContainerError::HostNetwork { .. })),
        "{shared_network:?}"
    );
    let gone = Container::open(child.id());
    assert!(matches!(gone, Err(ContainerError::NotRunning { .. })), "{gone:?}");
}
