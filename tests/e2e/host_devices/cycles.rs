//! A dongle that is plugged in and pulled out, again and again. `HOTSEAT_SOAK=500 cargo xtask test host_devices::cycles` is
//! the long run; the gate has a short one.

use super::gadget::ConBee;
use super::{expect_event, session, watching};
use crate::harness::{Container, HOTSEAT, Program, say, sh};

/// Plugs, if nothing else is said.
const CYCLES: u32 = 25;

/// What looks at the container from inside: what there is in /dev and what udev says; and opens the line by each of its names,
/// of which it keeps one open until that is gone, if it is told so.
const INSIDE: &str = r#"
import glob, os, sys
def listing():
    roots = "/dev", "/run/udev"
    return sorted(os.path.join(top, name) for root in roots for top, down, up in os.walk(root) for name in down + up)
for line in sys.stdin:
    word = line.strip()
    if word == "list":
        print("there", hash(str(listing())), len(listing()), flush=True)
    else:
        names = ["/dev/ttyACM0", "/dev/zigbee"] + glob.glob("/dev/serial/by-id/*DE2706277*") + glob.glob("/dev/bus/usb/*/*")
        opened = [os.open(name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK) for name in names]
        held = opened.pop(0) if word == "hold" else None
        for fd in opened:
            os.close(fd)
        print("opened", len(names), os.path.exists("/run/udev/data/c166:0"), flush=True)
        if held is not None:
            os.set_blocking(held, True)
            while os.read(held, 16):
                pass
            os.close(held)
"#;

#[test]
fn plugs_of_a_dongle_leave_nothing_behind() {
    let cycles = std::env::var("HOTSEAT_SOAK").map_or(CYCLES, |cycles| cycles.parse().unwrap());
    say(&format!("{cycles} plugs of a dongle"));
    let conbee = ConBee::new();
    let daemon = watching();
    let container = Container::start("cycles");
    session(&daemon, "s", &container);
    // The USB node and the serial line, with all their names.
    let identity = ["--vendor", "1cf1", "--product", "0030", "--link", "zigbee"];
    daemon.hotseat(&[&["rule", "add", "s"], &identity[..]].concat());
    let socket = daemon.path("sock").display().to_string();
    let mut watcher = Program::start_unlimited(&[
        &HOTSEAT, "--socket", &socket, "watch", "--json", "--since", "0-0",
    ]);
    watcher.expect(r#""event":"attached""#);
    let mut inside = Program::start_unlimited(&[
        "docker",
        "exec",
        "--interactive",
        &container.name,
        "python3",
        "-u",
        "-c",
        INSIDE,
    ]);
    let mut first = None;
    for cycle in 1..=cycles {
        if cycle % 25 == 0 {
            say(&format!("  plug {cycle}"));
        }
        conbee.plug();
        expect_event(&mut watcher, "host-plugged", "/dev/ttyACM0");
        // Every other time it is open while it goes, and hangs up.
        inside.say(if cycle % 2 == 0 { "hold" } else { "open" });
        assert_eq!(inside.expect("opened").trim(), "opened 4 True", "cycle {cycle}");
        conbee.unplug();
        expect_event(&mut watcher, "host-unplugged", "/dev/ttyACM0");
        expect_event(&mut watcher, "host-unplugged", "/dev/bus");
        // It answers when it has let go of the line, whose number is free then.
        inside.say("list");
        let there = inside.expect("there");
        let (before, mounts_before, there_before) =
            first.get_or_insert_with(|| (daemon.traces(), mounts(), there.clone()));
        daemon.returns_to(before);
        assert_eq!((&mounts(), &there), (&*mounts_before, &*there_before), "cycle {cycle}");
    }
    println!("after each of them: {:?}", first.unwrap());
    inside.end("KILL");
    watcher.end("TERM");
}

fn mounts() -> String {
    sh("grep hotseat /proc/self/mountinfo | sort || true")
}
