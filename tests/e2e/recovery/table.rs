//! Death at every step: what the world is afterwards.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use hotseat::fault;

use super::world::World;
use crate::harness::{Container, Daemon, HOTSEAT, Program};

/// What there is to be in the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    /// As if the request had never come.
    Before,
    /// As if it had been answered.
    After,
}
use To::{After, Before};

/// A daemon that is killed, and what it is compared with.
struct Scene {
    daemon: Daemon,
    containers: [Container; 2],
    pids: [u32; 2],
    /// The points that were tried.
    tried: Vec<&'static str>,
}

/// What a request does, and how that is undone.
type Request<'a> = (&'a str, &'a str, String);

impl Scene {
    fn new() -> Self {
        let mut daemon = Daemon::start();
        let cdi = daemon.path("cdi").display().to_string();
        daemon.relaunch_with(&format!("cdi_dir = \"{cdi}\""));
        let containers = ["one", "two"].map(Container::start);
        let pids = [&containers[0], &containers[1]].map(Container::pid);
        daemon.hotseat(&["session", "add", "s", "--container", &containers[0].reference()]);
        daemon.plug("s", "xbox-one");
        // So that the specification is as it will be.
        daemon.hotseat(&["session", "add", "t"]);
        daemon.hotseat(&["session", "rm", "t"]);
        Self { daemon, containers, pids, tried: Vec::new() }
    }

    fn world(&self) -> World {
        World::now(&self.daemon, &self.pids)
    }

    fn ask(&self, (method, path, body): &Request<'_>) {
        let (status, answer) = self.daemon.call(method, path, body);
        assert!((200..300).contains(&status), "{method} {path}: {answer}");
    }

