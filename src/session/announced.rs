//! What a container's programs were told is there: kept beside the nodes for as long as it is.
//!
//! When a daemon was killed, nobody has told them that its devices are gone. The next one does, before it plugs anything:
//! a program that still counts a device as there takes the next one of the same number for it (SDL 2 and 3 compare
//! device numbers).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use device_gate::Container;
use serde::{Deserialize, Serialize};
use udev_forge::{Forged, Parts};

use super::announcer::Announcer;
use super::error::Error;
use super::state::{Plugged, State};
use crate::engine::{Engine, chain};

/// Where, in a session's directory: a file for each slot. No container sees it.
const DIRECTORY: &str = ".announced";

/// One kernel object that programs were told of.
#[derive(Debug, Serialize, Deserialize)]
struct Told(#[serde(with = "TheParts")] Parts);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Parts", deny_unknown_fields)]
struct TheParts {
    kernel: Vec<(String, String)>,
    driver: Option<String>,
    rules: Vec<(String, String)>,
    tags: Vec<String>,
    devlinks: Vec<String>,
    seqnum: u64,
    usec_initialized: u64,
}

/// Keeps what is about to be announced. It need not be synced: what it is about ends with the kernel, as the file does.
pub(super) fn keep(state: &State, plugged: &Plugged) -> Result<(), Error> {
    let parts: Vec<_> = plugged.parts.iter().map(|part| Told(part.forged.to_parts())).collect();
    let directory = state.dir.path().join(DIRECTORY);
    fs::create_dir_all(&directory)
        .and_then(|()| {
            let text = serde_json::to_vec(&parts)?;
            fs::write(directory.join(plugged.slot.to_string()), text)
        })
        .map_err(Error::KeepAnnounced)
}

/// Forgets it, when it has been taken back.
pub(super) fn forget(state: &State, slot: u8) -> Result<(), Error> {
    forget_file(state, &slot.to_string())
}

fn forget_file(state: &State, name: &str) -> Result<(), Error> {
    match fs::remove_file(state.dir.path().join(DIRECTORY).join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::KeepAnnounced(error)),
        _ => Ok(()),
    }
}

/// The same of a device of the host, in a file of its own: an id is no slot's number.
pub(super) fn keep_host(state: &State, forged: &Forged) -> Result<(), Error> {
    let directory = state.dir.path().join(DIRECTORY);
    fs::create_dir_all(&directory)
        .and_then(|()| {
            let text = serde_json::to_vec(&[Told(forged.to_parts())])?;
            fs::write(directory.join(forged.device_id().as_str()), text)
        })
        .map_err(Error::KeepAnnounced)
}

/// Forgets that.
pub(super) fn forget_host(state: &State, forged: &Forged) -> Result<(), Error> {
    forget_file(state, forged.device_id().as_str())
}

/// Tells a container's programs that everything is gone that an earlier daemon has told them of, of the session whose
/// directory this is, but for devices that live on. What was not said in the end, or was taken back, is taken back all the same: nobody minds.
pub(crate) fn take_back(
    engine: &Engine,
    directory: &Path,
    stays: &BTreeSet<u8>,
    container: &Container,
) -> Result<(), Error> {
    let all = left_in(directory, stays);
    if all.is_empty() {
        return Ok(());
    }
    let announcer = Announcer::open(&engine.config(), container)?;
    for forged in all.iter().rev() {
        let stamp = || engine.stamp().map_err(Error::Stamp);
        if forged.is_bound() {
            announcer.unbind(forged, stamp()?)?;
        }
        announcer.remove(forged, stamp()?)?;
    }
    Ok(())
}

/// Forgets it, but of the slots whose devices live on.
pub(crate) fn clear(directory: &Path, stays: &BTreeSet<u8>) {
    for file in files(directory, stays) {
        if let Err(error) = fs::remove_file(&file) {
            tracing::warn!(error = chain(&error), "what programs were told stays noted");
        }
    }
}

/// The files of slots, without these.
fn files(directory: &Path, stays: &BTreeSet<u8>) -> Vec<PathBuf> {
    let files = fs::read_dir(directory.join(DIRECTORY)).into_iter().flatten().flatten();
    let stays = |name: &OsStr| stays.iter().any(|slot| *name == *slot.to_string());
    files.filter(|file| !stays(&file.file_name())).map(|file| file.path()).collect()
}

/// A file that is half-written is about what was never said.
fn left_in(directory: &Path, stays: &BTreeSet<u8>) -> Vec<Forged> {
    let files = files(directory, stays).into_iter();
    let told = files.filter_map(|file| serde_json::from_slice(&fs::read(file).ok()?).ok());
    let told = told.flat_map(|told: Vec<Told>| told);
    told.filter_map(|Told(parts)| Forged::from_parts(parts).ok()).collect()
}
