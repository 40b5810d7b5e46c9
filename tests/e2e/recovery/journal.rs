//! The journal is full, makes no sense, or is another boot's.

use std::fs;
use std::fs::OpenOptions;
use std::io::Write;

use serde_json::Value;

use super::world::World;
use crate::harness::{Container, Daemon, files, sh};

#[test]
fn with_a_journal_that_makes_no_sense_all_that_was_left_is_taken_away() {
    let mut daemon = Daemon::start();
    let container = Container::start("corrupt");
    let pids = [container.pid()];
    let empty = World::now(&daemon, &pids);
    for (number, wrong) in ["garbage\n", "00000000 {}\nmore\n"].iter().enumerate() {
        daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
        daemon.plug("s", "dualsense");
        daemon.crash();
        let path = daemon.path("journal");
        let text = fs::read_to_string(&path).unwrap();
        let (head, rest) = text.split_once('\n').unwrap();
        fs::write(&path, format!("{head}\n{wrong}{rest}")).unwrap();
        daemon.launch();

        assert_eq!(daemon.json(&["session", "ls"]), Value::Array(Vec::new()));
        assert!(files(&daemon.path("stage")).is_empty());
        let metrics = daemon.metrics();
        assert_eq!(metrics["hotseat_recovery_corrupt_journals_total"], 1.0);
        assert_eq!(metrics["hotseat_recovery_cleaned_total{what=\"mounts\"}"], 3.0);
        assert_eq!(metrics["hotseat_recovery_cleaned_total{what=\"links\"}"], 1.0);
        let aside = daemon.path(&format!("journal.corrupt-{}", number + 1));
        assert!(fs::read_to_string(&aside).unwrap().contains(wrong));
        fs::remove_file(&aside).unwrap();
        // Who made these directories is what the journal knew; they are empty, and nothing else is left.
        container.sh("rmdir /dev/input /run/udev /dev/hotseat");
        empty.is_back(&daemon, &pids);
        fs::write(&aside, "").unwrap();
    }
    assert!(!daemon.path("journal.corrupt-1").exists(), "only the last is kept");
}

#[test]
fn a_journal_of_a_newer_hotseat_is_left_alone_and_so_is_the_rest() {
    let mut daemon = Daemon::start();
    let container = Container::start("newer");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    daemon.plug("s", "xbox-one");
    let staged = files(&daemon.path("stage"));
    daemon.crash();
    let path = daemon.path("journal");
    let text = fs::read_to_string(&path).unwrap();
    let newer = text.replace("hotseat-journal 3\n", "hotseat-journal 4\n");
    fs::write(&path, &newer).unwrap();
    let said = daemon.launch_to_die();
    assert!(said.contains("is of version 4") && said.contains("does not know"), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
    assert_eq!(files(&daemon.path("stage")), staged);
    fs::write(&path, text).unwrap();
    daemon.launch();
    assert_eq!(daemon.json(&["session", "show", "s"])["devices"][0]["profile"], "xbox-one");
}

#[test]
fn after_a_reboot_sessions_come_back_and_wait() {
    let mut daemon = Daemon::start();
    let container = Container::start("reboot");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    daemon.plug("s", "xbox-one");
    // The container goes on, and yet its numbers mean nothing.
    daemon.crash();
    sh("echo 00000000-0000-4000-8000-000000000000 > /tmp/hotseat-boot-id
        mount --bind /tmp/hotseat-boot-id /proc/sys/kernel/random/boot_id");
    daemon.launch();
    sh("umount /proc/sys/kernel/random/boot_id");
    let session = daemon.json(&["session", "show", "s"]);
    assert!(session["container"].is_null(), "{session}");
    assert_eq!(session["waiting"][0]["profile"], "xbox-one", "{session}");
    daemon.hotseat(&["session", "attach", "s", &container.reference()]);
    let session = daemon.json(&["session", "show", "s"]);
    assert_eq!(session["devices"][0]["verified"], true, "{session}");
    // This boot's id is another one again.
    daemon.crash();
    daemon.launch();
    assert!(daemon.json(&["session", "show", "s"])["container"].is_null());
}

#[test]
fn a_full_disk_keeps_devices_from_being_plugged_and_nothing_else() {
    let mut daemon = Daemon::start();
    let container = Container::start("full");
    let disk = daemon.path("disk");
    fs::create_dir(&disk).unwrap();
    let path = disk.display().to_string();
    sh(&format!("mount -t tmpfs -o size=64k tmpfs {path}"));
    daemon.relaunch_with(&format!("journal = \"{path}/journal\""));
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    daemon.plug("s", "xbox-one");
    daemon.plug("s", "mouse");
    let fill = |name: &str| {
        let mut file = OpenOptions::new().create(true).append(true).open(disk.join(name)).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
    };
    fill("filler");
    let before = daemon.traces();
    // There is room for what has begun to end, and so for some lines more.
    let body = r#"{"profile":"keyboard"}"#;
    let plug = || daemon.call("POST", "/v1/sessions/s/devices", body);
    let refused = (0..50).map(|_| plug()).find(|(status, _)| {
        if *status == 201 {
            daemon.hotseat(&["unplug", "s", "2"]);
        }
        *status != 201
    });
    let (status, problem) = refused.unwrap();
    assert_eq!((status, problem["code"].as_str()), (500, Some("journal")), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("No space left on device"), "{detail}");
    daemon.returns_to(&before);
    // What takes away is done, and noted.
    daemon.hotseat(&["unplug", "s", "1"]);
    // Not even a start needs room, to bring back what was promised.
    let plays = |daemon: &Daemon| {
        let session = daemon.json(&["session", "show", "s"]);
        let devices = session["devices"].as_array().unwrap();
        assert_eq!(devices.len(), 1, "{session}");
        assert_eq!(devices[0]["profile"], "xbox-one", "{session}");
    };
    for _ in 0..2 {
        daemon.crash();
        fill("more");
        daemon.launch();
        plays(&daemon);
    }
    let (status, problem) = daemon.call("POST", "/v1/sessions/s/devices", body);
    assert_eq!((status, problem["code"].as_str()), (500, Some("journal")), "{problem}");

    sh(&format!("rm {path}/filler {path}/more"));
    daemon.plug("s", "keyboard");
    daemon.hotseat(&["unplug", "s", "1"]);
    daemon.crash();
    daemon.launch();
    plays(&daemon);
    daemon.hotseat(&["session", "rm", "s"]);
    drop(daemon);
    sh(&format!("umount {path} 2>/dev/null || true"));
}
