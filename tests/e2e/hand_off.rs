//! A session goes to another container, and what the old one has open is dead.

use serde_json::Value;

use crate::harness::{Container, Daemon, Program, sh};

/// Holds a node open, says when it has read from it, and why it could not read any more.
fn reader(container: &Container, node: &str) -> Program {
    let script = format!(
        "exec 3<{node}; echo reading; dd bs=4096 count=1 of=/dev/null 2>/dev/null <&3 && echo read; \
         cat <&3 >/dev/null"
    );
    let mut reader = container.program(&[], &["sh", "-c", &script]);
    reader.expect("reading");
    reader
}

/// Holds the directories open in which nodes and records show, and says what is in them, now and whenever it is told to.
fn holder(container: &Container) -> Program {
    let mut holder = container.python(
        "
import os, sys
paths = '/dev/input', '/dev/hotseat', '/run/udev', '/run/udev/data', '/run/udev/tags'
held = [(path, os.open(path, os.O_RDONLY | os.O_DIRECTORY)) for path in paths]
print('holds')
for line in sys.stdin:
    print('sees', *sorted(path + '/' + name for path, directory in held for name in os.listdir(directory)))
",
    );
    holder.expect("holds");
    holder
}

fn sees(holder: &mut Program) -> String {
    holder.say("look");
    holder.expect("sees").trim().to_owned()
}

/// What a session without a device shows.
const NO_DEVICE: &str = "sees /run/udev/control /run/udev/data /run/udev/tags";

/// `ENODEV` of an event node.
const EVENT_ENDED: &str = "No such device";

/// `EIO` of a hidraw node (drivers/hid/hidraw.c, `hidraw_read`).
const HIDRAW_ENDED: &str = "Input/output error";

