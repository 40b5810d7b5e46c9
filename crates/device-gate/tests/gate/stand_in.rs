//! A stand-in for a container, made with unshare(1).

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use device_gate::{Cgroup, Policy};

/// A process in its own mount, network and pid namespaces and its own cgroup, with a private /dev and /run.
pub(crate) struct StandIn {
    child: Child,
    cgroup: Cgroup,
    pub(crate) pid: u32,
}

impl StandIn {
    /// `prepare` is run by sh inside, after /dev and /run are made.
    pub(crate) fn start(name: &str, prepare: &str) -> Self {
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

    pub(crate) fn path(&self, path: &str) -> PathBuf {
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
