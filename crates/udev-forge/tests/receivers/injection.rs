//! Events that the kernel repeats for us.

use std::os::fd::AsFd;
use std::thread;

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use serde_json::{Value, json};
use udev_forge::{Action, Credentials, Forged, InjectError, Injector, Parts, Uevent, udevd};

use crate::listener::Trust::{self, Anybody, Outside, Root};
use crate::listener::{Arrived, Listener, Place};

const ROOT: Credentials = Credentials { uid: 0, gid: 0 };

/// Of no real device: those of the machine come too where the network namespace is not a user namespace's own.
const DEVPATH: &str = "/devices/virtual/test/event5";

/// A pad's event of this action, with this name.
fn uevent(action: Action, name: &str) -> Uevent {
    let kernel = [
        ("DEVPATH", DEVPATH),
        ("SUBSYSTEM", "input"),
        ("DEVNAME", "/dev/input/event5"),
        ("NAME", name),
        ("MAJOR", "13"),
        ("MINOR", "69"),
    ];
    let parts = Parts {
        driver: None,
        devlinks: Vec::new(),
        kernel: kernel.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
        rules: vec![(".INPUT_CLASS".to_owned(), "joystick".to_owned())],
        tags: vec!["uaccess".to_owned()],
        seqnum: 1,
        usec_initialized: 1,
    };
    Forged::from_parts(parts).unwrap().uevent(action)
}

/// Injects into the place in the name of user `uid`, who is to arrive as user `seen`.
fn inject(place: &Place, uid: u32, seen: u64, takes: &[Trust]) {
    let filters = json!({
        "kernel": {"group": "kernel"},
        "kernel, input": {"group": "kernel", "subsystem": "input"},
        "kernel, hidraw": {"group": "kernel", "subsystem": "hidraw"},
        "udev": {},
    });
    let mut listener = Listener::start(place, &filters);
    let injector = Injector::open_in(listener.network().as_fd()).unwrap();
    let credentials = Credentials { uid, gid: uid };
    injector.inject(&uevent(Action::Add, "\"pad\""), &credentials).unwrap();
    injector.inject(&uevent(Action::Remove, "\"pad\""), &credentials).unwrap();

    let arrived = listener.arrived();
    let raw = ours(&arrived);
    assert_eq!(raw.len(), 2, "{place:?}");
    for (datagram, action) in raw.iter().zip(["add", "remove"]) {
        // Port 0 is the kernel's.
        assert_eq!((&datagram["uid"], &datagram["port"]), (&json!(seen), &json!(0)), "{place:?}");
        let data = datagram["data"].as_str().unwrap();
        let (event, number) = data.split_once("SEQNUM=").unwrap();
        assert_eq!(
            event,
            format!(
                "{action}@{DEVPATH}\0ACTION={action}\0DEVPATH={DEVPATH}\0SUBSYSTEM=input\0MAJOR=13\0MINOR=69\0\
                 DEVNAME=input/event5\0NAME=\"pad\"\0"
            )
        );
        assert!(number.strip_suffix('\0').unwrap().parse::<u64>().unwrap() > 0);
    }
    for (library, monitors) in &arrived.devices {
        let expected = if takes.contains(&Trust::of(library)) { 2 } else { 0 };
        for (filter, devices) in monitors {
            let devices: Vec<_> =
                devices.iter().filter(|device| device["DEVPATH"] == DEVPATH).collect();
            let what = format!("{place:?}, {library}, {filter}");
            let expected =
                if filter.ends_with("hidraw") || filter == "udev" { 0 } else { expected };
            assert_eq!(devices.len(), expected, "{what}");
            for (device, action) in devices.iter().zip(["add", "remove"]) {
                assert_eq!(device["ACTION"], action, "{what}");
                assert_eq!(device["DEVNAME"], "/dev/input/event5", "{what}");
            }
        }
    }
}

/// What came to the kernel's group from us.
fn ours(arrived: &Arrived) -> Vec<&Value> {
    let is_ours = |datagram: &&Value| datagram["data"].as_str().unwrap().contains(DEVPATH);
    arrived.raw(1).iter().filter(is_ours).collect()
}

#[test]
fn the_kernel_repeats_an_event_in_the_name_of_the_containers_root() {
    let all = &[Root, Outside, Anybody];
    inject(&Place::PLAIN, 0, 0, all);
    inject(&Place { map: "0 100000 65536", ..Place::PLAIN }, 100_000, 0, all);
    inject(&Place { map: "0 1000 1", ..Place::PLAIN }, 1000, 0, all);
    // What LXD avoids by entering the user namespace: the host's root arrives as nobody.
    inject(&Place { map: "0 100000 65536", ..Place::PLAIN }, 0, 65_534, &[Anybody]);
    inject(&Place { map: "0 1000 1", ..Place::PLAIN }, 0, 65_534, &[Outside, Anybody]);
}

#[test]
fn an_injector_without_the_capability_is_told_so() {
    // The owner of a child user namespace needs no capability in it.
    let mut listener = Listener::start(&Place::PLAIN, &json!({}));
    let injector = Injector::open_in(listener.network().as_fd()).unwrap();
    let inject = || {
        let none = CapabilitySet::empty();
        let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
        set_capabilities(None, sets).unwrap();
        injector.inject(&uevent(Action::Add, "x"), &ROOT).unwrap_err()
    };
    let refused = thread::scope(|scope| scope.spawn(inject).join().unwrap());
    assert!(matches!(refused, InjectError::NotPermitted(_)), "{refused:?}");
    assert!(ours(&listener.arrived()).is_empty());
}

#[test]
fn an_event_is_as_large_as_the_kernel_takes_it_or_is_refused() {
    let mut listener =
        Listener::start(&Place { map: "0 100000 65536", ..Place::PLAIN }, &json!({}));
    let injector = Injector::open_in(listener.network().as_fd()).unwrap();
    let rest = Uevent::SIZE_LIMIT - uevent(Action::Add, "").encode().len();
    injector.inject(&uevent(Action::Add, &"x".repeat(rest)), &ROOT).unwrap();
    assert_eq!(ours(&listener.arrived()).len(), 1);

    let too_large = injector.inject(&uevent(Action::Add, &"x".repeat(rest + 1)), &ROOT);
    assert!(matches!(too_large, Err(InjectError::TooLarge { size }) if size > Uevent::SIZE_LIMIT));
    assert!(ours(&listener.arrived()).is_empty());
}

#[test]
fn a_udevd_is_found_by_its_sockets_while_it_has_them() {
    let mut listener =
        Listener::start(&Place { map: "0 100000 65536", ..Place::PLAIN }, &json!({}));
    let net = listener.proc().join("net");
    assert!(!udevd::is_in(&net).unwrap());
    listener.tell("udevd");
    assert!(udevd::is_in(&net).unwrap());
    listener.tell("no udevd");
    assert!(!udevd::is_in(&net).unwrap());
    drop(listener);
    assert!(udevd::is_in(&net).is_err());
}
