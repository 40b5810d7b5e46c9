//! What real libraries make of messages that are not as they should be. Our own parser must refuse whatever
//! any of them drops: what it takes is what everybody gets.

use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sendmsg, socket,
};
use serde_json::json;
use udev_forge::Message;
use udev_forge::hash::{bloom, murmur2};

use crate::listener::{Listener, Place, Trust};

const PAIRS: [&str; 9] = [
    "ACTION=add",
    "DEVPATH=/devices/virtual/input/input20/event5",
    "SUBSYSTEM=input",
    "DEVNAME=/dev/input/event5",
    "SEQNUM=4242",
    "MAJOR=13",
    "MINOR=69",
    "USEC_INITIALIZED=123456789",
    "TAGS=:seat:uaccess:",
];

/// The pairs without those of `key`.
fn without(key: &str) -> Vec<&'static str> {
    PAIRS.into_iter().filter(|known| known.split('=').next() != Some(key)).collect()
}

fn body(pairs: &[&str]) -> Vec<u8> {
    pairs.iter().flat_map(|pair| [pair.as_bytes(), b"\0"].concat()).collect()
}

/// A datagram with this body, and a header that fits the body's `SUBSYSTEM` and `TAGS`.
fn with_body(body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(body.to_vec()).unwrap();
    let value = |key| text.split('\0').find_map(|pair| pair.strip_prefix(key)).unwrap_or_default();
    let hash = |key| if value(key).is_empty() { 0 } else { murmur2(value(key).as_bytes()) };
    let tags = value("TAGS=").split(':').filter(|tag| !tag.is_empty()).map(bloom);
    let sizes = [40, 40, u32::try_from(body.len()).unwrap()];
    let mut datagram = b"libudev\0\xfe\xed\xca\xfe".to_vec();
    datagram.extend(sizes.iter().flat_map(|size| size.to_ne_bytes()));
    datagram.extend(hash("SUBSYSTEM=").to_be_bytes());
    datagram.extend(hash("DEVTYPE=").to_be_bytes());
    datagram.extend(tags.fold(0, |bits, tag| bits | tag).to_be_bytes());
    datagram.extend(body);
    datagram
}

/// The message with the property of the same key replaced by `pair`, or `pair` added.
fn with(pair: &str) -> Vec<u8> {
    let mut pairs = without(pair.split('=').next().unwrap());
    pairs.push(pair);
    with_body(&body(&pairs))
}

fn mutations() -> Vec<(String, Vec<u8>)> {
    let valid = body(&PAIRS);
    let mut list: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, datagram: Vec<u8>| list.push((name.to_owned(), datagram));
    add("valid", with_body(&valid));
    add("extra NUL", with_body(&[&valid[..], b"\0"].concat()));
    add("unterminated", with_body(&valid[..valid.len() - 1]));
    add("empty", with_body(b""));
    for key in ["ACTION", "DEVPATH", "SUBSYSTEM", "SEQNUM", "DEVNAME", "MAJOR", "TAGS"] {
        add(&format!("no {key}"), with_body(&body(&without(key))));
    }
    for pair in SINGLE {
        add(&pair.escape_debug().to_string(), with(pair));
    }
    let long = |key: &str, size: usize| with(&format!("{key}{}", "x".repeat(size)));
    for size in [253, 254, 255, 256] {
        add(&format!("tag of {size}"), long("TAGS=", size));
        add(&format!("dotted tag of {size}"), long("TAGS=.", size - 1));
        add(&format!("DEVNAME component of {size}"), long("DEVNAME=/dev/", size));
    }
    add("SEQNUM twice", with_body(&body(&[&PAIRS[..], &["SEQNUM=7"]].concat())));
    let mut mutate = |name: &str, at: usize, bytes: &[u8]| {
        let mut datagram = with_body(&valid);
        datagram[at..at + bytes.len()].copy_from_slice(bytes);
        add(name, datagram);
    };
    mutate("other prefix", 0, b"libudex\0");
    mutate("magic swapped", 8, &0xfeed_cafe_u32.to_le_bytes());
    mutate("offset swapped", 16, &40_u32.swap_bytes().to_ne_bytes());
    mutate("offset beyond", 16, &4000_u32.to_ne_bytes());
    mutate("offset one later", 16, &41_u32.to_ne_bytes());
    mutate("header size nonsense", 12, &[0xff; 4]);
    mutate("properties size nonsense", 20, &[0xff; 4]);
    mutate("subsystem hash swapped", 24, &0x7084_a2c1_u32.to_be_bytes());
    mutate("devtype hash nonsense", 28, &[0xff; 4]);
    mutate("no bloom", 32, &[0; 8]);
    mutate("full bloom", 32, &[0xff; 8]);
    let filler = 8192 - with_body(&valid).len() - "A=\0".len();
    for (name, size) in [("8191 bytes", filler - 1), ("8192 bytes", filler), ("9000 bytes", 9000)] {
        add(name, with(&format!("A={}", "x".repeat(size))));
    }
    list
}

