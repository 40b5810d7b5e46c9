//! Every error says what failed, why, and what to do.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use tempfile::TempDir;

use crate::namespace::{Namespace, failure, program, run};

const MESSAGE: [&str; 4] = ["send", "ACTION=add", "DEVPATH=/devices/x", "SUBSYSTEM=input"];

#[test]
fn a_wrong_usage_has_its_own_exit_status() {
    let cases: [(&[&str], &str); 11] = [
        (&[], "name a command: send, monitor or show"),
        (&["sned"], "unrecognized subcommand 'sned'"),
        (&["send", "ACTION"], "it is not KEY=VALUE"),
        (&["send", "=x"], "`` is not a property key"),
        (&["send", "NAME=a\nb"], "the value of NAME contains NUL or a line break"),
        (&["send", "--action", "plug", "A=1"], "invalid value 'plug'"),
        (&["send", "--uid", "-1", "A=1"], "unexpected argument"),
        (&["send", "--device", "/sys/class/mem/null", "A=1"], "cannot be used with"),
        (&["send", "--device", "/sys/class/mem/null", "--action", "bind"], "--device knows"),
        (&["show"], "<SYSPATH>"),
        (&["monitor", "--count", "all"], "invalid value 'all'"),
    ];
    for (arguments, expected) in cases {
        let (status, stderr) = failure(run(arguments));
        assert_eq!(status, Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}

#[test]
fn what_fails_is_told_with_its_cause_and_a_way_out() {
    let dir = TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let cut = file("c1:3", "E:A=1");
    let (plain, passwd) = (file("+a:b", "nonsense\n"), file("passwd", ""));
    let missing = format!("{}/c9:9", dir.path().display());
    let cases: [(&[&str], &str, &str); 13] = [
        (
            &["send", "ACTION=add", "DEVPATH=/devices/x"],
            "receivers would drop the message: SUBSYSTEM is missing",
            "every message needs",
        ),
        (
            &["send", "ACTION=add", "DEVPATH=/sys/x", "SUBSYSTEM=a"],
            "receivers would drop the message: `/sys/x` is not a value of DEVPATH",
            "without /sys",
        ),
        (
            &["send", "ACTION=add", "DEVPATH=/x", "SUBSYSTEM=a", "SEQNUM=0"],
            "receivers would drop the message: `0` is not a value of SEQNUM",
            "above 0",
        ),
        (
            &["send", "--device", "/sys/class/none"],
            "cannot read /sys/class/none: No such file or directory (os error 2)",
            "that exists",
        ),
        (
            &["send", "--device", "/etc"],
            "/etc is not the path of a device in /sys",
            "in /sys/devices",
        ),
        (
            &["send", "--netns", "0", "ACTION=add", "DEVPATH=/x", "SUBSYSTEM=a"],
            "cannot open the network namespace of process 0: No such file or directory (os error 2)",
            "a running process",
        ),
        (
            &["monitor", "--netns", "/run/netns/none"],
            "cannot open the network namespace of `/run/netns/none`: No such file",
            "a running process",
        ),
        (
            &["monitor", "--netns", "/dev/null"],
            "cannot open a socket to receive from: cannot enter the network namespace: Invalid argument (os error 22)",
            "name a network namespace",
        ),
        (
            &["show", "--record", &cut],
            "the last line of a record has no line feed",
            "end it with a line feed",
        ),
        (&["show", "--record", &plain], "`nonsense` is not a line of a record", "E:KEY=VALUE"),
        (
            &["show", "--record", &passwd],
            "a record's file has its device's id for a name: `passwd` is not a device id",
            "c13:69",
        ),
        (&["show", "--record", &missing], "No such file or directory", ""),
        (&["show", "/sys/class/none"], "cannot read /sys/class/none", "that exists"),
    ];
    for (arguments, expected, hint) in cases {
        let (status, stderr) = failure(run(arguments));
        assert_eq!(status, Some(1), "{arguments:?}: {stderr}");
        let (error, advice) = stderr.split_once("\nhint: ").unwrap_or((&stderr, ""));
        assert!(
            error.starts_with("error: ") && error.contains(expected),
            "{arguments:?}: {stderr}"
        );
        assert!(advice.contains(hint), "{arguments:?}: {stderr}");
    }
}

#[test]
fn without_root_the_answer_is_how_to_get_permission() {
    let Some(namespace) = Namespace::new() else { return };
    // Where everybody may run it.
    let dir = TempDir::new().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let copy = dir.path().join("udev-forge");
    fs::copy(program(), &copy).unwrap();

    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new(&copy);
        failure(namespace.run(command.args(arguments).uid(65534).gid(65534), ""))
    };
    let fake = "QUNUSU9OPWFkZABERVZQQVRIPS9kZXZpY2VzL3gAU1VCU1lTVEVNPWlucHV0AFNFUU5VTT0xAA==";
    for arguments in [&MESSAGE[..], &["-m", fake]] {
        let (status, stderr) = as_nobody(arguments);
        assert_eq!(status, Some(1), "{stderr}");
        assert!(stderr.contains("not permitted to send udev messages"), "{stderr}");
        assert!(
            stderr.contains("hint: run it as root; in a container, add the capability NET_ADMIN")
        );
    }
    let (status, stderr) = as_nobody(&[&MESSAGE[..], &["--netns", "1"]].concat());
    assert_eq!(status, Some(1), "{stderr}");
    assert!(stderr.contains("hint: run it as root"), "{stderr}");
}

#[test]
fn a_user_that_does_not_exist_here_cannot_send() {
    let Some(namespace) = Namespace::new() else { return };
    let arguments = [&MESSAGE[..], &["--uid", "4294967295", "--gid", "0"]].concat();
    let (status, stderr) = failure(namespace.run(Command::new(program()).args(arguments), ""));
    assert_eq!(status, Some(1), "{stderr}");
    assert!(stderr.contains("hint: --uid and --gid must be ids that exist"), "{stderr}");
}
