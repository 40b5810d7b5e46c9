//! What unmodified programs in a running container see.

use crate::harness::{Container, Daemon, SDL_TESTS};

/// SDL's own testjoystick, started before the plug, sees the pad come, move, be pressed and leave.
fn sdl_sees_a_pad_come_and_go(environment: &[&str]) {
    let daemon = Daemon::start();
    let container = Container::start("sdl");
    let confinement = container.sh("cat /proc/self/attr/current");
    assert_eq!(confinement.trim(), "docker-default (enforce)");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);

    let mut environment = environment.to_vec();
    environment.push("SDL_VIDEODRIVER=dummy");
    let testjoystick = format!("{SDL_TESTS}/testjoystick");
    let mut sdl = container.program(&environment, &[&testjoystick]);
    // SDL does not say when it listens: the first pad may be one that it finds at its start, the second and
    // third are hotplugged for sure.
    for _ in 0..3 {
        let pad = daemon.plug("s", "xbox-one");
        sdl.expect("Joystick device 0 added");
        sdl.expect("name: Xbox One S Controller");
        sdl.expect("rumble: yes");
        sdl.expect("buttons: 11");
        daemon.hotseat(&["send", "s", &pad.slot(), "lx=-0.5"]);
        sdl.expect("axis 0 value: -16384");
        daemon.hotseat(&["send", "s", &pad.slot(), "south=1"]);
        sdl.expect("button 0 down");
        daemon.hotseat(&["send", "s", &pad.slot(), "south=0"]);
        sdl.expect("button 0 up");
        daemon.hotseat(&["unplug", "s", &pad.slot()]);
        sdl.expect("removed.");
    }
}

#[test]
fn sdl_sees_a_pad_come_and_go_by_udev() {
    sdl_sees_a_pad_come_and_go(&[]);
}

#[test]
fn sdl_sees_a_pad_come_and_go_by_inotify() {
    sdl_sees_a_pad_come_and_go(&["SDL_JOYSTICK_DISABLE_UDEV=1"]);
}

#[test]
fn a_program_started_after_the_plug_finds_the_pad() {
    let daemon = Daemon::start();
    let container = Container::start("late");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let pad = daemon.plug("s", "xbox-one");

    let testjoystick = format!("{SDL_TESTS}/testjoystick");
    let mut sdl = container.program(&["SDL_VIDEODRIVER=dummy"], &[&testjoystick]);
    sdl.expect("name: Xbox One S Controller");

    // libudev: enumeration by property reads the database.
    let mut udev = container.python(
        "import pyudev\n\
         found = pyudev.Context().list_devices(subsystem='input', ID_INPUT_JOYSTICK='1')\n\
         print(*sorted(d.device_node for d in found if d.device_node and d.is_initialized))",
    );
    let nodes = format!("{} {}", pad.node("event"), pad.node("js"));
    udev.expect(&nodes);
}

#[test]
fn udevadm_monitor_prints_the_forged_events() {
    let daemon = Daemon::start();
    let container = Container::start("monitor");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let mut monitor = container.program(&[], &["udevadm", "monitor", "--udev", "--property"]);
    monitor.expect("UDEV - the event which udev sends out after rule processing");
    let pad = daemon.plug("s", "xbox-one");
    let (event, js) = (pad.node("event"), pad.node("js"));

    monitor.expect("add      /devices/virtual/input/input");
    monitor.expect("NAME=\"Microsoft X-Box One S pad\"");
    monitor.expect("TAGS=:seat:");
    for node in [&event, &js] {
        monitor.expect("add      /devices/virtual/input/input");
        monitor.expect(&format!("DEVNAME={node}"));
        monitor.expect("ID_INPUT=1");
        monitor.expect("ID_INPUT_JOYSTICK=1");
        monitor.expect(".INPUT_CLASS=joystick");
        monitor.expect("MAJOR=13");
        monitor.expect("TAGS=:");
    }
    daemon.hotseat(&["unplug", "s", &pad.slot()]);
    for node in [&js, &event] {
        monitor.expect("remove   /devices/virtual/input/input");
        monitor.expect(&format!("DEVNAME={node}"));
        monitor.expect("ID_INPUT_JOYSTICK=1");
    }
    monitor.expect("remove   /devices/virtual/input/input");
    monitor.expect("ID_INPUT_JOYSTICK=1");
}

