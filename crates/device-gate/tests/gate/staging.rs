//! The staging file system on the host.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use device_gate::{Device, Kept, NewNode, Staging, StagingError};

use crate::{NULL, Stage, place, skip};

const ZERO: Device = Device::char(1, 5);

#[test]
fn a_name_is_placed_once_and_no_private_node_is_left() {
    if skip() {
        return;
    }
    let stage = Stage::mount();
    let session = stage.session();
    place(&session, NULL).unwrap();
    assert!(matches!(place(&session, ZERO), Err(StagingError::Exists { .. })));
    let new = stage.directory.path().join("stage/s/.new");
    assert_eq!(fs::read_dir(new).unwrap().count(), 0);
    for path in ["", ".", "..", "input/", "input/..", "input/a/b", "../x", "snd/", "a//b", "a/../b"]
    {
        assert!(matches!(session.remove_node(path), Err(StagingError::Place { .. })), "{path}");
    }
}

#[test]
fn a_node_in_a_directory_of_dev_and_its_other_names_are_placed_flat() {
    if skip() {
        return;
    }
    let stage = Stage::mount();
    let session = stage.session();
    let (path, alias) = ("bus/usb/001/002", "reader");
    let node = NewNode { path, device: ZERO, mode: 0o600, uid: 0, gid: 0 };
    session.place(&node).unwrap();
    session.place_alias(alias, path).unwrap();
    assert!(matches!(session.place_alias(alias, path), Err(StagingError::Exists { .. })));
    let dev = stage.directory.path().join("stage/s/dev");
    assert_eq!(fs::read_link(dev.join(alias)).unwrap().to_str(), Some(r"bus\x2fusb\x2f001\x2f002"));
    assert_eq!(fs::metadata(dev.join(alias)).unwrap().rdev(), 0x105);
    session.remove_node(alias).unwrap();
    session.remove_node(path).unwrap();
    assert_eq!(fs::read_dir(dev).unwrap().count(), 0);
}

#[test]
fn a_second_mount_takes_over_and_clears_what_was_left() {
    if skip() {
        return;
    }
    let mut stage = Stage::mount();
    let session = stage.session();
    place(&session, NULL).unwrap();
    fs::write(session.udev_path().join("data/c1:3"), "V:1\n").unwrap();
    fs::create_dir(session.udev_path().join("tags/seat")).unwrap();
    let path = stage.directory.path().join("stage");
    assert!(matches!(Staging::mount(&path, &BTreeMap::new()), Err(StagingError::InUse { .. })));
    drop(stage.staging.take());
    let again = Staging::mount(&path, &BTreeMap::new()).unwrap();
    assert_eq!(again.sessions().unwrap(), ["s"]);
    for directory in ["input", "dev", "udev/data", "udev/tags"] {
        let directory = stage.directory.path().join("stage/s").join(directory);
        assert_eq!(fs::read_dir(directory).unwrap().count(), 0);
    }
    assert!(session.udev_path().join("control").exists());
    stage.staging = Some(again);
}

#[test]
fn what_an_engine_makes_in_place_of_a_session_goes_with_the_next_one() {
    if skip() {
        return;
    }
    let stage = Stage::mount();
    // As Docker does for `-v` while there is no such session.
    let path = stage.staging().path_of("s");
    fs::create_dir_all(path.join(".locked/input")).unwrap();
    let session = stage.session();
    assert!(!session.is_inherited());
    session.delete().unwrap();
    assert!(!path.exists());
}

#[test]
fn what_is_kept_stays_as_it_is_and_the_rest_is_cleared() {
    if skip() {
        return;
    }
    let mut stage = Stage::mount();
    let session = stage.session();
    place(&session, NULL).unwrap();
    let udev = session.udev_path();
    for tag in ["seat", "uaccess"] {
        fs::create_dir(udev.join("tags").join(tag)).unwrap();
    }
    for file in ["data/c1:3", "data/c1:5", "tags/seat/c1:3", "tags/uaccess/c1:5"] {
        fs::write(udev.join(file), "V:1\n").unwrap();
    }
    let node = session.input_path().join("event5");
    let inode = fs::metadata(&node).unwrap().ino();
    drop(stage.staging.take());

    let path = stage.directory.path().join("stage");
    let nodes = [("input/event5".to_owned(), NULL)].into();
    let kept = Kept { nodes, records: ["c1:3".to_owned()].into() };
    let again = Staging::mount(&path, &[("s".to_owned(), kept.clone())].into()).unwrap();
    assert_eq!(fs::metadata(&node).unwrap().ino(), inode);
    assert!(udev.join("data/c1:3").exists() && udev.join("tags/seat/c1:3").exists());
    assert!(!udev.join("data/c1:5").exists() && !udev.join("tags/uaccess").exists());
    again.forget("s", &kept).unwrap();
    assert!(!node.exists());
    assert!(!udev.join("data/c1:3").exists() && !udev.join("tags/seat/c1:3").exists());
    drop(again);

    // A node of another device is not the one that is kept.
    place(&session, NULL).unwrap();
    let nodes = [("input/event5".to_owned(), Device::char(1, 5))].into();
    let kept = Kept { nodes, ..Kept::default() };
    stage.staging = Some(Staging::mount(&path, &[("s".to_owned(), kept)].into()).unwrap());
    assert!(!node.exists());
}