/// Each replaces the pair with its key.
const SINGLE: &[&str] = &[
    "NOPE",
    "=1",
    "ACTION=explode",
    "ACTION=",
    "ACTION=bind",
    "ACTION=online",
    "SEQNUM=",
    "SEQNUM=0",
    "SEQNUM=x",
    "SEQNUM=+5",
    "SEQNUM=18446744073709551615",
    "SEQNUM=18446744073709551616",
    "SUBSYSTEM=",
    "SUBSYSTEM=a/b",
    "USEC_INITIALIZED=",
    "USEC_INITIALIZED=soon",
    "USEC_INITIALIZED=0",
    "UDEV_DATABASE_VERSION=",
    "UDEV_DATABASE_VERSION=x",
    "UDEV_DATABASE_VERSION=1",
    "UDEV_DATABASE_VERSION=2",
    "MAJOR=",
    "MAJOR=0",
    "MAJOR=x",
    "MAJOR=4096",
    "MINOR=",
    "MINOR=1048576",
    "DEVPATH=",
    "DEVPATH=/",
    "DEVPATH=devices/x",
    "DEVPATH=/sys/devices/x",
    "DEVPATH=/devices/../x",
    "DEVPATH=/devices/x/",
    "DEVPATH=/devices//x",
    "DEVNAME=",
    "DEVNAME=input/event5",
    "DEVNAME=/etc/passwd",
    "DEVNAME=../etc/passwd",
    "DEVLINKS=",
    "DEVLINKS=/dev/a /dev/b",
    "DEVLINKS=/dev/a /tmp/b",
    "TAGS=seat:uaccess",
    "TAGS=:seat:uaccess",
    "TAGS=seat:uaccess:",
    "TAGS=:seat::uaccess:",
    "TAGS=:a b:",
    "TAGS=:a.b:",
    "CURRENT_TAGS=:ü:",
    "CURRENT_TAGS=:seat:",
    "CURRENT_TAGS=seat",
    "ID_EMPTY=",
    "NAME=\"Gerät\"",
    "NAME=a\nID_SEAT=x",
    "NAME=a=b",
    "DEVMODE=",
    "DEVMODE=0666",
    "DEVMODE=666",
    "DEVMODE=x",
    "DEVMODE=10000",
    "DEVUID=",
    "DEVUID=5",
    "DEVUID=x",
    "DEVUID=65535",
    "DEVGID=x",
    "DEVGID=4294967295",
    "IFINDEX=",
    "IFINDEX=0",
    "IFINDEX=3",
    "IFINDEX=x",
    "IFINDEX=2147483648",
    "DISKSEQ=",
    "DISKSEQ=0",
    "DISKSEQ=5",
    "DISKSEQ=x",
    "DRIVER=",
    "DRIVER=a/b",
    "DEVTYPE=",
    "DEVTYPE=x y",
];

/// The libraries that this was measured with.
const KNOWN: [&str; 4] = ["systemd-247", "systemd-252", "systemd-257", "eudev"];