#[test]
fn libinput_sees_keyboard_and_mouse() {
    let daemon = Daemon::start();
    let container = Container::start("libinput");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let command = ["stdbuf", "-oL", "libinput", "debug-events", "--show-keycodes"];
    let mut libinput = container.program(&[], &command);
    // It says so when there is nothing at its start; after that it listens.
    libinput.expect("Expected device added events on startup but got none");

    let mouse = daemon.plug("s", "mouse");
    let added = libinput.expect("DEVICE_ADDED");
    assert!(added.contains("Virtual mouse") && added.contains("cap:p"), "{added}");
    let keyboard = daemon.plug("s", "keyboard");
    let added = libinput.expect("DEVICE_ADDED");
    assert!(added.contains("Virtual keyboard") && added.contains("cap:k"), "{added}");

    daemon.hotseat(&["send", "s", &mouse.slot(), "dx=5", "dy=3"]);
    libinput.expect("( +5.00/ +3.00)");
    daemon.hotseat(&["send", "s", &mouse.slot(), "left=1"]);
    libinput.expect("BTN_LEFT (272) pressed");
    daemon.hotseat(&["send", "s", &mouse.slot(), "left=0"]);
    libinput.expect("BTN_LEFT (272) released");
    daemon.hotseat(&["send", "s", &mouse.slot(), "wheel=1"]);
    libinput.expect("POINTER_SCROLL_WHEEL");
    daemon.hotseat(&["send", "s", &keyboard.slot(), "a=1"]);
    libinput.expect("KEY_A (30) pressed");
    daemon.hotseat(&["send", "s", &keyboard.slot(), "a=0"]);
    libinput.expect("KEY_A (30) released");
    daemon.hotseat(&["unplug", "s", &mouse.slot()]);
    let removed = libinput.expect("DEVICE_REMOVED");
    assert!(removed.contains("Virtual mouse"), "{removed}");
}

#[test]
fn python_evdev_reads_exact_values() {
    let daemon = Daemon::start();
    let container = Container::start("evdev");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let pad = daemon.plug("s", "xbox-one");
    let script = format!(
        "import evdev\n\
         d = evdev.InputDevice('{}')\n\
         print(d.name, d.phys, hex(d.info.vendor), hex(d.info.product), flush=True)\n\
         for e in d.read_loop(): print(e.type, e.code, e.value, flush=True)",
        pad.node("event")
    );
    let mut evdev = container.python(&script);
    evdev.expect("Microsoft X-Box One S pad hotseat/s/0 0x45e 0x2ea");
    // Several controls of one frame arrive as one packet: nothing between them and the SYN_REPORT.
    daemon.hotseat(&["send", "s", "0", "lx=-1", "ly=1", "rt=0.5", "dpad_x=-1", "west=1"]);
    let mut packet = Vec::new();
    loop {
        let line = evdev.expect(" ");
        if line.trim() == "0 0 0" {
            break;
        }
        packet.push(line.trim().to_owned());
    }
    packet.sort();
    // EV_KEY 0x133 is what xpad sends for X; EV_ABS X, Y, RZ, HAT0X.
    assert_eq!(packet, ["1 307 1", "3 0 -32768", "3 1 32767", "3 16 -1", "3 5 512"]);
    daemon.hotseat(&["send", "s", "0", "BTN_NORTH=0", "ABS_X=-123"]);
    evdev.expect("1 307 0");
    evdev.expect("3 0 -123");
}

#[test]
fn a_game_that_uploads_rumble_is_answered() {
    let daemon = Daemon::start();
    let container = Container::start("rumble");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let pad = daemon.plug("s", "xbox-one");
    let script = format!(
        "from evdev import ecodes, ff, InputDevice\n\
         d = InputDevice('{}')\n\
         rumble = ff.Rumble(strong_magnitude=0xffff, weak_magnitude=0x8000)\n\
         effect = ff.Effect(ecodes.FF_RUMBLE, -1, 0, ff.Trigger(0, 0), ff.Replay(500, 0), \
                            ff.EffectType(ff_rumble_effect=rumble))\n\
         id = d.upload_effect(effect)\n\
         d.write(ecodes.EV_FF, id, 1)\n\
         d.erase_effect(id)\n\
         print('answered', id, flush=True)",
        pad.node("event")
    );
    container.python(&script).expect("answered 0");
}
