//! What goes wrong has a name, says what would help, and leaves nothing.

use serde_json::Value;

use crate::harness::{Container, Daemon, Program, devices_of_hotseat, sh};

/// Becomes a program to which bpf(2) is refused (seccomp(2); 321 is its number on x86-64).
const WITHOUT_BPF: &str = "
import ctypes, os, struct, sys
steps = (0x20, 0, 0, 0), (0x15, 0, 1, 321), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7fff0000)
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *step) for step in steps))
program = struct.pack('HxxxxxxP', len(steps), ctypes.addressof(code))
if ctypes.CDLL(None).prctl(22, 2, program) != 0:
    sys.exit('no filter')
os.execv(sys.argv[1], sys.argv[1:])
";

fn plug(daemon: &Daemon) -> (u16, Value) {
    daemon.call("POST", "/v1/sessions/s/devices", r#"{"profile":"xbox-one"}"#)
}

#[test]
fn where_nothing_can_be_granted_a_plug_says_so_and_the_rest_works() {
    let mut daemon = Daemon::start();
    daemon.crash();
    daemon.launch_by(&["python3", "-c", WITHOUT_BPF]);
    let container = Container::start("ungranted");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let before = daemon.traces();
    let (status, problem) = plug(&daemon);
    assert_eq!((status, &problem["code"]), (503, &"grants-unavailable".into()), "{problem}");
    assert!(problem["hint"].as_str().unwrap().contains("hotseat doctor"), "{problem}");
    daemon.returns_to(&before);
    assert_eq!(container.sh("ls /dev/input /run/udev/data"), "/dev/input:\n\n/run/udev/data:\n");
    let checks: Value = serde_json::from_slice(&daemon.run(&["doctor", "--json"]).stdout).unwrap();
    let grants =
        checks.as_array().unwrap().iter().find(|check| check["check"] == "grants").unwrap();
    assert_ne!(grants["status"], "ok", "{grants}");

    // With the next daemon it is as if nothing had been.
    daemon.crash();
    daemon.launch();
    daemon.plug("s", "xbox-one");
}

#[test]
fn a_container_that_ends_in_the_middle_of_a_plug_leaves_nothing() {
    let mut daemon = Daemon::start();
    daemon.hotseat(&["session", "add", "s"]);
    // The first round opens what stays open.
    let mut before = None;
    let mut codes = Vec::new();
    for round in 0..12 {
        let script = "mount -t tmpfs none /dev; mount -t tmpfs none /run; echo first $$; exec cat";
        let enter = ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", script];
        let mut container = Program::start(&enter);
        let first = container.expect("first").trim().replace("first ", "");
        daemon.hotseat(&["session", "attach", "s", &format!("pid:{first}")]);
        let (status, problem) = std::thread::scope(|scope| {
            let plugging = scope.spawn(|| plug(&daemon));
            // Each time a little later.
            for _ in 0..round {
                daemon.json(&["session", "ls"]);
            }
            sh(&format!("kill -KILL {first}"));
            plugging.join().unwrap()
        });
        daemon.log().expect("the container ended");
        if status != 201 {
            assert_ne!(problem["code"], "internal", "{problem}");
            codes.push(problem["code"].as_str().unwrap().to_owned());
        }
        daemon.run(&["unplug", "s", "0"]);
        assert!(devices_of_hotseat().is_empty());
        daemon.returns_to(before.get_or_insert_with(|| daemon.traces()));
    }
    assert!(!codes.is_empty(), "no container has ended in the middle of a plug");
}
