//! Hostile containers: what they do to their own devices, to the daemon and to the host.

use std::time::{Duration, Instant};

use crate::harness::{Container, Daemon, sh};

/// Everything that a daemon or its containers could leave on the host.
fn host() -> String {
    sh("bpftool prog show | grep -c . ; bpftool map show | grep -c . ; bpftool cgroup tree | sort
        cut -d' ' -f 4- /proc/self/mountinfo | grep -v -e docker -e containers | sort
        find /dev /run/hotseat /run/udev -printf '%p %y %m %U:%G %l\\n' 2>/dev/null | sort
        find /etc -maxdepth 1 -printf '%p %y %l\\n' | sort
        find /sys/fs/cgroup -maxdepth 1 -type d | sort
        ls /sys/class/input /sys/class/hidraw")
}

/// Waits until the host is as it was; udevd and the runtime work after the daemon's end.
fn wait_until_the_host_is(before: &str) {
    let started = Instant::now();
    loop {
        sh("udevadm settle");
        let now = host();
        if now == before {
            return;
        }
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "--- before:\n{before}\n--- now:\n{now}"
        );
    }
}

/// Exchanges `/dev/input` with a link to the host's /etc, as seen from outside, over and over.
const FLIP: &str = "
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
os.mkdir('/dev/input')
os.symlink('/etc', '/dev/link')
flips = busy = 0
print('flipping', flush=True)
while flips < 10000 or flips % 100 or not os.path.exists('/tmp/enough'):
    if libc.renameat2(-100, b'/dev/input', -100, b'/dev/link', 2) == 0:  # RENAME_EXCHANGE
        flips += 1
    else:
        assert ctypes.get_errno() == 16, ctypes.get_errno()  # EBUSY: a mount is there
        busy += 1
print('flipped', flips, 'busy', busy, flush=True)
";

#[test]
fn a_container_that_flips_its_directories_leads_nobody_astray() {
    sh("systemctl start docker");
    let before = host();
    let daemon = Daemon::start();
    let container = Container::start("flip");
    let traces = daemon.traces();
    let mounts = container.sh("cat /proc/self/mountinfo");
    let mut flip = container.python(FLIP);
    flip.expect("flipping");
    let body = serde_json::json!({ "name": "s", "container": container.reference() }).to_string();
    let mut answers = std::collections::BTreeMap::<String, u32>::new();
    // Until both have happened often: attaches that worked and that did not.
    loop {
        let (status, answer) = daemon.call("POST", "/v1/sessions", &body);
        let code = answer["code"].as_str().unwrap_or("attached").to_owned();
        let known = ["attached", "mount-point-refused", "mount-point-occupied", "attach"];
        assert!(known.contains(&&*code), "{answer}");
        *answers.entry(code).or_default() += 1;
        if status == 201 {
            let (status, problem) = daemon.call("DELETE", "/v1/sessions/s", "");
            assert_eq!(status, 204, "{problem}");
        }
        if answers.len() > 1 && answers.values().all(|&count| count > 9) {
            break;
        }
    }
    container.sh("touch /tmp/enough");
    let flipped = flip.expect("flipped");
    assert!(!flipped.contains(" busy 0"), "{answers:?} {flipped}");
    assert_eq!(container.sh("cat /proc/self/mountinfo"), mounts);
    daemon.returns_to(&traces);
    drop(container);
    drop(daemon);
    wait_until_the_host_is(&before);
}

const AS_STRONG_AS_CAN_BE: &str = "--cap-add SYS_ADMIN --security-opt apparmor=unconfined";

/// Reconfigures the file system at `/dev/input`, not just the mount (fspick(2)), to be read-only.
const RECONFIGURE: &str = "
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for path in (b'/dev/input', b'/run/udev', b'/dev/hotseat'):
    fd = libc.syscall(433, -100, path, 0)
    assert fd >= 0, ctypes.get_errno()
    assert libc.syscall(431, fd, 0, b'ro', None, 0) == 0, ctypes.get_errno()
    assert libc.syscall(431, fd, 7, None, None, 0) == 0, ctypes.get_errno()
print('reconfigured')
";

#[test]
fn a_container_that_breaks_its_file_system_breaks_its_own() {
    let mut daemon = Daemon::start();
    let hostile = Container::start_with("hostile", AS_STRONG_AS_CAN_BE, "");
    let other = Container::start("other");
    daemon.hotseat(&["session", "add", "hostile", "--container", &hostile.reference()]);
    daemon.hotseat(&["session", "add", "other", "--container", &other.reference()]);
    let before = daemon.traces();
    hostile.python(RECONFIGURE).expect("reconfigured");
    let body = r#"{"profile":"xbox-one"}"#;
    let (status, problem) = daemon.call("POST", "/v1/sessions/hostile/devices", body);
    assert_eq!(status, 500, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("Read-only file system"), "{problem}");
    daemon.returns_to(&before);
    let pad = daemon.plug("other", "xbox-one");
    other.sh(&format!("exec 3<>{}", pad.node("event")));

    // Not even the next daemon is kept from starting. It leaves the broken one behind.
    daemon.crash();
    daemon.launch();
    for (session, container) in [("other", &other), ("hostile", &hostile)] {
        let pad = daemon.plug(session, "xbox-one");
        container.sh(&format!("exec 3<>{}", pad.node("event")));
    }
}

/// A file system of the container's own (FUSE), which never answers, over /run.
const HANG: &str = "
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
fuse = os.open('/dev/fuse', os.O_RDWR)
options = f'fd={fuse},rootmode=40000,user_id=0,group_id=0'.encode()
assert libc.mount(b'hang', b'/run', b'fuse', 0, options) == 0, ctypes.get_errno()
print('mounted', flush=True)
signal.pause()
";

#[test]
fn a_file_system_that_never_answers_keeps_nobody() {
    sh("modprobe fuse");
    let daemon = Daemon::start();
    let other = Container::start("other");
    daemon.hotseat(&["session", "add", "other", "--container", &other.reference()]);
    let before = daemon.traces();
    let options = format!("{AS_STRONG_AS_CAN_BE} --device /dev/fuse");
    let hostile = Container::start_with("hang", &options, "");
    let mut hang = hostile.python(HANG);
    hang.expect("mounted");
    let body = serde_json::json!({ "name": "s", "container": hostile.reference() }).to_string();
    let (status, problem) = daemon.call("POST", "/v1/sessions", &body);
    assert_eq!((status, problem["code"].as_str()), (504, Some("container-hangs")), "{problem}");
    assert_eq!(daemon.json(&["session", "ls"]).as_array().unwrap().len(), 1);
    let doctor = daemon.run(&["doctor", &hostile.reference()]);
    let doctor = String::from_utf8(doctor.stdout).unwrap();
    assert!(doctor.contains("FAILED  mounts") && doctor.contains("do not answer"), "{doctor}");
    daemon.plug("other", "xbox-one");
    daemon.hotseat(&["unplug", "other", "0"]);

    // What was left behind ends with the container.
    drop(hostile);
    let started = Instant::now();
    while daemon.traces() != before {
        assert!(started.elapsed() < Duration::from_secs(60), "{:?} {before:?}", daemon.traces());
    }
}
