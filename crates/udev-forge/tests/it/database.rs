//! The files of the database.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;
use udev_forge::database::{Database, DatabaseError};

use crate::fixture::{MOUSE, PAD, forge};

/// Every file and directory below `dir`, sorted, with its permissions.
fn list(dir: &Path) -> Vec<String> {
    fn walk(root: &Path, dir: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::metadata(&path).unwrap();
            let mode = metadata.permissions().mode() & 0o7777;
            found.push(format!("{} {mode:o}", path.strip_prefix(root).unwrap().display()));
            if metadata.is_dir() {
                walk(root, &path, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(dir, dir, &mut found);
    found.sort();
    found
}

#[test]
fn a_device_is_written_and_removed_without_a_trace() {
    let dir = TempDir::new().unwrap();
    let database = Database::open(&dir.path().join("udev")).unwrap();
    let event = forge(&PAD, Some("event5"), 1, 2);
    let parent = forge(&PAD, None, 1, 2);
    database.write(&parent).unwrap();
    database.write(&event).unwrap();
    // Once more: nothing changes.
    database.write(&event).unwrap();
    assert_eq!(
        list(dir.path()),
        [
            "udev 755",
            "udev/data 755",
            "udev/data/+input:input20 644",
            "udev/data/c13:69 644",
            "udev/tags 755",
            "udev/tags/seat 755",
            "udev/tags/seat/+input:input20 444",
            "udev/tags/seat/c13:69 444",
            "udev/tags/uaccess 755",
            "udev/tags/uaccess/c13:69 444",
        ]
    );
    let text = fs::read_to_string(dir.path().join("udev/data/c13:69")).unwrap();
    assert_eq!(text, event.record().text());

    database.remove(&event).unwrap();
    assert_eq!(
        list(dir.path()),
        [
            "udev 755",
            "udev/data 755",
            "udev/data/+input:input20 644",
            "udev/tags 755",
            "udev/tags/seat 755",
            "udev/tags/seat/+input:input20 444",
        ]
    );
    database.remove(&event).unwrap();
    database.remove(&parent).unwrap();
    assert_eq!(list(dir.path()), ["udev 755", "udev/data 755", "udev/tags 755"]);
}

#[test]
fn what_a_killed_writer_left_is_cleaned_up() {
    let dir = TempDir::new().unwrap();
    let database = Database::open(dir.path()).unwrap();
    let mouse = forge(&MOUSE, Some("event6"), 1, 2);
    let left_over = dir.path().join("data/.#c13:70.new");
    fs::write(&left_over, "E:ID_INP").unwrap();
    database.write(&mouse).unwrap();
    let text = fs::read_to_string(dir.path().join("data/c13:70")).unwrap();
    assert_eq!(text, mouse.record().text());
    assert!(!left_over.exists());

    fs::write(&left_over, "E:ID_INP").unwrap();
    database.remove(&mouse).unwrap();
    assert_eq!(list(dir.path()), ["data 755", "tags 755"]);
}

#[test]
fn the_next_one_to_open_it_sees_to_modes_that_a_killed_writer_left() {
    let dir = TempDir::new().unwrap();
    let tag = dir.path().join("tags/seat");
    fs::create_dir_all(&tag).unwrap();
    fs::set_permissions(&tag, Permissions::from_mode(0o700)).unwrap();
    Database::open(dir.path()).unwrap();
    assert_eq!(list(dir.path()), ["data 755", "tags 755", "tags/seat 755"]);
}

#[test]
fn errors_name_the_file() {
    let dir = TempDir::new().unwrap();
    let database = Database::open(dir.path()).unwrap();
    fs::create_dir(dir.path().join("data/c13:70")).unwrap();
    let mouse = forge(&MOUSE, Some("event6"), 1, 2);
    let error = database.write(&mouse).unwrap_err();
    assert!(matches!(&error, DatabaseError::Write { path, .. } if path.ends_with("data/c13:70")));
    assert!(matches!(database.remove(&mouse), Err(DatabaseError::Remove { .. })));

    fs::write(dir.path().join("file"), "").unwrap();
    let nowhere = Database::open(&dir.path().join("file"));
    assert!(matches!(nowhere, Err(DatabaseError::Directory { .. })));
}
