//! Cgroups to try in, nodes to try, and a process to be killed.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags, flock, makedev, mknodat};

use crate::access::{Device, DeviceKind};
use crate::cgroup::{Cgroup, Cgroups};
use crate::grants::{BackEnd, Grants};
use crate::policy::Policy;
use crate::probe::{ProbeError, open_in_cgroup};

/// The only test of grants on this host, for as long as it lives.
pub(crate) struct Alone(File);

/// Waits until no other test of grants runs, in this process or another: what is attached to the host's cgroups, and what
/// a start puts back, is everybody's. `None` to skip: loudly, and never where CI or the test machine promise root.
pub(crate) fn alone() -> Option<Alone> {
    if !rustix::process::geteuid().is_root() {
        assert!(env::var_os("CI").is_none() && env::var_os("HOTSEAT_VM").is_none());
        eprintln!("SKIP(not root)");
        return None;
    }
    let file = File::create(env::temp_dir().join("hotseat-test-grants.lock")).unwrap();
    flock(&file, FlockOperation::LockExclusive).unwrap();
    Some(Alone(file))
}

impl Drop for Alone {
    fn drop(&mut self) {
        // A process that is being started may have the descriptor too.
        flock(&self.0, FlockOperation::Unlock).unwrap();
    }
}

/// The back-ends that this machine can have, each alone. Which ones it must have is for other tests to say.
pub(crate) fn each_back_end(mut check: impl FnMut(BackEnd, &Grants)) {
    let mut tried = 0;
    for back_end in [BackEnd::RootOverride, BackEnd::InlineWrap, BackEnd::CgroupV1] {
        match Grants::only(back_end) {
            Ok(grants) => {
                eprintln!("with {back_end}");
                check(back_end, &grants);
                assert_eq!(grants.count().unwrap(), 0, "{back_end}: nothing is left");
                tried += 1;
            }
            Err(error) => eprintln!("without {back_end}: {error}"),
        }
    }
    assert!(tried > 0);
}

/// A cgroup that is removed at the end, with those below it.
pub(crate) struct Scratch(pub(crate) Cgroup);

impl Scratch {
    /// One that refuses every device, in the hierarchy of the back-end.
    pub(crate) fn refusing(back_end: BackEnd, name: &str) -> Self {
        let root = if back_end == BackEnd::CgroupV1 {
            Cgroup::devices_root().unwrap().unwrap()
        } else {
            Cgroup::root().unwrap()
        };
        let scratch = Self::below(&root, &format!("hotseat-test-{}-{name}", std::process::id()));
        scratch.refuse();
        scratch
    }

    /// One in which nothing is refused but what is refused above.
    pub(crate) fn below(parent: &Cgroup, name: &str) -> Self {
        Self(parent.create_child(name).unwrap())
    }

    pub(crate) fn refuse(&self) {
        if self.0.is_v1() {
            fs::write(self.0.path().join("devices.deny"), "a").unwrap();
        } else {
            Policy::deny_all().attach(&self.0).unwrap();
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for below in self.0.descendants().iter().rev() {
            let _ = fs::remove_dir(below.path());
        }
        let _ = fs::remove_dir(self.0.path());
    }
}

/// Nodes to open.
pub(crate) struct Nodes(tempfile::TempDir);

impl Nodes {
    pub(crate) fn new() -> Self {
        // Not in /tmp, which may be mounted nodev.
        Self(tempfile::tempdir_in("/var/tmp").unwrap())
    }

    fn path(&self, device: Device) -> PathBuf {
        let path = self.0.path().join(format!("{}-{}", device.major, device.minor));
        if !path.exists() {
            let kind = match device.kind {
                DeviceKind::Block => FileType::BlockDevice,
                DeviceKind::Char => FileType::CharacterDevice,
            };
            let number = makedev(device.major, device.minor);
            mknodat(CWD, &path, kind, Mode::from_raw_mode(0o666), number).unwrap();
        }
        path
    }

    /// Whether a process of the cgroup may open it so.
    pub(super) fn may<'a>(
        &self,
        cgroups: impl Into<Cgroups<'a>>,
        device: Device,
        flags: OFlags,
    ) -> bool {
        may_open(cgroups.into(), &self.path(device), flags)
    }

    pub(crate) fn may_use<'a>(&self, cgroups: impl Into<Cgroups<'a>>, device: Device) -> bool {
        self.may(cgroups, device, OFlags::RDWR)
    }
}

fn may_open(cgroups: Cgroups<'_>, path: &Path, flags: OFlags) -> bool {
    let path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    match open_in_cgroup(cgroups, &path, flags) {
        Ok(()) => true,
        Err(ProbeError::Refused { source, .. }) => match source.raw_os_error() {
            Some(libc::EPERM) => false,
            // Allowed, but there is no such device.
            Some(libc::ENXIO | libc::ENODEV) => true,
            other => panic!("unexpected error {other:?}"),
        },
        Err(error) => panic!("{error:?}"),
    }
}

/// Whether a process of the cgroup may make such a node.
pub(super) fn may_make(cgroup: &Cgroup, nodes: &Nodes, device: Device) -> bool {
    let path = nodes.0.path().join("made");
    let script = "echo 0 > \"$1/cgroup.procs\" && exec mknod \"$2\" c \"$3\" \"$4\"";
    let status = Command::new("sh")
        .args(["-c", script, "sh"])
        .args([cgroup.path(), &path])
        .args([device.major.to_string(), device.minor.to_string()])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    status.success() && fs::remove_file(path).is_ok()
}

pub(crate) fn start_holder(back_end: BackEnd, cgroup: &Cgroup) -> Child {
    let name = match back_end {
        BackEnd::RootOverride => "override",
        BackEnd::InlineWrap => "wrap",
        _ => "v1",
    };
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "grants::tests::holder", "--ignored", "--nocapture"])
        .env("HOTSEAT_TEST_HOLDER", format!("{name} {}", cgroup.path().display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "granted"));
    child
}

/// Waits for what the kernel does a moment later: a killed process's maps are cleared by a thread of the kernel's.
pub(crate) fn soon(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time");
        std::thread::yield_now();
    }
}
