//! The daemon as a service of systemd, and its configuration.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Command;

use rustix::io::ioctl_fionread;
use rustix::pipe::fcntl_setpipe_size;

use crate::harness::{Container, Daemon, HOTSEAT, Program, sh};

/// The unit as installed, but for the daemon's own paths.
struct Service {
    directory: tempfile::TempDir,
}

const UNIT: &str = "hotseat-test.service";

impl Service {
    fn start(configuration: &str) -> Self {
        sh("modprobe -a uinput joydev");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display().to_string();
        let config = format!(
            "socket = \"{path}/sock\"\nstage = \"{path}/stage\"\njournal = \"{path}/journal\"\non_stop = \"unplug\"\n\
             {configuration}"
        );
        fs::write(directory.path().join("config.toml"), config).unwrap();
        let unit = include_str!("../../assets/systemd/hotseat.service").replace(
            "ExecStart=/usr/local/bin/hotseat serve",
            &format!("ExecStart={} serve --config {path}/config.toml", HOTSEAT.as_str()),
        );
        let reload = format!("ExecReload={} --socket {path}/sock reload", HOTSEAT.as_str());
        let unit = unit.replace("ExecReload=/usr/local/bin/hotseat reload", &reload);
        assert!(
            unit.contains(&format!("serve --config {path}")) && unit.contains(&reload),
            "{unit}"
        );
        fs::write(format!("/run/systemd/system/{UNIT}"), unit).unwrap();
        // Returns when the daemon has said that it is ready.
        sh(&format!("systemctl daemon-reload && systemctl start {UNIT}"));
        Self { directory }
    }

    fn hotseat(&self, arguments: &str) -> String {
        let socket = self.directory.path().join("sock");
        sh(&format!("{} --socket {} {arguments}", HOTSEAT.as_str(), socket.display()))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        sh(&format!(
            "systemctl stop {UNIT}; rm /run/systemd/system/{UNIT}; systemctl daemon-reload"
        ));
    }
}

#[test]
fn systemd_knows_when_the_daemon_is_ready_and_when_it_hangs() {
    let service = Service::start("");
    service.hotseat("session ls");
    let property = |name: &str| sh(&format!("systemctl show --property {name} --value {UNIT}"));
    assert_eq!(property("Type"), "notify\n");

    // A daemon that hangs is ended and started again. The watchdog of the installed unit is slower.
    sh(&format!(
        "mkdir -p /run/systemd/system/{UNIT}.d\n\
         printf '[Service]\\nWatchdogSec=2\\nRestartSec=0\\n' > /run/systemd/system/{UNIT}.d/test.conf\n\
         systemctl daemon-reload; systemctl restart {UNIT}; rm -r /run/systemd/system/{UNIT}.d"
    ));
    let hanging = property("MainPID");
    let mut journal = Program::start(&["journalctl", "--follow", "--lines=0", "--unit", UNIT]);
    sh(&format!("kill -STOP {hanging}"));
    journal.expect("Watchdog timeout");
    journal.expect("ready");
    assert_ne!(property("MainPID"), hanging);
    service.hotseat("session ls");
}

#[test]
fn a_reload_by_systemd_fails_when_the_file_is_bad_and_the_daemon_goes_on() {
    let service = Service::start("");
    let pid = || sh(&format!("systemctl show --property MainPID --value {UNIT}"));
    let (running, file) = (pid(), service.directory.path().join("config.toml"));
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("node_mode = \"0640\"\n{good}")).unwrap();
    let mut journal = Program::start(&["journalctl", "--follow", "--lines=0", "--unit", UNIT]);
    sh(&format!("systemctl reload {UNIT}"));
    journal.expect("node_mode: from the next plug");

    fs::write(&file, format!("node_mode = \"9\"\n{good}")).unwrap();
    let failed = Program::start(&["systemctl", "reload", UNIT]).rest();
    assert!(failed.contains("failed"), "{failed}");
    journal.expect("is not a file mode");

    // By signal systemd is told when it begins and when it is over, and takes the service for running again.
    fs::write(&file, good).unwrap();
    sh(&format!("kill -HUP {running}"));
    journal.expect("was read again");
    assert_eq!(sh(&format!("systemctl is-active {UNIT}")), "active\n");
    assert_eq!(pid(), running);
    service.hotseat("session ls");
}