/// What is to stay the same in a hand-off.
fn identity(session: &Value) -> Vec<(u64, String, String)> {
    let devices = session["devices"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    devices
        .map(|it| (it["slot"].as_u64().unwrap(), text(&it["profile"]), text(&it["name"])))
        .collect()
}

fn move_to(daemon: &Daemon, reference: &str) -> (u16, Value) {
    let body = serde_json::json!({ "container": reference }).to_string();
    daemon.call("POST", "/v1/sessions/s/move", &body)
}

#[test]
fn what_the_old_container_has_open_is_dead_and_the_new_one_plays() {
    let daemon = Daemon::start();
    let [old, new] = ["old", "new"].map(Container::start);
    let before = old.sh("ls -A /dev /run");
    daemon.hotseat(&["session", "add", "s", "--container", &old.reference()]);
    let pad = daemon.plug("s", "dualsense-bt");
    daemon.hotseat(&["plug", "s", "xbox-one", "--slot", "5", "--name", "Zoë's pad"]);
    let shown = daemon.json(&["session", "show", "s"]);
    let uniq = "cat /sys/class/input/event*/device/uniq | sort -u | grep :";
    let address = old.sh(uniq);

    let mut event = reader(&old, &pad.node("event"));
    let mut hidraw = reader(&old, &pad.node("hidraw"));
    daemon.hotseat(&["send", "s", "0", "south=1"]);
    event.expect("read\n");
    hidraw.expect("read\n");

    daemon.hotseat(&["session", "move", "s", &new.reference()]);
    event.expect(EVENT_ENDED);
    hidraw.expect(HIDRAW_ENDED);
    assert_eq!(old.sh("ls -A /dev /run"), before);
    let moved = daemon.json(&["session", "show", "s"]);
    assert_eq!(moved["container"]["reference"], new.reference());
    assert_eq!(identity(&moved), identity(&shown));
    assert_eq!(new.sh(uniq), address, "the pad has its address still");

    let pads = moved["devices"][0]["nodes"].as_array().unwrap();
    let node = |name: &str| {
        let paths = pads.iter().map(|node| node["path"].as_str().unwrap());
        paths.clone().find(|path| path.contains(name)).unwrap().to_owned()
    };
    let mut event = reader(&new, &node("event"));
    let mut hidraw = reader(&new, &node("hidraw"));
    daemon.hotseat(&["send", "s", "0", "south=1"]);
    event.expect("read\n");
    hidraw.expect("read\n");
    // Nor by a node of its own making can the old container have it.
    let event_minor = pads.iter().find(|it| it["path"] == *node("event")).unwrap();
    let refused =
        old.try_sh(&format!("mknod /tmp/try c 13 {}; exec 3<>/tmp/try", event_minor["minor"]));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not permitted"), "{refused:?}");

    // Taking a device away is no different.
    daemon.hotseat(&["unplug", "s", "0"]);
    event.expect(EVENT_ENDED);
    hidraw.expect(HIDRAW_ENDED);
}

#[test]
fn a_move_that_cannot_be_leaves_the_session_where_it_is() {
    let daemon = Daemon::start();
    let [home, link, other] = ["home", "link", "other"].map(Container::start);
    daemon.hotseat(&["session", "add", "s", "--container", &home.reference()]);
    daemon.hotseat(&["session", "add", "t", "--container", &other.reference()]);
    let pad = daemon.plug("s", "xbox-one");
    let mut event = reader(&home, &pad.node("event"));
    let shown = daemon.json(&["session", "show", "s"]);
    link.sh("ln -s /etc /dev/input");
    for (to, status, code) in [
        ("docker:nobody", 404, "container-not-found"),
        ("nonsense", 400, "container-reference"),
        (&home.reference(), 409, "session-has-container"),
        (&link.reference(), 409, "mount-point-refused"),
        (&other.reference(), 409, "network-shared"),
    ] {
        let (found, problem) = move_to(&daemon, to);
        assert_eq!((found, problem["code"].as_str()), (status, Some(code)), "{to}: {problem}");
    }
    assert_eq!(daemon.json(&["session", "show", "s"]), shown);
    daemon.hotseat(&["send", "s", "0", "south=1"]);
    event.expect("read\n");

    // What shows only when it is tried: the new container's /run has no room for a directory.
    let full = Container::start_with("full", "--tmpfs /run:nr_inodes=1", "");
    let (status, problem) = move_to(&daemon, &full.reference());
    assert_eq!((status, problem["code"].as_str()), (409, Some("mount-point-missing")), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(&format!("it is back in `{}`", home.reference())), "{detail}");
    event.expect(EVENT_ENDED);
    let back = daemon.json(&["session", "show", "s"]);
    assert_eq!(back["container"], shown["container"]);
    assert_eq!(identity(&back), identity(&shown));
    let node = back["devices"][0]["nodes"][0]["path"].as_str().unwrap();
    let mut event = reader(&home, node);
    daemon.hotseat(&["send", "s", "0", "south=1"]);
    event.expect("read\n");
    assert_eq!(full.sh("ls -A /run; ls /dev | grep -c -e input -e hotseat || true").trim(), "0");

    // A session without a container is simply attached.
    daemon.hotseat(&["session", "rm", "t"]);
    daemon.hotseat(&["session", "rm", "s"]);
    daemon.hotseat(&["session", "add", "s"]);
    let (status, session) = move_to(&daemon, &other.reference());
    assert_eq!(
        (status, &session["container"]["reference"]),
        (200, &Value::from(other.reference()))
    );
    daemon.plug("s", "mouse");
}

#[test]
fn who_holds_the_old_directories_open_sees_nothing_of_what_comes_next() {
    let mut daemon = Daemon::start();
    let [old, new] = ["old", "new"].map(Container::start);
    daemon.hotseat(&["session", "add", "s", "--container", &old.reference()]);
    let pad = daemon.plug("s", "dualsense");
    let mut olds = holder(&old);
    let seen = sees(&mut olds);
    for node in [pad.node("event"), pad.node("hidraw").replace("/dev/", "/dev/hotseat/")] {
        assert!(seen.contains(&node), "{node}: {seen}");
    }

    daemon.hotseat(&["session", "move", "s", &new.reference()]);
    daemon.plug("s", "mouse");
    assert_eq!(sees(&mut olds), NO_DEVICE);
    let mut news = holder(&new);
    let seen = sees(&mut news);
    assert!(seen.contains("/dev/input/mouse"), "{seen}");

    // Those that a killed daemon has left are the session's still, as long as it stays there.
    daemon.crash();
    daemon.launch();
    let seen = sees(&mut news);
    assert!(seen.contains("/dev/input/mouse"), "{seen}");
    daemon.hotseat(&["session", "move", "s", &old.reference()]);
    assert_eq!(sees(&mut news), NO_DEVICE);
    assert_eq!(sees(&mut olds), NO_DEVICE);
    let seen = sees(&mut holder(&old));
    assert!(seen.contains("/dev/input/mouse"), "{seen}");
}

#[test]
fn a_container_that_has_ended_leaves_nothing_to_those_who_live_on_in_it() {
    let mut daemon = Daemon::start();
    // Without a process namespace of its own: its other processes survive the first one. The shell opens /dev/null for
    // what it runs in the background.
    let script = "
        mount -t tmpfs none /dev; mount -t tmpfs none /run; : > /dev/null
        exec 4<&0
        (read line; exec 3</dev/input; echo holds
            while read line; do ls /proc/self/fd/3/; echo looked; done) <&4 &
        echo first $$; exec sleep infinity";
    let enter = ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", script];
    let mut container = Program::start(&enter);
    let first = container.expect("first").trim().replace("first ", "pid:");
    daemon.hotseat(&["session", "add", "s", "--container", &first]);
    let pad = daemon.plug("s", "xbox-one");
    container.say("hold");
    container.expect("holds");
    container.say("look");
    container.expect(pad.node("event").trim_start_matches("/dev/input/"));
    container.expect("looked");

    sh(&format!("kill {}", first.replace("pid:", "")));
    daemon.log().expect("the container ended");
    let next = Container::start("next");
    daemon.hotseat(&["session", "attach", "s", &next.reference()]);
    assert!(next.sh("ls /dev/input").contains("event"));
    container.say("look");
    assert_eq!(container.expect(""), "looked\n");
}
