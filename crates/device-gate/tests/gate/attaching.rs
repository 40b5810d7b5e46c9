//! What shows in a container, and what is refused.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

use device_gate::attach::AttachError;
use device_gate::probe::open_in_container;
use device_gate::{Container, NewNode, attach, attach_nodes, link_node, unlink_node};

use crate::stand_in::StandIn;
use crate::{NULL, Stage, place, skip};

#[test]
fn the_container_cannot_change_what_is_staged() {
    if skip() {
        return;
    }
    let stand_in = StandIn::start("readonly", "true");
    let stage = Stage::mount();
    let session = stage.session();
    let container = Container::open(stand_in.pid).unwrap();
    let _attachment = attach(&container, &session).unwrap();
    place(&session, NULL).unwrap();
    let attempts = [
        "rm /dev/input/event5",
        "mknod /dev/input/event6 c 1 3",
        "chmod 777 /dev/input/event5",
        "mv /dev/input/event5 /dev/input/js0",
        "touch /run/udev/data/c13:69",
        "mkdir /run/udev/tags/seat",
        "chown 1 /run/udev/data",
        "chmod 666 /run/udev/control",
        "rm /run/udev/control",
        // With every capability: a read-only mount that is locked so.
        "mount -o remount,bind,rw /dev/input",
        "mount -o remount,bind,rw /run/udev",
    ];
    for attempt in attempts {
        let status = Command::new("nsenter")
            .args(["--target", &stand_in.pid.to_string(), "--mount", "sh", "-c", attempt])
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(!status.success(), "`{attempt}` worked");
    }
}

#[test]
fn a_udevd_keeps_its_own_database() {
    if skip() {
        return;
    }
    let stand_in = StandIn::start("udevd", "mkdir /run/udev && touch /run/udev/control");
    let stage = Stage::mount();
    let session = stage.session();
    let container = Container::open(stand_in.pid).unwrap();
    assert!(container.hears_the_kernel(), "made by the host's root");
    let refused = attach(&container, &session).unwrap_err();
    assert!(matches!(refused, AttachError::Occupied { path: "/run/udev", .. }), "{refused:?}");
    let attachment = attach_nodes(&container, &session).unwrap();
    place(&session, NULL).unwrap();
    assert!(stand_in.path("dev/input/event5").exists());
    assert!(!stand_in.path("run/udev/data").exists());
    attachment.detach(&container).unwrap();
    assert!(!stand_in.path("dev/input").exists());
    assert!(stand_in.path("run/udev/control").exists());
}

#[test]
fn a_node_of_dev_itself_shows_by_a_link_and_replaces_nothing() {
    if skip() {
        return;
    }
    let stand_in = StandIn::start("links", "touch /dev/hidraw1; ln -s hotseat/x /dev/hidraw2");
    let stage = Stage::mount();
    let session = stage.session();
    let container = Container::open(stand_in.pid).unwrap();
    let attachment = attach(&container, &session).unwrap();
    assert!(attachment.no_links().is_none());
    let node = |path| NewNode { path, device: NULL, mode: 0o666, uid: 0, gid: 0 };
    for name in ["hidraw0", "hidraw1", "hidraw2"] {
        session.place(&node(name)).unwrap();
    }
    link_node(&container, "hidraw0").unwrap();
    open_in_container(&container, "/dev/hidraw0").unwrap();
    for name in ["hidraw1", "hidraw2"] {
        let taken = link_node(&container, name);
        assert!(matches!(taken, Err(AttachError::Taken { .. })), "{taken:?}");
        unlink_node(&container, name).unwrap();
        assert!(fs::symlink_metadata(stand_in.path("dev").join(name)).is_ok(), "{name} is theirs");
    }
    // One that an earlier daemon left.
    link_node(&container, "hidraw0").unwrap();
    unlink_node(&container, "hidraw0").unwrap();
    unlink_node(&container, "hidraw0").unwrap();
    assert!(!stand_in.path("dev/hidraw0").is_symlink());
    link_node(&container, "hidraw0").unwrap();
    attachment.detach(&container).unwrap();
    assert!(!stand_in.path("dev/hidraw0").is_symlink());
    assert!(!stand_in.path("dev/hotseat").exists());
}

#[test]
fn a_container_without_room_for_links_has_the_rest() {
    if skip() {
        return;
    }
    let stand_in = StandIn::start("no-links", "mkdir /dev/input; ln -s /etc /dev/hotseat");
    let stage = Stage::mount();
    let session = stage.session();
    let container = Container::open(stand_in.pid).unwrap();
    let attachment = attach(&container, &session).unwrap();
    let why = attachment.no_links();
    assert!(
        matches!(why, Some(AttachError::Symlink { path }) if path == "/dev/hotseat"),
        "{why:?}"
    );
    place(&session, NULL).unwrap();
    open_in_container(&container, "/dev/input/event5").unwrap();
    attachment.detach(&container).unwrap();
    assert!(stand_in.path("dev/hotseat").is_symlink());
}