/// Which of them drop which of the mutations; nobody drops the others.
const DROPPED: &[(&[&str], &[&str])] = &[
    (
        &["systemd-257"],
        &[
            "DEVNAME=",
            "DEVNAME=/etc/passwd",
            "DEVNAME=../etc/passwd",
            "DEVLINKS=/dev/a /tmp/b",
            "TAGS=:a.b:",
            "CURRENT_TAGS=:ü:",
            "dotted tag of 253",
            "dotted tag of 254",
            "dotted tag of 255",
            "tag of 256",
            "dotted tag of 256",
            "DEVNAME component of 256",
        ],
    ),
    (&["eudev", "systemd-247"], &["9000 bytes"]),
    (
        &["systemd-252", "systemd-257"],
        &[
            "UDEV_DATABASE_VERSION=",
            "UDEV_DATABASE_VERSION=x",
            "MAJOR=4096",
            "MINOR=1048576",
            "DEVPATH=/",
            "DEVUID=65535",
            "DEVGID=4294967295",
            "DISKSEQ=",
            "DISKSEQ=0",
            "DISKSEQ=x",
        ],
    ),
    (
        &["systemd-247", "systemd-252", "systemd-257"],
        &[
            "extra NUL",
            "unterminated",
            "no ACTION",
            "no SEQNUM",
            "NOPE",
            "ACTION=explode",
            "ACTION=",
            "SEQNUM=",
            "SEQNUM=0",
            "SEQNUM=x",
            "SEQNUM=18446744073709551616",
            "USEC_INITIALIZED=",
            "USEC_INITIALIZED=soon",
            "MAJOR=",
            "MAJOR=x",
            "MINOR=",
            "DEVPATH=",
            "DEVPATH=devices/x",
            "TAGS=:a b:",
            "DEVMODE=",
            "DEVMODE=x",
            "DEVMODE=10000",
            "DEVUID=",
            "DEVUID=x",
            "DEVGID=x",
            "IFINDEX=",
            "IFINDEX=0",
            "IFINDEX=x",
            "IFINDEX=2147483648",
            "offset one later",
        ],
    ),
    (
        &["eudev", "systemd-247", "systemd-252", "systemd-257"],
        &[
            "empty",
            "no DEVPATH",
            "no SUBSYSTEM",
            "other prefix",
            "magic swapped",
            "offset swapped",
            "offset beyond",
        ],
    ),
];

#[test]
fn what_we_accept_everybody_receives() {
    let filters = json!({"none": {}, "input": {"subsystem": "input"}, "seat": {"tag": "seat"}});
    let mut listener = Listener::start(&Place::PLAIN, &filters);
    let raw = socket_in(&listener);
    for (name, datagram) in mutations() {
        broadcast(&raw, &datagram);
        let arrived = listener.arrived();
        let parsed = Message::parse(&datagram);
        for (library, monitors) in &arrived.devices {
            let what = format!("{name}, {library}");
            let delivered = |filter: &str| !monitors[filter].is_empty();
            if Trust::of(library) == Trust::Anybody {
                // It listens to a group of its own.
                assert!(!delivered("none"), "{what}");
                continue;
            }
            if let Ok(message) = &parsed {
                let tags = message.properties().get("TAGS").unwrap_or_default();
                assert!(delivered("none"), "we take what is dropped: {what}");
                assert_eq!(delivered("input"), message.subsystem() == "input", "{what}");
                assert_eq!(delivered("seat"), tags.contains(":seat:"), "{what}");
            }
            if KNOWN.contains(&library.as_str()) {
                assert_eq!(delivered("none"), !drops(library, &name), "{what}");
            }
        }
    }
}

/// Why no message of ours has an empty list of tags: programs with libudev 247 and 252 do not survive it.
#[test]
fn an_empty_list_of_tags_kills_programs_with_older_libraries() {
    let datagram = with("TAGS=");
    assert!(Message::parse(&datagram).is_err());
    let listener = Listener::start(&Place::PLAIN, &json!({"none": {}}));
    let raw = socket_in(&listener);
    broadcast(&raw, &datagram);
    assert_eq!(listener.killed_by_a_look(), Some(SIGSEGV));
}

const SIGSEGV: i32 = 11;

fn drops(library: &str, mutation: &str) -> bool {
    DROPPED
        .iter()
        .any(|(libraries, mutations)| libraries.contains(&library) && mutations.contains(&mutation))
}

#[test]
fn every_name_in_the_table_is_a_mutation() {
    let names: Vec<String> = mutations().into_iter().map(|(name, _)| name).collect();
    for name in DROPPED.iter().flat_map(|(_, mutations)| *mutations) {
        assert!(names.iter().any(|known| known == name), "{name}");
    }
}

/// A socket in the listener's network namespace.
fn socket_in(listener: &Listener) -> OwnedFd {
    let network = listener.network();
    let open = || {
        setns(&network, CloneFlags::CLONE_NEWNET).unwrap();
        let protocol = SockProtocol::NetlinkKObjectUEvent;
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).unwrap()
    };
    thread::scope(|scope| scope.spawn(open).join().unwrap())
}

fn broadcast(socket: &OwnedFd, datagram: &[u8]) {
    let to = NetlinkAddr::new(0, 2);
    // The kernel's own socket gets a copy, and refuses it; the listeners have had theirs by then.
    let parts = [IoSlice::new(datagram)];
    let _ = sendmsg(socket.as_raw_fd(), &parts, &[], MsgFlags::empty(), Some(&to));
}