    /// Tries the request without being killed first, which says what it does; then dies at each point.
    fn tries(&mut self, request: &Request<'_>, undo: &Request<'_>, table: &[(&'static str, To)]) {
        let before = self.world();
        self.ask(request);
        let after = self.world();
        self.ask(undo);
        before.is_back(&self.daemon, &self.pids);
        assert_ne!(before, after);
        for &(fault, to) in table {
            eprintln!("{fault}");
            self.daemon.arm(fault);
            die(&self.daemon, request);
            self.daemon.died();
            self.revive(fault);
            match to {
                Before => before.is_back(&self.daemon, &self.pids),
                After => {
                    after.is_back(&self.daemon, &self.pids);
                    self.ask(undo);
                }
            }
        }
    }

    /// Starts the daemon again, which has ended.
    fn revive(&mut self, fault: &'static str) {
        self.daemon.disarm();
        self.daemon.launch();
        self.tried.push(fault.split(':').next().unwrap());
    }
}

/// Sends a request that nobody will answer.
fn die(daemon: &Daemon, (method, path, body): &Request<'_>) {
    let mut stream = UnixStream::connect(daemon.path("sock")).unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: hotseat\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert_eq!(answer, "", "the point was not passed");
}

fn attach_to(container: &Container) -> String {
    format!("{{\"container\":\"{}\"}}", container.reference())
}

#[test]
fn at_every_step_of_every_request() {
    let mut scene = Scene::new();
    let [one, two] = [&scene.containers[0], &scene.containers[1]].map(attach_to);
    let plug_it = |profile| format!("{{\"profile\":\"{profile}\"}}");
    let plug = ("POST", "/v1/sessions/s/devices", plug_it("mouse"));
    let unplug = ("DELETE", "/v1/sessions/s/devices/1", String::new());
    let plug_pad = ("POST", "/v1/sessions/s/devices", plug_it("dualsense"));

    scene.tries(
        &plug,
        &unplug,
        &[
            ("plug.begin", Before),
            ("plug.intended", Before),
            ("plug.created", Before),
            ("plug.stored", Before),
            ("plug.read", Before),
            ("plug.granted-one", Before),
            ("plug.granted", Before),
            ("plug.recorded-one", Before),
            ("plug.recorded", Before),
            ("plug.placed", Before),
            ("plug.kept", Before),
            ("plug.announced-one", Before),
            ("plug.announced", Before),
            ("plug.verified", Before),
            ("plug.ended", After),
            // Its intent, and its end.
            ("journal.write", Before),
            ("journal.written", Before),
            ("journal.synced", Before),
            ("journal.write:kill:2", Before),
            ("journal.written:kill:2", After),
            ("journal.synced:kill:2", After),
        ],
    );
    // A pad has nodes of every kind, and a link.
    scene.tries(
        &plug_pad,
        &unplug,
        &[
            ("plug.recorded-one:kill:3", Before),
            ("plug.placed-one", Before),
            ("plug.linked-one", Before),
            ("plug.announced-one:kill:2", Before),
        ],
    );

    scene.ask(&plug);
    scene.tries(
        &unplug,
        &plug,
        &[
            ("unplug.intended", After),
            ("unplug.removed-one", After),
            ("unplug.removed", After),
            ("unplug.revoked", After),
            ("unplug.closing", After),
            ("unplug.forgotten", After),
            ("unplug.announced", After),
            ("unplug.ended", After),
        ],
    );
    scene.ask(&unplug);
    scene.ask(&plug_pad);
    scene.tries(
        &unplug,
        &plug_pad,
        &[("unplug.unlinked-one", After), ("unplug.removed-one:kill:2", After)],
    );
    scene.ask(&unplug);

    let go = ("POST", "/v1/sessions/s/move", two.clone());
    let back = ("POST", "/v1/sessions/s/move", one);
    scene.tries(
        &go,
        &back,
        &[
            ("move.intended", Before),
            ("leave.intended", Before),
            ("leave.unplugged", Before),
            ("leave.revoked", Before),
            ("leave.unmounted", Before),
            ("leave.ended", Before),
            ("move.left", Before),
            ("attach.mounted", Before),
            ("move.opened", Before),
            ("move.ended", After),
        ],
    );

    let add = ("POST", "/v1/sessions", two.replace('{', "{\"name\":\"t\","));
    let remove = ("DELETE", "/v1/sessions/t", String::new());
    scene.tries(
        &add,
        &remove,
        &[
            ("add.intended", Before),
            ("add.staged", Before),
            ("add.shown", Before),
            ("add.made", Before),
            ("cdi.written", Before),
            ("add.cdi", Before),
            ("attach.claimed", Before),
            ("attach.opened", Before),
            ("attach.intended", Before),
            ("attach.mounted", Before),
            ("attach.ended", Before),
            ("add.ended", After),
        ],
    );

    scene.ask(&add);
    scene.tries(
        &remove,
        &add,
        &[
            ("remove.intended", After),
            ("leave.unmounted", After),
            ("remove.closed", After),
            ("remove.deleted", After),
            ("remove.ended", After),
        ],
    );
    scene.ask(&remove);

    dies_while_it_starts(&mut scene);
    a_sandbox_ends(&mut scene);
    let mut untried = fault::POINTS.to_vec();
    untried.retain(|point| !point.starts_with("host.") && !scene.tried.contains(point));
    assert_eq!(untried, [""; 0], "points that nothing here passes");
}

/// A rule is promised first; what it means follows.
#[test]
fn at_every_step_of_a_device_of_the_host() {
    let mut scene = Scene::new();
    let rule = r#"{"subsystem":"rtc","access":"r"}"#.to_owned();
    let add = ("POST", "/v1/sessions/s/rules", rule);
    let remove = ("DELETE", "/v1/sessions/s/rules/1", String::new());
    scene.tries(
        &add,
        &remove,
        &[
            ("journal.write", Before),
            ("journal.synced", After),
            ("host.read", After),
            ("host.granted", After),
            ("host.recorded", After),
            ("host.placed", After),
            ("host.announced", After),
        ],
    );
    scene.ask(&add);
    scene.tries(
        &remove,
        &add,
        &[
            ("journal.write", Before),
            ("host.revoked", After),
            ("host.removed", After),
            ("host.gone", After),
        ],
    );
    let mut untried = fault::POINTS.to_vec();
    untried.retain(|point| point.starts_with("host.") && !scene.tried.contains(point));
    assert_eq!(untried, [""; 0], "points that nothing here passes");
}

/// The recovery is killed too, also while it brings back what there was.
fn dies_while_it_starts(scene: &mut Scene) {
    let before = scene.world();
    for fault in [
        "recover.read",
        "recover.taken-over",
        "recover.staged",
        "journal.written-anew",
        "journal.synced-anew",
        "journal.renamed",
        "recover.swept",
        "recover.settled",
        "recover.cleaned",
        "add.staged",
        "attach.intended",
        "attach.mounted",
        "attach.ended",
        "plug.placed-one",
        "plug.ended",
    ] {
        eprintln!("{fault}, at the start");
        scene.daemon.crash();
        scene.daemon.arm(fault);
        scene.daemon.launch_to_die();
        scene.revive(fault);
        before.is_back(&scene.daemon, &scene.pids);
    }
}

/// A container that ends by itself is left, whenever the daemon dies meanwhile.
fn a_sandbox_ends(scene: &mut Scene) {
    scene.daemon.hotseat(&["session", "add", "box"]);
    scene.daemon.disarm();
    let mut after = None;
    for fault in ["", "leave.intended", "leave.unplugged", "leave.revoked", "leave.ended"] {
        eprintln!("{fault}, as a sandbox ends");
        let socket = scene.daemon.path("sock").display().to_string();
        let run = ["run", "--session", "box", "--", "sh", "-c", "echo inside; read end"];
        let mut sandbox = Program::start(&[&[&*HOTSEAT, "--socket", &socket], &run[..]].concat());
        sandbox.expect("inside");
        if fault.is_empty() {
            scene.daemon.plug("box", "mouse");
            sandbox.close();
            scene.daemon.log().expect("the container ended");
            after = Some(scene.world());
        } else {
            scene.daemon.arm(fault);
            sandbox.close();
            scene.daemon.died();
            scene.revive(fault);
            after.as_ref().unwrap().is_back(&scene.daemon, &scene.pids);
        }
    }
    scene.daemon.hotseat(&["session", "rm", "box"]);
    assert!(fs::read_dir("/sys/fs/cgroup/hotseat").is_err(), "its cgroup is gone");
}
