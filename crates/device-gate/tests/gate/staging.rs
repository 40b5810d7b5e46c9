//! The staging file system on the host.

use std::fs;

use device_gate::{Device, Staging, StagingError};

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
    for path in ["", ".", "..", "input/", "input/..", "input/a/b", "../x", "snd/seq"] {
        assert!(matches!(session.remove_node(path), Err(StagingError::Place { .. })), "{path}");
    }
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
    assert!(matches!(Staging::mount(&path), Err(StagingError::InUse { .. })));
    drop(stage.staging.take());
    let again = Staging::mount(&path).unwrap();
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
