//! Whole pads made through uhid, in a container.

use crate::harness::{Container, Daemon, SDL_TESTS, sh};

#[test]
fn sdl_plays_with_a_dualsense() {
    let daemon = Daemon::start();
    let container = Container::start("dualsense");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let testjoystick = format!("{SDL_TESTS}/testjoystick");
    let mut sdl = container.program(&["SDL_VIDEODRIVER=dummy"], &[&testjoystick]);
    // The same slot each time, so the same pad.
    let mut identity = None;
    for _ in 0..2 {
        let pad = daemon.plug("s", "dualsense");
        sdl.expect("Joystick device 0 added");
        sdl.expect("rumble: yes");
        daemon.hotseat(&["send", "s", &pad.slot(), "south=1", "lx=-1"]);
        sdl.expect("button 0 down");
        daemon.hotseat(&["send", "s", &pad.slot(), "south=0", "lx=0"]);
        sdl.expect("button 0 up");

        let uniq = container.sh("cat /sys/class/input/event*/device/uniq | sort -u | grep :");
        assert_eq!(*identity.get_or_insert(uniq.clone()), uniq);
        daemon.hotseat(&["unplug", "s", &pad.slot()]);
        sdl.expect("removed.");
    }
}

#[test]
fn sensors_touchpad_lights_and_battery_are_announced() {
    let daemon = Daemon::start();
    let container = Container::start("whole");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let mut monitor = container.program(&[], &["udevadm", "monitor", "--udev"]);
    monitor.expect("UDEV - the event which udev sends out after rule processing");
    let pad = daemon.plug("s", "dualsense");
    for (action, what) in [
        ("add", "(hid)"),
        ("add", "(input)"),
        ("add", "(leds)"),
        ("add", "(power_supply)"),
        ("bind", "(hid)"),
    ] {
        let line = monitor.expect(what);
        assert!(line.contains(action), "{line}");
    }
    let database = container.sh("cat /run/udev/data/*");
    for property in ["ID_INPUT_JOYSTICK=1", "ID_INPUT_ACCELEROMETER=1", "ID_INPUT_TOUCHPAD=1"] {
        assert!(database.contains(property), "{database}");
    }

    // The motion sensors work: turning the pad arrives at a program.
    let mut reader = container.python(
        "import evdev\n\
         devices = [evdev.InputDevice(path) for path in evdev.list_devices()]\n\
         sensors = next(d for d in devices if 'Motion' in d.name)\n\
         print('reading', flush=True)\n\
         for event in sensors.read_loop():\n    \
             if (event.type, event.code) == (3, 3) and event.value > 500000:\n        \
                 print('turning', flush=True)\n        \
                 break",
    );
    reader.expect("reading");
    // About 57 degrees per second in 1/1024 each (hid-playstation's DS_GYRO_RES_PER_DEG_S).
    daemon.hotseat(&["send", "s", &pad.slot(), "gyro_x=10"]);
    reader.expect("turning");

    daemon.hotseat(&["unplug", "s", &pad.slot()]);
    monitor.expect("unbind");
    monitor.expect("remove");
    assert_eq!(container.sh("ls /run/udev/data /dev/input").matches("event").count(), 0);
    assert_eq!(sh("ls /sys/bus/hid/drivers/playstation").matches("054C").count(), 0);
}
