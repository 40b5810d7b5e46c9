//! The systemd units as they are shipped, with the paths that they have.

use std::fs;
use std::path::Path;

use crate::harness::{Container, HOTSEAT, IMAGE, Program, devices_of_hotseat, sh};

pub(crate) const PROGRAM: &str = "/usr/local/bin/hotseat";
const UNITS: &str = "/run/systemd/system";

/// Installed and started as the first request does it.
pub(crate) struct Shipped;

impl Shipped {
    pub(crate) fn start() -> Self {
        sh("modprobe -a uinput uhid joydev hid-playstation; systemctl start docker");
        let _ = fs::remove_file(PROGRAM);
        std::os::unix::fs::symlink(HOTSEAT.as_str(), PROGRAM).unwrap();
        for (name, text) in [
            ("hotseat.service", include_str!("../../assets/systemd/hotseat.service")),
            ("hotseat.socket", include_str!("../../assets/systemd/hotseat.socket")),
        ] {
            fs::write(Path::new(UNITS).join(name), text).unwrap();
        }
        sh("systemctl daemon-reload; systemctl start hotseat.socket");
        Self
    }
}

impl Drop for Shipped {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", sh("journalctl --unit hotseat.service --lines 50 --no-pager"));
        }
        // Its end alone would keep everything (docs/survive.md).
        sh(&format!(
            "for session in $({PROGRAM} session ls | awk 'NR > 1 {{ print $1 }}'); do {PROGRAM} session rm $session; done; \
             systemctl stop hotseat.socket hotseat.service; systemctl clean --what=fdstore hotseat.service; \
             umount -R /run/hotseat/stage; rm -r {UNITS}/hotseat.* {PROGRAM} /run/hotseat; \
             systemctl daemon-reload"
        ));
    }
}

fn property(name: &str) -> String {
    sh(&format!("systemctl show --property {name} --value hotseat.service")).trim().to_owned()
}

/// What the shipped command line prints.
pub(crate) fn hotseat(arguments: &str) -> String {
    sh(&format!("{PROGRAM} {arguments}"))
}

/// Opens every node that the devices of a session should have, in its container.
fn opens(container: &Container) {
    container.sh("for node in /dev/input/event* /dev/input/js* /dev/hidraw*; do : <>$node; done; ls /run/udev/data/c13:*");
}

#[test]
fn the_first_request_starts_the_daemon_and_the_socket_outlives_it() {
    let _shipped = Shipped::start();
    assert_eq!(property("ActiveState"), "inactive");
    assert!(hotseat("session ls").contains("SESSION"));
    assert_eq!(property("ActiveState"), "active");
    let first = property("MainPID");

    // A request that comes while there is no daemon waits for the next one.
    sh("systemctl stop hotseat.service");
    assert!(Path::new("/run/hotseat/hotseat.sock").exists());
    hotseat("session add alice");
    assert_ne!(property("MainPID"), first);
    hotseat("reload");
    assert_eq!(property("Result"), "success");
}

