//! The gate against a real kernel: a stand-in container made with unshare(1), and `/dev/null` standing in
//! for a pad. Needs root; the parts with real pads are end-to-end tests of the product.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod attaching;
mod staging;
mod stand_in;
mod starting;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::process::{Command, Stdio};

use device_gate::probe::{ProbeError, open_in_container};
use device_gate::{
    Access, Cgroup, Container, ContainerError, Danger, Device, Grants, NewNode, SessionDir,
    Staging, StagingError, attach,
};
use stand_in::StandIn;

const NULL: Device = Device::char(1, 3);

/// Whether to skip: loudly, and never where CI or the test machine promise root.
fn skip() -> bool {
    if rustix::process::geteuid().is_root() {
        return false;
    }
    assert!(std::env::var_os("CI").is_none() && std::env::var_os("HOTSEAT_VM").is_none());
    eprintln!("SKIP(not root)");
    true
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
        let staging =
            Some(Staging::mount(&directory.path().join("stage"), &BTreeMap::new()).unwrap());
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
    let name = format!("hotseat-self-test-{}-", std::process::id());
    let left = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&name);
    assert_eq!(
        fs::read_dir(root.path()).unwrap().map(Result::unwrap).find(left).map(|it| it.path()),
        None
    );
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
