//! A container that is being started: as runc and crun have it at the hook createRuntime, made with unshare(1) and
//! pivot_root(8). Needs root; the runtimes themselves are end-to-end tests of the product.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use device_gate::probe::open_in_container;
use device_gate::{Cgroup, ContainerError, Device, NewNode, Staging, attach, open_starting};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::skip;

/// A process that has made its container's mounts and waits, as for a hook; its root still is the host's.
struct Starting {
    child: Child,
    output: BufReader<ChildStdout>,
    cgroup: Cgroup,
    id: String,
    pid: u32,
    _directory: tempfile::TempDir,
    root: PathBuf,
}

const MAKE: &str = r#"
mount --rbind / "$1" && mount -t tmpfs dev "$1/dev" && mount -t tmpfs run "$1/run" && mkdir "$1/run/old" &&
mknod -m 666 "$1/dev/null" c 1 3 && echo ready && read go &&
cd "$1" && pivot_root . run/old && exec chroot . sh -c 'umount -l /run/old; echo pivoted; exec cat'"#;

impl Starting {
    fn new(name: &str) -> Self {
        let id = format!("hotseattest{}{name}", std::process::id());
        let cgroup = Cgroup::root().unwrap().create_child(&format!("runc-{id}")).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("rootfs");
        fs::create_dir(&root).unwrap();
        let enter = format!(
            "echo 0 > {}/cgroup.procs && exec unshare --mount --net --pid --fork --kill-child \
             --propagation private sh -c \"$0\" sh \"$1\"",
            cgroup.path().display()
        );
        let mut child = Command::new("sh")
            .args(["-c", &enter, MAKE])
            .arg(&root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        let mut starting = Self { child, output, cgroup, id, pid: 0, _directory: directory, root };
        starting.expect("ready\n");
        starting.pid = fs::read_to_string(children).unwrap().trim().parse().unwrap();
        starting
    }

    fn expect(&mut self, line: &str) {
        let mut read = String::new();
        self.output.read_line(&mut read).unwrap();
        assert_eq!(read, line);
    }

    /// Lets it go on to its first program.
    fn go(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
        self.expect("pivoted\n");
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let inner = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let pidfd = inner.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The cgroup can be removed when the inner process, which dies with its parent, has ended.
        if let Some(pidfd) = pidfd {
            let _ = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None);
        }
        let _ = fs::remove_dir(self.cgroup.path());
    }
}

fn with_stage<T>(work: impl FnOnce(&Staging) -> T) -> T {
    let directory = tempfile::tempdir().unwrap();
    let staging = Staging::mount(&directory.path().join("stage"), &BTreeMap::new()).unwrap();
    let result = work(&staging);
    staging.unmount().unwrap();
    result
}

#[test]
fn what_is_attached_before_pivot_root_is_there_after_it() {
    if skip() {
        return;
    }
    with_stage(|staging| {
        let session = staging.session("s").unwrap();
        let mut starting = Starting::new("before");
        let container = open_starting(&starting.id, starting.pid, &starting.root).unwrap();
        let attachment = attach(&container, &session).unwrap();
        assert!(!Path::new("/dev/input/event905").exists(), "the host is untouched");
        let null = Device::char(1, 3);
        let node = NewNode { path: "input/event905", device: null, mode: 0o666, uid: 0, gid: 0 };
        session.place(&node).unwrap();
        open_in_container(&container, "/dev/input/event905").unwrap();

        starting.go();
        let inside = Path::new("/proc").join(starting.pid.to_string()).join("root");
        assert!(fs::metadata(inside.join("run/udev/control")).unwrap().file_type().is_socket());
        assert!(inside.join("run/udev/data").is_dir());
        open_in_container(&container, "/dev/input/event905").unwrap();
        assert!(container.has("run/udev/control").unwrap());
        attachment.detach(&container).unwrap();
        assert!(!inside.join("run/udev").exists() && !inside.join("dev/input").exists());
        drop(starting);
        session.delete().unwrap();
    });
}

#[test]
fn a_container_that_has_gone_on_is_opened_as_it_is() {
    if skip() {
        return;
    }
    with_stage(|staging| {
        let session = staging.session("s").unwrap();
        let mut starting = Starting::new("after");
        starting.go();
        // Here its files are the host's; with an engine, the path of its root is not there after pivot_root.
        let gone = starting.root.join("gone");
        let container = open_starting(&starting.id, starting.pid, &gone).unwrap();
        let _attachment = attach(&container, &session).unwrap();
        let inside = Path::new("/proc").join(starting.pid.to_string()).join("root");
        assert!(inside.join("run/udev/control").exists());
        drop(starting);
        session.delete().unwrap();
    });
}

#[test]
fn only_the_container_itself_is_opened_and_no_directory_of_the_host() {
    if skip() {
        return;
    }
    let starting = Starting::new("other");
    let of = |id: &str, root: &Path| open_starting(id, starting.pid, root).unwrap_err();
    let other = of("otherid", &starting.root);
    assert!(matches!(&other, ContainerError::NotIt { id, .. } if id == "otherid"), "{other:?}");
    for root in ["/", "/etc", "/etc/passwd"] {
        let refused = of(&starting.id, Path::new(root));
        assert!(matches!(refused, ContainerError::Root { .. }), "{root}: {refused:?}");
    }
    let host = open_starting(&starting.id, std::process::id(), &starting.root).unwrap_err();
    assert!(matches!(host, ContainerError::HostMounts { .. }), "{host:?}");
}

#[test]
fn what_containers_are_started_with_cannot_be_made_writable() {
    if skip() {
        return;
    }
    with_stage(|staging| {
        let session = staging.session("s").unwrap();
        let shown = session.show().unwrap();
        let succeeds = |script: &str, path: &Path| {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--propagation", "private", "sh", "-ec", script, "sh"]);
            command.arg(path).stderr(Stdio::null()).status().unwrap().success()
        };
        // As a runtime mounts it, and a container with CAP_SYS_ADMIN tries to undo.
        let copy =
            "mount -o bind,ro \"$1\" /mnt; mount -o remount,bind,rw /mnt; touch /mnt/planted";
        for mount in shown.mounts() {
            assert!(!succeeds(copy, &mount.source));
            assert!(!succeeds("mount -o remount,bind,rw \"$1\"", &mount.source));
            let error = fs::write(mount.source.join("planted"), "").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ReadOnlyFilesystem);
        }
        // It would succeed with the directories themselves.
        assert!(succeeds(copy, &session.input_path()));
        session.clear().unwrap();
        // What is placed shows.
        let node = NewNode {
            path: "input/event905",
            device: Device::char(1, 3),
            mode: 0o666,
            uid: 0,
            gid: 0,
        };
        session.place(&node).unwrap();
        let input = shown.mounts().next().unwrap().source;
        assert!(input.join("event905").exists());
        drop(shown);
        assert!(!input.exists());
        session.delete().unwrap();
    });
}