#[test]
fn each_line_of_a_step_can_be_found_by_its_session_and_device() {
    let container = Container::start("logged");
    sh(&format!(
        "mkdir -p /run/systemd/system/{UNIT}.d\n\
         printf '[Service]\\nEnvironment=RUST_LOG=hotseat=debug\\n' > /run/systemd/system/{UNIT}.d/test.conf"
    ));
    let service = Service::start("log = \"journald\"\n");
    sh(&format!("rm -r /run/systemd/system/{UNIT}.d"));
    service.hotseat(&format!("session add alice --container {}", container.reference()));
    service.hotseat("plug alice mouse --slot 7");
    service.hotseat("unplug alice 7");
    let find = |fields: &str| sh(&format!("journalctl --unit {UNIT} --output cat {fields}"));
    // Lines within the plug, which say neither the session nor the slot themselves.
    let of_plug = find(&format!(
        "HOTSEAT_SESSION=alice HOTSEAT_SLOT=7 HOTSEAT_PROFILE=mouse HOTSEAT_CONTAINER={} HOTSEAT_STEP=placed",
        container.reference()
    ));
    assert_eq!(of_plug, "done\n");
    assert!(find("HOTSEAT_SESSION=alice").contains("unplugged"));
    assert_eq!(find("HOTSEAT_SESSION=alice HOTSEAT_SLOT=6"), "");
}

#[test]
fn the_log_can_be_json_or_the_journals_own() {
    {
        let service = Service::start("log = \"journald\"\n");
        service.hotseat("session add alice");
        service.hotseat("session rm alice");
        let log = sh(&format!("journalctl --unit {UNIT} --output json -n 20"));
        assert!(log.contains("\"HOTSEAT_SOCKET\":"), "{log}");
    }
    let mut daemon = Daemon::start();
    let ready = daemon.relaunch_with("log = \"json\"");
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    assert_eq!(ready["message"], "ready");
    assert_eq!(ready["socket"], daemon.path("sock").display().to_string());
}

/// Whoever has the other end of the daemon's standard error may have forgotten it.
#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let mut world = Daemon::start();
    world.terminate();
    let (log, writer) = std::io::pipe().unwrap();
    // The least that a pipe holds: a page (fcntl(2), "F_SETPIPE_SZ").
    fcntl_setpipe_size(&log, 4096).unwrap();
    let mut daemon = Command::new(&*HOTSEAT)
        .arg("serve")
        .arg("--config")
        .arg(world.path("config.toml"))
        .stderr(writer)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(log);
    let mut line = String::new();
    while !line.contains(" ready socket=") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it has ended");
    }
    // A line each; half of the pipe, and then more than the other half takes.
    while ioctl_fionread(lines.get_ref()).unwrap() < 2000 {
        world.hotseat(&["reload"]);
    }
    (0..40).for_each(|_| drop(world.hotseat(&["reload"])));
    sh(&format!("kill -TERM {}", daemon.id()));
    assert!(daemon.wait().unwrap().success());
}

#[test]
fn a_configuration_is_checked_before_it_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("hotseat.toml");
    let profiles = directory.path().join("profiles");
    fs::create_dir(&profiles).unwrap();
    let check = || {
        let config = file.display().to_string();
        let command = [HOTSEAT.as_str(), "check-config", "--config", &config];
        Program::start(&command).rest()
    };
    let valid = format!("log = \"json\"\nprofiles = \"{}\"\n", profiles.display());
    fs::write(&file, &valid).unwrap();
    assert!(check().contains("the configuration is valid"), "{}", check());

    fs::write(&file, "allow_uids = []\nlog = \"loud\"\n").unwrap();
    let told = check();
    assert!(
        told.contains("line 2") && told.contains("loud") && told.contains("journald"),
        "{told}"
    );

    fs::write(&file, valid).unwrap();
    fs::write(profiles.join("mine.toml"), "title = 5\n").unwrap();
    let told = check();
    assert!(told.contains("mine.toml") && told.contains("line 1"), "{told}");
}
