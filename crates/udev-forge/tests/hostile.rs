//! Devices with hostile names, told of by the systemd-udevd of this machine and by us. Needs root, uinput
//! and systemd-udevd.

#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::{env, fs};

use evdev::uinput::VirtualDevice;
use evdev::{AttributeSet, KeyCode};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt,
    socket, sockopt,
};
use nix::sys::time::TimeVal;
use udev_forge::{Forged, Hwdb, ReadError, Stamp, SysDevice};

/// Whether devices can be made and udevd tells of them; if not, that is said on standard error.
fn udevd_runs() -> bool {
    let uinput = OpenOptions::new().write(true).open("/dev/uinput").is_ok();
    let runs = uinput && Path::new("/run/udev/control").exists();
    if !runs {
        assert!(env::var_os("HOTSEAT_VM").is_none(), "the test machine has uinput and udevd");
        // Not captured by the test harness, unlike eprintln.
        io::stderr().write_all(b"SKIP(no uinput or no systemd-udevd)\n").unwrap();
    }
    runs
}

/// Listens to udevd's messages, as bytes.
fn listen() -> OwnedFd {
    let protocol = SockProtocol::NetlinkKObjectUEvent;
    let socket =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).unwrap();
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 2)).unwrap();
    // A udevd that hangs ends the test.
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(60, 0)).unwrap();
    socket
}

type Values = BTreeMap<String, Vec<u8>>;

/// What udevd says of the new device at `syspath`.
fn heard(socket: &OwnedFd, syspath: &Path) -> Values {
    let devpath = syspath.to_str().unwrap().strip_prefix("/sys").unwrap();
    loop {
        let mut buffer = [0; 8192];
        let size = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()).unwrap();
        let entries = buffer[40..size].split(|byte| *byte == 0);
        let pairs = entries.filter_map(|entry| {
            let end = entry.iter().position(|byte| *byte == b'=')?;
            let key = String::from_utf8(entry[..end].to_vec()).unwrap();
            Some((key, entry[end + 1..].to_vec()))
        });
        let values: Values = pairs.collect();
        let is = |key: &str, value: &str| values.get(key).is_some_and(|v| v == value.as_bytes());
        if is("DEVPATH", devpath) && is("ACTION", "add") {
            return comparable(values);
        }
    }
}

/// What we say of it.
fn forged(syspath: &Path) -> Result<Values, ReadError> {
    let device = SysDevice::read(syspath)?;
    let message = Forged::add(&device, &Hwdb::empty(), Stamp { seqnum: 1, usec_initialized: 1 })
        .add_message();
    let pairs = message.properties().iter();
    let values = pairs.map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()));
    Ok(comparable(values.collect()))
}

/// Without the numbers of the event.
fn comparable(mut values: Values) -> Values {
    values.retain(|key, _| {
        !["SEQNUM", "USEC_INITIALIZED", "UDEV_DATABASE_VERSION"].contains(&key.as_str())
    });
    values
}

/// A device of this name. It has keys, as nothing that is made of it depends on them.
fn device(name: &[u8]) -> VirtualDevice {
    let keys: AttributeSet<KeyCode> = [KeyCode::KEY_A, KeyCode::KEY_B].into_iter().collect();
    let builder = VirtualDevice::builder().unwrap().name(name);
    builder.with_keys(&keys).unwrap().build().unwrap()
}

/// The input device and its event node.
fn syspaths(device: &mut VirtualDevice) -> [PathBuf; 2] {
    let input = device.get_syspath().unwrap().canonicalize().unwrap();
    let mut entries = fs::read_dir(&input).unwrap().map(|entry| entry.unwrap());
    let is_event = |name: OsString| name.to_string_lossy().starts_with("event");
    let event = entries.find(|entry| is_event(entry.file_name())).unwrap();
    [input, event.path()]
}

#[test]
fn names_are_passed_on_as_udevd_does_it() {
    if !udevd_runs() {
        return;
    }
    let socket = listen();
    // As long as uinput takes them from this test's library.
    let long = "x".repeat(78);
    let names = [
        "plain",
        "a=b",
        "ID_SEAT=seat0",
        "quote\"d 'x'",
        "back\\slash \\x20 \\n",
        "\u{fc}bung \u{4e00}\u{1f3ae}",
        "control\u{1}\u{1b}[2J\u{7f}\tcharacters",
        " spaces  everywhere ",
        "per%cent $kernel $env{ID_SEAT} %k {x}",
        "semi;colon,?*[]()<>|&#",
        "not DVB, but dvb",
        long.as_str(),
    ];
    for name in names {
        let mut device = device(name.as_bytes());
        for syspath in syspaths(&mut device) {
            let theirs = heard(&socket, &syspath);
            let ours = forged(&syspath).unwrap();
            assert_eq!(ours, theirs, "{name}: {}", syspath.display());
        }
    }
}

/// udevd cuts the property, and for the device's nodes takes the rest of the name for a line of the
/// kernel's: a name can give the node a seat. We refuse the device.
#[test]
fn a_line_break_in_a_name_fools_udevd_but_not_us() {
    if !udevd_runs() {
        return;
    }
    let socket = listen();
    let mut device = device(b"pad\nID_SEAT=seat9");
    let [input, event] = syspaths(&mut device);
    assert_eq!(heard(&socket, &input)["NAME"], b"\"pad");
    assert_eq!(heard(&socket, &event)["ID_SEAT"], b"seat9\"");
    for syspath in [input, event] {
        assert!(matches!(forged(&syspath), Err(ReadError::Malformed { .. })));
    }
}

/// Every libudev takes any bytes; here they become U+FFFD, as properties are text.
#[test]
fn what_is_not_utf_8_becomes_the_replacement_character() {
    if !udevd_runs() {
        return;
    }
    let socket = listen();
    let mut device = device(b"pad \xff");
    let [input, event] = syspaths(&mut device);
    let mut theirs = heard(&socket, &input);
    assert_eq!(theirs["NAME"], b"\"pad \xff\"");
    theirs.insert("NAME".to_owned(), "\"pad \u{fffd}\"".into());
    assert_eq!(forged(&input).unwrap(), theirs);
    assert_eq!(forged(&event).unwrap(), heard(&socket, &event));
}
