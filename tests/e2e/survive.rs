//! Devices that outlive the daemon, which systemd ends, or somebody kills, and starts again.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::harness::{Container, HOTSEAT, Program, SDL_TESTS, devices_of_hotseat, sh};

const HOLDER: &str = include_str!("survive/holder.py");
pub(crate) const UNIT: &str = "hotseat-survives.service";

/// A daemon as a service with a descriptor store.
pub(crate) struct Service {
    directory: tempfile::TempDir,
    pub(crate) journal: Program,
}

impl Service {
    fn start() -> Self {
        Self::with("FileDescriptorStoreMax=64")
    }

    fn with(store: &str) -> Self {
        Self::configured(store, "")
    }

    /// With more configuration.
    pub(crate) fn configured(store: &str, more: &str) -> Self {
        sh("modprobe -a uinput uhid joydev");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display().to_string();
        let config = format!(
            "socket = \"{path}/sock\"\nstage = \"{path}/stage\"\njournal = \"{path}/journal\"\nfollow = false\n{more}"
        );
        fs::write(directory.path().join("config.toml"), config).unwrap();
        // As long as there is a file `hold`, it does not start again.
        let unit = format!(
            "[Unit]\nStartLimitIntervalSec=0\n\
             [Service]\nType=notify\nNotifyAccess=main\nRestart=always\nRestartSec=0\n{store}\n\
             Environment=HOTSEAT_FAULT=@{path}/fault\n\
             ExecStartPre=sh -c 'while [ -e {path}/hold ]; do sleep 0.1; done'\n\
             ExecStart={} serve --config {path}/config.toml\n",
            HOTSEAT.as_str()
        );
        fs::write(format!("/run/systemd/system/{UNIT}"), unit).unwrap();
        let journal = Program::start(&["journalctl", "--follow", "--lines=0", "--unit", UNIT]);
        sh(&format!("systemctl daemon-reload && systemctl start {UNIT}"));
        let mut service = Self { directory, journal };
        service.journal.expect("ready");
        service
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn hotseat(&self, arguments: &str) -> String {
        let socket = self.path("sock");
        sh(&format!("{} --socket {} {arguments}", HOTSEAT.as_str(), socket.display()))
    }

    fn session(&self) -> Value {
        serde_json::from_str(&self.hotseat("session show s --json")).unwrap()
    }

    /// The nodes of each slot.
    fn nodes(&self) -> BTreeMap<u64, Vec<String>> {
        let session = self.session();
        let devices = session["devices"].as_array().unwrap();
        let nodes = |device: &Value| {
            let nodes = device["nodes"].as_array().unwrap().iter();
            nodes.map(|node| node["path"].as_str().unwrap().to_owned()).collect()
        };
        devices.iter().map(|it| (it["slot"].as_u64().unwrap(), nodes(it))).collect()
    }

    fn watch(&self) -> Program {
        let socket = self.path("sock").display().to_string();
        Program::start(&[&HOTSEAT, "--socket", &socket, "watch", "--json", "--since", "0-0"])
    }

    fn property(&self, name: &str) -> String {
        sh(&format!("systemctl show --property {name} --value {UNIT}")).trim().to_owned()
    }

    /// How many descriptors the store has.
    fn stored(&self) -> String {
        self.property("NFileDescriptorStore")
    }

    pub(crate) fn kill(&self) {
        sh(&format!("kill -KILL {}", self.property("MainPID")));
    }

    /// Has it not start again until [`Service::go_on`].
    fn kill_and_hold(&self) {
        fs::write(self.path("hold"), "").unwrap();
        self.kill();
        sh(&format!("until [ $(systemctl show -P SubState {UNIT}) = start-pre ]; do :; done"));
    }

    fn go_on(&mut self) {
        fs::remove_file(self.path("hold")).unwrap();
        self.journal.expect("ready");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        sh(&format!(
            "systemctl stop {UNIT}; rm /run/systemd/system/{UNIT}; systemctl daemon-reload
             umount -R {} 2>/dev/null || :",
            self.path("stage").display()
        ));
        if std::thread::panicking() {
            eprintln!("{}", sh(&format!("journalctl --unit {UNIT} --lines 80")));
        }
    }
}

fn hold(container: &Container, nodes: &[String]) -> Program {
    let mut command = vec!["python3", "-u", "-c", HOLDER];
    command.extend(nodes.iter().map(String::as_str));
    let mut holder = container.program(&[], &command);
    holder.expect("holding");
    holder
}

fn key(node: &str, code: u16, value: u8) -> String {
    format!("{} {code} {value}", node.rsplit('/').next().unwrap())
}

/// Whatever a watcher of a directory could have noticed.
const FILES: &str = "find /dev/input /dev/hotseat /dev/hidraw* /run/udev/data /run/udev/tags ! -type d \
                     -printf '%p %i %C@ %m %l\n' | sort";

/// Waits until no device of ours is left: systemd closes what it had a moment after it has said so.
const GONE: &str = "until ! { grep -qs ^hotseat/ /sys/devices/virtual/input/*/phys \
                    || ls /sys/bus/hid/drivers/playstation | grep -q 054C; }; do :; done";

const BTN_SOUTH: u16 = 304;
const KEY_A: u16 = 30;

#[test]
fn a_game_notices_neither_a_restart_nor_a_crash() {
    let mut service = Service::start();
    let container = Container::start("survives");
    service.hotseat(&format!("session add s --container {}", container.reference()));
    for (slot, profile) in ["xbox-one", "dualsense", "keyboard"].iter().enumerate() {
        service.hotseat(&format!("plug s {profile} --slot {slot}"));
    }
    let nodes = service.nodes();
    let event = |slot: u64| nodes[&slot].iter().find(|it| it.contains("event")).unwrap().clone();
    let pads = [event(0), event(1)];
    let keyboard = event(2);
    let devices = devices_of_hotseat();
    let files = container.sh(FILES);

    let mut monitor = container.program(&[], &["udevadm", "monitor", "--udev"]);
    monitor.expect("UDEV - the event which udev sends out after rule processing");
    let testjoystick = format!("{SDL_TESTS}/testjoystick");
    let mut sdl = container.program(&["SDL_VIDEODRIVER=dummy"], &[&testjoystick]);
    sdl.expect("rumble: yes");
    let mut holder = hold(&container, &nodes.values().flatten().cloned().collect::<Vec<_>>());
    holder.say("upload");
    holder.expect("uploaded 2");
    assert_eq!(service.stored(), "8", "two for each device, and the grants");

    for round in ["systemctl restart", "kill"] {
        eprintln!("{round}");
        let press = "for slot in 0 1; do HOTSEAT send s $slot south=1; done; HOTSEAT send s 2 a=1";
        let socket = service.path("sock").display().to_string();
        let press = press.replace("HOTSEAT", &format!("{} --socket {socket}", HOTSEAT.as_str()));
        sh(&press);
        for pad in &pads {
            holder.expect(&key(pad, BTN_SOUTH, 1));
        }
        holder.expect(&key(&keyboard, KEY_A, 1));

        if round == "kill" {
            service.kill();
        } else {
            sh(&format!("systemctl restart {UNIT}"));
        }
        service.journal.expect("ready");

        // What was held is released.
        let mut released = String::new();
        for _ in 0..3 {
            released += &holder.expect(" 0\n");
        }
        for (node, code) in [(&pads[0], BTN_SOUTH), (&pads[1], BTN_SOUTH), (&keyboard, KEY_A)] {
            assert!(released.contains(&key(node, code, 0)), "{released}");
        }
        assert_eq!(service.nodes(), nodes);
        assert_eq!(devices_of_hotseat(), devices);
        assert_eq!(container.sh(FILES), files);

        // What is sent now arrives, and what they tell does too: by effects that were uploaded before.
        sh(&press);
        for pad in &pads {
            holder.expect(&key(pad, BTN_SOUTH, 1));
        }
        holder.expect(&key(&keyboard, KEY_A, 1));
        let mut watcher = service.watch();
        // It is there when it has told this; feedback is not kept for whoever comes late.
        watcher.expect("\"recovered\"");
        holder.say("play");
        let mut told = String::new();
        while !(told.contains("\"slot\":0") && told.contains("\"slot\":1")) {
            let line = watcher.expect("rumble");
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["feedback"]["strong"].as_f64().unwrap() > 0.4 {
                told += &line;
            }
        }
        service.hotseat("send s 0 south=0");
        service.hotseat("send s 1 south=0");
        service.hotseat("send s 2 a=0");
        for _ in 0..3 {
            holder.expect(" 0\n");
        }
    }

    service.hotseat("unplug s 2");
    let line = monitor.expect("remove");
    let keyboards = line.split('/').find(|part| part.starts_with("input") && *part != "input");
    let keyboards = format!("/{}", keyboards.unwrap().split(' ').next().unwrap());
    let heard = monitor.end("TERM");
    let others = heard.lines().filter(|line| line.starts_with("UDEV  ["));
    let others: Vec<_> = others.filter(|line| !line.contains(&keyboards)).collect();
    assert!(others.is_empty(), "{heard}");
    assert!(!heard.contains(" add "), "{heard}");
    assert!(holder.expect("gone").contains(&keyboard));
    service.hotseat("session rm s");
    sdl.expect("removed.");
    assert_eq!(service.stored(), "2", "the grants alone");
    sh(GONE);
}

#[test]
fn a_game_opens_its_pad_and_tells_it_something_while_no_daemon_runs() {
    let mut service = Service::start();
    let container = Container::start("alone");
    service.hotseat(&format!("session add s --container {}", container.reference()));
    service.hotseat("plug s xbox-one --slot 0");
    service.hotseat("plug s dualsense --slot 1");
    let nodes: Vec<_> = service.nodes().into_values().flatten().collect();
    service.kill_and_hold();
    let mut holder = hold(&container, &nodes);
    // Its runtime does not allow that.
    let other = container.try_sh("mknod /tmp/other c 13 200; exec 3</tmp/other");
    let told = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(told.contains("not permitted"), "{told}");
    // It waits for an answer.
    holder.say("upload");
    service.go_on();
    holder.expect("uploaded 2");
    service.hotseat("send s 0 south=1");
    holder.expect(" 304 1");
    service.hotseat("unplug s 0");
    holder.expect("gone");
    service.hotseat("session rm s");
}

#[test]
fn what_nobody_is_to_have_is_closed_at_the_start() {
    let mut service = Service::start();
    let container = Container::start("gone");
    service.hotseat(&format!("session add s --container {}", container.reference()));
    service.hotseat("plug s xbox-one --slot 0");
    service.hotseat("plug s dualsense --slot 1");

    // Its container ends meanwhile: it waits for the next one.
    service.kill_and_hold();
    sh(&format!("docker kill {}", container.name));
    assert_eq!(devices_of_hotseat().len(), 1);
    service.go_on();
    sh(GONE);
    let session = service.session();
    assert_eq!(session["waiting"].as_array().unwrap().len(), 2, "{session}");
    assert_eq!(service.stored(), "2");

    // Nothing is known of the session any more.
    sh(&format!("docker start {}", container.name));
    service.hotseat(&format!("session attach s {}", container.reference()));
    assert_eq!(service.nodes().len(), 2);
    service.kill_and_hold();
    fs::remove_file(service.path("journal")).unwrap();
    service.go_on();
    sh(GONE);
    assert_eq!(container.sh("ls /dev/input 2>/dev/null || :"), "");
    assert_eq!(service.stored(), "2");
    let sessions: Value = serde_json::from_str(&service.hotseat("session ls --json")).unwrap();
    assert_eq!(sessions, Value::Array(Vec::new()));
}

#[test]
fn a_device_that_was_half_plugged_is_not_taken_over() {
    let mut service = Service::start();
    let container = Container::start("half");
    service.hotseat(&format!("session add s --container {}", container.reference()));
    service.hotseat("plug s mouse --slot 0");
    let before = service.nodes();
    for fault in ["plug.stored", "plug.granted", "plug.verified"] {
        fs::write(service.path("fault"), format!("{fault}:kill")).unwrap();
        let socket = service.path("sock").display().to_string();
        Program::start(&[&HOTSEAT, "--socket", &socket, "plug", "s", "dualsense"]).rest();
        fs::remove_file(service.path("fault")).unwrap();
        service.journal.expect("ready");
        assert_eq!(service.nodes(), before, "{fault}");
        sh("until ! ls /sys/bus/hid/drivers/playstation | grep -q 054C; do :; done");
        assert_eq!(service.stored(), "4");
    }
    service.hotseat("session rm s");
}

#[test]
fn a_device_for_which_the_store_has_no_room_works_and_is_plugged_anew() {
    let mut service = Service::with("FileDescriptorStoreMax=4");
    let container = Container::start("full");
    service.hotseat(&format!("session add s --container {}", container.reference()));
    service.hotseat("plug s xbox-one --slot 0");
    service.hotseat("plug s keyboard --slot 1");
    service.journal.expect("FileDescriptorStoreMax");
    let nodes: Vec<_> = service.nodes().into_values().flatten().collect();
    let mut holder = hold(&container, &nodes);
    service.hotseat("send s 1 a=1");
    holder.expect(" 30 1");
    // A grant could outlive the keyboard, so none does.
    assert_eq!(service.stored(), "2");
    service.kill();
    service.journal.expect("ready");
    holder.expect("gone");
    assert_eq!(service.nodes().len(), 2);
    service.hotseat("send s 0 south=1");
    service.hotseat("session rm s");
}

#[test]
fn a_device_that_the_daemon_dies_of_is_tried_twice_and_plugged_anew() {
    let mut service = Service::start();
    let container = Container::start("deadly");
    service.hotseat(&format!("session add s --container {}", container.reference()));
    service.hotseat("plug s xbox-one --slot 0");
    let before = devices_of_hotseat();
    fs::write(service.path("fault"), "recover.taken-over:kill").unwrap();
    service.kill();
    service.journal.expect("the daemon ended 2 times when it took it over");
    fs::remove_file(service.path("fault")).unwrap();
    service.journal.expect("ready");
    let nodes: Vec<_> = service.nodes().into_values().flatten().collect();
    assert!(devices_of_hotseat().is_disjoint(&before));
    let mut holder = hold(&container, &nodes);
    service.hotseat("send s 0 south=1");
    holder.expect(" 304 1");
    service.hotseat("session rm s");
}

#[test]
fn a_lowered_limit_takes_nothing_and_a_battery_is_as_it_was() {
    let mut service = Service::start();
    let container = Container::start("lowered");
    service.hotseat(&format!("session add s --container {}", container.reference()));
    service.hotseat("plug s dualsense --slot 0");
    service.hotseat("plug s xbox-one --slot 1");
    let charge = || sh("cat /sys/class/power_supply/ps-controller-battery-*/capacity");
    let full = charge();
    service.hotseat("send s 0 battery=40");
    sh(&format!(
        "until ! grep -qx {} /sys/class/power_supply/ps-controller-battery-*/capacity; do :; done",
        full.trim()
    ));
    let (low, nodes) = (charge(), service.nodes());

    let mut config = fs::read_to_string(service.path("config.toml")).unwrap();
    config += "[limits]\ndevices = 1\ndevices_per_session = 1\nwhole_pads = 1\n";
    fs::write(service.path("config.toml"), config).unwrap();
    sh(&format!("systemctl restart {UNIT}"));
    service.journal.expect("ready");
    assert_eq!(service.nodes(), nodes);
    let mut holder = hold(&container, &nodes.values().flatten().cloned().collect::<Vec<_>>());
    service.hotseat("send s 0 south=1");
    holder.expect(" 304 1");
    assert_eq!(charge(), low);
    service.hotseat("session rm s");
}