#[test]
fn the_hosts_own_dev_is_left_alone() {
    if skip() {
        return;
    }
    let before = fs::read_dir("/dev").unwrap().count();
    let stand_in = StandIn::start("hostdev", "umount /dev");
    let stage = Stage::mount();
    let session = stage.session();
    let container = Container::open(stand_in.pid).unwrap();
    let refused = attach(&container, &session).unwrap_err();
    assert!(matches!(refused, AttachError::HostDev), "{refused:?}");
    assert!(matches!(link_node(&container, "hidraw0"), Err(AttachError::HostDev)));
    assert_eq!(fs::read_dir("/dev").unwrap().count(), before);
}

#[test]
fn what_the_container_plants_is_refused_and_the_host_stays_untouched() {
    if skip() {
        return;
    }
    let stage = Stage::mount();
    let session = stage.session();
    type Expected = fn(&AttachError) -> bool;
    let cases: [(&str, &str, Expected); 6] = [
        (
            "link",
            "ln -s /etc /dev/input",
            |error| matches!(error, AttachError::Symlink { path } if path == "/dev/input"),
        ),
        ("file", "touch /dev/input", |error| matches!(error, AttachError::NotADirectory { .. })),
        ("fifo", "mkfifo /dev/input", |error| matches!(error, AttachError::NotADirectory { .. })),
        (
            "nodes",
            "mkdir /dev/input && touch /dev/input/event0",
            |error| matches!(error, AttachError::Occupied { path: "/dev/input", entry } if entry == "event0"),
        ),
        (
            "udev-link",
            "ln -s ../etc /run/udev",
            |error| matches!(error, AttachError::Symlink { path } if path == "/run/udev"),
        ),
        (
            "read-only",
            "mount -o remount,ro /run",
            |error| matches!(error, AttachError::Create { path, source } if path == "/run/udev" && source.kind() == ErrorKind::ReadOnlyFilesystem),
        ),
    ];
    let etc = fs::read_dir("/etc").unwrap().count();
    for (name, prepare, expected) in cases {
        let stand_in = StandIn::start(name, prepare);
        let container = Container::open(stand_in.pid).unwrap();
        let error = attach(&container, &session).unwrap_err();
        assert!(expected(&error), "{name}: {error:?}");
        let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", stand_in.pid)).unwrap();
        for point in [" /dev/input ", " /run/udev "] {
            assert!(!mounts.contains(point), "{name}: a mount was left:\n{mounts}");
        }
    }
    assert_eq!(fs::read_dir("/etc").unwrap().count(), etc);
}

#[test]
fn attaching_again_is_no_second_mount() {
    if skip() {
        return;
    }
    let stand_in = StandIn::start("again", "true");
    let stage = Stage::mount();
    let session = stage.session();
    let container = Container::open(stand_in.pid).unwrap();
    let first = attach(&container, &session).unwrap();
    let second = attach(&container, &session).unwrap();
    second.detach(&container).unwrap();
    assert!(!stand_in.path("run/udev/control").exists(), "there was but one mount");
    first.detach(&container).unwrap();
    assert!(!stand_in.path("run/udev").exists());
}

#[test]
fn a_session_that_starts_over_leaves_its_directories_behind() {
    if skip() {
        return;
    }
    let stand_in = StandIn::start("behind", "true");
    let stage = Stage::mount();
    let mut session = stage.session();
    let container = Container::open(stand_in.pid).unwrap();
    let left = attach(&container, &session).unwrap();
    place(&session, NULL).unwrap();
    let held = fs::File::open(stand_in.path("dev/input")).unwrap();
    let path = format!("/proc/self/fd/{}", held.as_raw_fd());
    let holds = || fs::read_dir(&path).unwrap().count();
    assert_eq!(holds(), 1);

    session.renew().unwrap();
    place(&session, NULL).unwrap();
    assert_eq!(holds(), 0);
    assert!(!stand_in.path("dev/input/event5").exists());
    // What was left has no device, so there is nothing that the new ones would hide.
    assert!(stand_in.path("run/udev/control").exists());
    let attachment = attach(&container, &session).unwrap();
    assert!(stand_in.path("dev/input/event5").exists());
    assert_eq!(holds(), 0);
    attachment.detach(&container).unwrap();
    assert!(!stand_in.path("dev/input/event5").exists());
    left.detach(&container).unwrap();
    assert!(!stand_in.path("dev/input").exists() && !stand_in.path("run/udev").exists());
}

#[test]
fn records_of_another_are_not_taken_for_what_a_session_left() {
    if skip() {
        return;
    }
    let stage = Stage::mount();
    let session = stage.session();
    let socket =
        "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"/run/udev/control\")'";
    for (name, more, entry) in [
        ("record", "mkdir /run/udev/data && touch /run/udev/data/c1:3", Some("data")),
        ("link", "ln -s /etc /run/udev/data", Some("data")),
        ("other", "mkdir /run/udev/static_node-tags", Some("static_node-tags")),
        ("nothing", "mkdir /run/udev/data /run/udev/tags", None),
    ] {
        let prepare = format!("mkdir /run/udev && {socket} && {more}");
        let stand_in = StandIn::start(name, &prepare);
        let container = Container::open(stand_in.pid).unwrap();
        match (attach(&container, &session), entry) {
            (Err(AttachError::Occupied { path: "/run/udev", entry: found }), Some(entry)) => {
                assert_eq!(found, entry);
            }
            (Ok(attachment), None) => attachment.detach(&container).unwrap(),
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
}