#[test]
fn under_the_unit_as_shipped_everything_works() {
    let shipped = Shipped::start();
    let containers =
        [Container::start("shipped"), Container::start_with("shipped-caps", "--cap-add ALL", "")];
    for (session, container) in ["a", "b"].iter().zip(&containers) {
        hotseat(&format!("session add {session} --container {}", container.reference()));
        for profile in ["xbox-360", "dualsense", "keyboard"] {
            hotseat(&format!("plug {session} {profile}"));
        }
        opens(container);
        hotseat(&format!("send {session} 0 south=1 lx=-0.5"));
        hotseat(&format!("send {session} 1 south=1"));
        assert!(hotseat(&format!("who {session} 0")).contains("PID"));
    }
    // Into another container, and back out of everything.
    let other = Container::start("shipped-other");
    hotseat(&format!("session move b {}", other.reference()));
    opens(&other);
    hotseat("unplug a 0");

    // Users of its own, and a root that is not the host's.
    let map = "--uidmap 0:300000:65536 --gidmap 0:300000:65536";
    sh(&format!("podman run --detach --name hotseat-shipped {map} {IMAGE} sleep infinity"));
    let pid = sh("podman inspect --format '{{.State.Pid}}' hotseat-shipped");
    hotseat(&format!("session add p --container pid:{}", pid.trim()));
    hotseat("plug p dualsense");
    sh(
        "podman exec hotseat-shipped sh -c 'for node in /dev/input/event* /dev/hidraw*; do : <>$node; done'",
    );
    hotseat("session rm p");
    sh("podman rm --force --time 0 hotseat-shipped");

    // The sandbox, and a container that is started with the session's directories.
    let inside =
        "sh -c 'for node in /dev/input/event* /dev/hidraw*; do : <>$node; done; echo opened'";
    let ran = hotseat(&format!("run --session box --plug xbox-360 --plug dualsense -- {inside}"));
    assert!(ran.contains("opened"), "{ran}");
    hotseat("session add prepared");
    let flags = hotseat("session show prepared --flags");
    sh(&format!("docker run --rm {} {IMAGE} test -S /run/udev/control", flags.trim()));

    // Nothing on this host is missing, and none of it was refused.
    let doctor = sh(&format!("{PROGRAM} doctor {} || true", containers[0].reference()));
    assert!(!doctor.contains("FAILED"), "{doctor}");
    drop(shipped);
    assert_eq!(devices_of_hotseat(), std::collections::BTreeSet::new());
    assert!(!fs::read_to_string("/proc/mounts").unwrap().contains("/run/hotseat"));
}

#[test]
fn the_network_is_for_those_who_want_it() {
    const CONFIG: &str = "/etc/hotseat/hotseat.toml";
    let _shipped = Shipped::start();
    fs::create_dir_all("/etc/hotseat").unwrap();
    fs::write(CONFIG, "[remote]\nlisten = \"127.0.0.1:47801\"\n").unwrap();
    let of_remote = |doctor: &str| {
        doctor.lines().find(|line| line.contains(" remote ")).unwrap_or_default().to_owned()
    };
    // The unit alone has none.
    let without = of_remote(&sh(&format!("{PROGRAM} doctor || true")));
    assert!(without.starts_with("FAILED") && without.contains("127.0.0.1:47801"), "{without}");
    let drop_in = Path::new(UNITS).join("hotseat.service.d");
    fs::create_dir_all(&drop_in).unwrap();
    fs::write(drop_in.join("remote.conf"), include_str!("../../assets/systemd/remote.conf"))
        .unwrap();
    sh("systemctl daemon-reload; systemctl restart hotseat.service");
    let with = of_remote(&sh(&format!("{PROGRAM} doctor || true")));
    assert!(with.starts_with("ok") && with.contains("fingerprint"), "{with}");
    hotseat("session add afar");
    let token: serde_json::Value = serde_json::from_str(&hotseat("token afar --json")).unwrap();
    let text = |name: &str| token[name].as_str().unwrap().to_owned();
    let fingerprint = text("fingerprint").parse().unwrap();
    let options = hotseat_client::Options::new(text("listen"), fingerprint, "afar", text("token"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        hotseat_client::Client::connect(options).await.unwrap().close().await;
    });
    sh("rm -r /etc/hotseat /var/lib/hotseat");
}

/// As docs/service.md says; the way there is in its tables.
#[test]
fn the_exposure_is_as_documented() {
    let _shipped = Shipped::start();
    let told =
        Program::start(&["systemd-analyze", "security", "--no-pager", "hotseat.service"]).rest();
    let line = told.lines().last().unwrap_or_default();
    let level = line.split_whitespace().find(|word| word.parse::<f32>().is_ok()).unwrap();
    let page = include_str!("../../docs/service.md");
    assert!(page.contains(&format!("exposure level of **{level}**")), "{told}");
}
