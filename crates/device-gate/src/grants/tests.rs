//! Every back-end against a real kernel: the same rules for all of them. Needs root.

mod versions;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mknodat};

use super::*;
use crate::access::{Device, DeviceKind};
use crate::policy::Policy;
use crate::probe::{ProbeError, open_in_cgroup};

/// No driver has these numbers; what may be opened fails with another error than what may not.
pub(super) const PAD: Device = Device::char(239, 300);
const OTHER: Device = Device::char(239, 301);
const RW: Access = Access::READ.or(Access::WRITE);

/// Whether to skip: loudly, and never where CI or the test machine promise root.
pub(super) fn skip() -> bool {
    if rustix::process::geteuid().is_root() {
        return false;
    }
    assert!(env::var_os("CI").is_none() && env::var_os("HOTSEAT_VM").is_none());
    eprintln!("SKIP(not root)");
    true
}

/// The back-ends that this machine can have, each alone. Which ones it must have is for other tests to say.
pub(super) fn each_back_end(mut check: impl FnMut(BackEnd, &Grants)) {
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
pub(super) struct Scratch(pub(super) Cgroup);

impl Scratch {
    /// One that refuses every device, in the hierarchy of the back-end.
    pub(super) fn refusing(back_end: BackEnd, name: &str) -> Self {
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
    pub(super) fn below(parent: &Cgroup, name: &str) -> Self {
        Self(parent.create_child(name).unwrap())
    }

    pub(super) fn refuse(&self) {
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
pub(super) struct Nodes(tempfile::TempDir);

impl Nodes {
    pub(super) fn new() -> Self {
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
    fn may<'a>(&self, cgroups: impl Into<Cgroups<'a>>, device: Device, flags: OFlags) -> bool {
        may_open(cgroups.into(), &self.path(device), flags)
    }

    pub(super) fn may_use<'a>(&self, cgroups: impl Into<Cgroups<'a>>, device: Device) -> bool {
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
fn may_make(cgroup: &Cgroup, nodes: &Nodes, device: Device) -> bool {
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

#[test]
fn exactly_the_granted_accesses_are_allowed() {
    if skip() {
        return;
    }
    let nodes = Nodes::new();
    each_back_end(|back_end, grants| {
        let scratch = Scratch::refusing(back_end, "letters");
        let cgroup = &scratch.0;
        for letters in ["r", "w", "m", "rw", "rm", "rwm"] {
            grants.grant(cgroup, PAD, letters.parse().unwrap()).unwrap();
            let has = |letter| letters.contains(letter);
            assert_eq!(nodes.may(cgroup, PAD, OFlags::RDONLY), has('r'), "{letters}");
            assert_eq!(nodes.may(cgroup, PAD, OFlags::WRONLY), has('w'), "{letters}");
            assert_eq!(nodes.may_use(cgroup, PAD), has('r') && has('w'), "{letters}");
            assert_eq!(may_make(cgroup, &nodes, PAD), has('m'), "{letters}");
            assert!(!nodes.may(cgroup, OTHER, OFlags::RDONLY), "{letters}: another minor");
        }
        grants.revoke(cgroup, PAD).unwrap();
        assert!(!nodes.may(cgroup, PAD, OFlags::RDONLY));
        assert!(!may_make(cgroup, &nodes, PAD));
    });
}

#[test]
fn any_minor_covers_what_is_plugged_in_later() {
    if skip() {
        return;
    }
    let nodes = Nodes::new();
    each_back_end(|back_end, grants| {
        let scratch = Scratch::refusing(back_end, "any");
        let cgroup = &scratch.0;
        let any = Devices::any_minor(DeviceKind::Char, PAD.major);
        grants.grant(cgroup, any, RW).unwrap();
        for minor in [0, 255, 256, 300, 0xf_ffff] {
            assert!(nodes.may_use(cgroup, Device::char(PAD.major, minor)), "{minor}");
        }
        assert!(!nodes.may_use(cgroup, Device::char(PAD.major - 1, 0)));
        // One of them is a grant of its own.
        grants.grant(cgroup, PAD, RW).unwrap();
        grants.revoke(cgroup, any).unwrap();
        assert!(nodes.may_use(cgroup, PAD));
        assert!(!nodes.may_use(cgroup, OTHER));
        grants.revoke_all(cgroup).unwrap();
        assert!(!nodes.may_use(cgroup, PAD));
    });
}

#[test]
fn a_grant_is_for_its_cgroup_and_those_below_and_no_other() {
    if skip() {
        return;
    }
    let nodes = Nodes::new();
    each_back_end(|back_end, grants| {
        // As crun does it: programs on two levels, the lower one inside the container.
        let scratch = Scratch::refusing(back_end, "slice");
        let above = &scratch.0;
        let one = Scratch::below(above, "one");
        let other = Scratch::below(above, "other");
        let below = Scratch::below(&one.0, "container");
        if back_end == BackEnd::CgroupV1 {
            // The parent allows it, or nobody below can have it.
            fs::write(above.path().join("devices.allow"), "c 239:* rw").unwrap();
        } else {
            for scratch in [&one, &other, &below] {
                scratch.refuse();
            }
        }
        grants.grant(&one.0, PAD, RW).unwrap();
        assert!(!nodes.may_use(&other.0, PAD), "a sibling");
        assert!(nodes.may_use(&below.0, PAD) || back_end == BackEnd::InlineWrap);
        grants.revoke_all(&one.0).unwrap();
        assert!(!nodes.may_use(&one.0, PAD));
        assert!(!nodes.may_use(&below.0, PAD));
    });
}

#[test]
fn a_cgroup_made_later_below_has_the_grant_too() {
    if skip() {
        return;
    }
    let nodes = Nodes::new();
    each_back_end(|back_end, grants| {
        let scratch = Scratch::refusing(back_end, "nested");
        grants.grant(&scratch.0, PAD, RW).unwrap();
        let below = Scratch::below(&scratch.0, "below");
        let deeper = Scratch::below(&below.0, "deeper");
        assert!(nodes.may_use(&deeper.0, PAD));
        grants.revoke(&scratch.0, PAD).unwrap();
        assert!(!nodes.may_use(&deeper.0, PAD));
    });
}

#[test]
fn what_is_behind_a_device_needs_the_word() {
    if skip() {
        return;
    }
    each_back_end(|back_end, grants| {
        let scratch = Scratch::refusing(back_end, "danger");
        let null = Device::char(1, 3);
        let nodes = Nodes::new();
        let refused = grants.grant(&scratch.0, null, RW).unwrap_err();
        assert!(
            matches!(refused, GrantError::Dangerous { danger: Danger::Memory, .. }),
            "{refused:?}"
        );
        let wrong = grants.grant_despite(Danger::Disk, &scratch.0, null, RW);
        assert!(matches!(wrong, Err(GrantError::Dangerous { .. })), "{wrong:?}");
        assert!(!nodes.may_use(&scratch.0, null));
        grants.grant_despite(Danger::Memory, &scratch.0, null, RW).unwrap();
        assert!(nodes.may_use(&scratch.0, null));
        grants.revoke_all(&scratch.0).unwrap();
    });
}

#[test]
fn nothing_is_granted_to_the_root_or_to_what_is_gone() {
    if skip() {
        return;
    }
    each_back_end(|back_end, grants| {
        let root = match back_end {
            BackEnd::CgroupV1 => Cgroup::devices_root().unwrap().unwrap(),
            _ => Cgroup::root().unwrap(),
        };
        let refused = grants.grant(&root, PAD, RW);
        assert!(matches!(refused, Err(GrantError::Root { .. })), "{refused:?}");

        let scratch = Scratch::refusing(back_end, "gone");
        grants.grant(&scratch.0, PAD, RW).unwrap();
        fs::remove_dir(scratch.0.path()).unwrap();
        let refused = grants.grant(&scratch.0, OTHER, RW);
        assert!(matches!(refused, Err(GrantError::Path { .. })), "{refused:?}");
        // Nothing to take back is no error: containers end at any time.
        grants.revoke(&scratch.0, PAD).unwrap();
        grants.revoke_all(&scratch.0).unwrap();
    });
}

#[test]
fn what_belonged_to_a_cgroup_that_is_gone_is_collected() {
    if skip() {
        return;
    }
    for back_end in [BackEnd::RootOverride, BackEnd::CgroupV1] {
        let Ok(grants) = Grants::only(back_end) else { continue };
        let scratch = Scratch::refusing(back_end, "collected");
        grants.grant(&scratch.0, PAD, RW).unwrap();
        grants.grant(&scratch.0, OTHER, RW).unwrap();
        fs::remove_dir(scratch.0.path()).unwrap();
        let next = Scratch::refusing(back_end, "collecting");
        grants.grant(&next.0, PAD, RW).unwrap();
        assert_eq!(grants.count().unwrap(), 1, "{back_end}");
    }
}

#[test]
fn two_daemons_widen_each_only_what_they_grant() {
    if skip() {
        return;
    }
    let nodes = Nodes::new();
    each_back_end(|back_end, one| {
        let other = Grants::only(back_end).unwrap();
        let ours = Scratch::refusing(back_end, "ours");
        let theirs = Scratch::refusing(back_end, "theirs");
        one.grant(&ours.0, PAD, RW).unwrap();
        other.grant(&theirs.0, OTHER, RW).unwrap();
        assert!(nodes.may_use(&ours.0, PAD) && !nodes.may_use(&ours.0, OTHER));
        assert!(nodes.may_use(&theirs.0, OTHER) && !nodes.may_use(&theirs.0, PAD));
        let both = other.grant(&ours.0, OTHER, RW);
        if back_end == BackEnd::RootOverride {
            both.unwrap();
            assert!(nodes.may_use(&ours.0, OTHER));
        } else {
            // There it is one daemon that changes what is the container's.
            assert!(matches!(both, Err(GrantError::OtherDaemon { .. })), "{both:?}");
        }
        assert!(nodes.may_use(&ours.0, PAD));
        // Neither its start nor its end takes anything from the other.
        drop(other);
        assert!(nodes.may_use(&ours.0, PAD));
        assert!(!nodes.may_use(&theirs.0, OTHER));
        one.revoke_all(&ours.0).unwrap();
    });
}

/// The process that the next test kills: it grants what it is told, says so, and waits.
#[test]
#[ignore = "started by the test below"]
fn holder() {
    let Ok(arguments) = env::var("HOTSEAT_TEST_HOLDER") else { return };
    let (back_end, path) = arguments.split_once(' ').unwrap();
    let back_end = match back_end {
        "override" => BackEnd::RootOverride,
        "wrap" => BackEnd::InlineWrap,
        _ => BackEnd::CgroupV1,
    };
    let grants = Grants::only(back_end).unwrap();
    grants.grant(&Cgroup::open(path.into()).unwrap(), PAD, RW).unwrap();
    println!("\ngranted");
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

pub(super) fn start_holder(back_end: BackEnd, cgroup: &Cgroup) -> Child {
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
pub(super) fn soon(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time");
        std::thread::yield_now();
    }
}

#[test]
fn a_killed_daemon_leaves_no_grant() {
    if skip() {
        return;
    }
    let nodes = Nodes::new();
    each_back_end(|back_end, _| {
        let scratch = Scratch::refusing(back_end, "killed");
        let mut holder = start_holder(back_end, &scratch.0);
        assert!(nodes.may_use(&scratch.0, PAD));
        holder.kill().unwrap();
        holder.wait().unwrap();
        if back_end == BackEnd::CgroupV1 {
            // There nothing ends by itself: the next one takes it back before anything else.
            drop(Grants::only(back_end).unwrap());
        }
        soon(|| !nodes.may_use(&scratch.0, PAD));
    });
}
