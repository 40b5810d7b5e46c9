//! The CDI specification: `--device hotseat.dev/session=NAME` for every container engine (docs/ready.md).
//!
//! A device of it adds one thing to a container: the hook `hotseat-hook`. So its file says nothing of this run of the
//! daemon, and stays valid for as long as somebody may start a container with it.
//!
//! Format: the Container Device Interface specification, <https://github.com/cncf-tags/container-device-interface>,
//! SPEC.md.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use crate::config::DEFAULT_SOCKET;
use crate::fault;

/// What the devices are: vendor and class.
pub const KIND: &str = "hotseat.dev/session";

/// Where engines look: what is in here stays over a reboot, as containers that are started again do.
pub const DIRECTORY: &str = "/etc/cdi";

/// The file's name in a directory of CDI specifications.
pub const FILE: &str = "hotseat.json";

/// The version that lets device names start with a digit; a reader refuses one that it is too old for.
const VERSION: &str = "0.5.0";

/// A specification cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum CdiError {
    /// The session's name cannot be a device's.
    #[error("`{session}` cannot name a CDI device: it has to end in a letter or digit")]
    Name {
        /// The session.
        session: String,
    },
    /// An engine refuses a specification without devices.
    #[error("there is no session to make a CDI device for")]
    NoDevices,
    /// The hook is not where it would be run from.
    #[error("the hook `{path}` is no program that can be run")]
    Hook {
        /// The program.
        path: PathBuf,
        /// Why, if the system says so.
        #[source]
        source: Option<io::Error>,
    },
    /// The directory could not be made, or the lock in it not be taken.
    #[error("could not prepare the directory `{path}`")]
    Lock {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file that is there could not be read.
    #[error("could not read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file that is there is somebody else's.
    #[error("`{path}` is not a CDI specification of {KIND}; it is left as it is")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be written.
    #[error("could not write `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The hook as runtimes are to run it.
#[derive(Debug, Clone)]
pub struct Hook {
    path: PathBuf,
    socket: PathBuf,
    wait: Option<u8>,
}

impl Hook {
    /// The hook at `path`, or else the one beside this program, which calls the daemon at `socket` and waits for it for
    /// `wait` seconds, or else for one.
    ///
    /// # Errors
    ///
    /// [`CdiError::Hook`]: a container with a hook that is not there does not start.
    pub fn find(path: Option<PathBuf>, socket: &Path, wait: Option<u8>) -> Result<Self, CdiError> {
        let path = match path {
            Some(path) => std::path::absolute(&path)
                .map_err(|error| CdiError::Hook { path, source: Some(error) })?,
            None => std::env::current_exe()
                .map_err(|error| CdiError::Hook {
                    path: "hotseat-hook".into(),
                    source: Some(error),
                })?
                .with_file_name("hotseat-hook"),
        };
        check_program(&path)?;
        Ok(Self { path, socket: socket.to_owned(), wait })
    }

    /// Its arguments, the program's own name first.
    fn arguments(&self, session: Option<&str>) -> Vec<String> {
        let mut arguments = vec!["hotseat-hook".to_owned()];
        let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        if let Some(session) = session {
            add("--session", session.to_owned());
        }
        if self.socket != Path::new(DEFAULT_SOCKET) {
            add("--socket", self.socket.display().to_string());
        }
        if let Some(wait) = self.wait {
            add("--wait", wait.to_string());
        }
        arguments
    }

    /// A configuration for the hook directories of Podman and CRI-O (oci-hooks(5)): it runs for every container with
    /// the annotation `hotseat.session`.
    fn configuration(&self) -> Value {
        json!({
            "version": "1.0.0",
            "hook": { "path": self.path, "args": self.arguments(None) },
            "when": { "annotations": { r"^hotseat\.session$": ".*" } },
            "stages": ["createRuntime"],
        })
    }
}

fn check_program(path: &Path) -> Result<(), CdiError> {
    let hook = |source| CdiError::Hook { path: path.to_owned(), source };
    let file = fs::metadata(path).map_err(|error| hook(Some(error)))?;
    if file.is_file() && file.permissions().mode() & 0o111 != 0 { Ok(()) } else { Err(hook(None)) }
}

/// The specification with a device for each session, as text.
///
/// # Errors
///
/// [`CdiError::Name`], [`CdiError::NoDevices`].
pub fn text(hook: &Hook, sessions: &BTreeSet<String>) -> Result<String, CdiError> {
    if sessions.is_empty() {
        return Err(CdiError::NoDevices);
    }
    sessions.iter().try_for_each(|session| check_name(session))?;
    Ok(pretty(&specification(hook, sessions)))
}

fn specification(hook: &Hook, sessions: &BTreeSet<String>) -> Value {
    let device = |session: &String| {
        // No `timeout`: a runtime that ends a hook does not start the container. It ends by itself.
        let hook = json!({
            "hookName": "createRuntime",
            "path": hook.path,
            "args": hook.arguments(Some(session)),
        });
        json!({ "name": session, "containerEdits": { "hooks": [hook] } })
    };
    let devices: Vec<_> = sessions.iter().map(device).collect();
    json!({ "cdiVersion": VERSION, "kind": KIND, "devices": devices })
}

/// Whether a session can be a device: the specification wants names to begin and end in a letter or digit, and engines
/// refuse all of a file for one wrong name.
fn check_name(session: &str) -> Result<(), CdiError> {
    if session.ends_with(|last: char| last.is_ascii_alphanumeric()) {
        Ok(())
    } else {
        Err(CdiError::Name { session: session.to_owned() })
    }
}

/// Writes the specification to `path`, with devices for `sessions` and, with `keep`, for those that it has already: an
/// engine does not start a container again whose device is gone. Returns all of them.
///
/// # Errors
///
/// [`CdiError`]; the file is as it was then.
pub fn write(
    path: &Path,
    hook: &Hook,
    sessions: &BTreeSet<String>,
    keep: bool,
) -> Result<BTreeSet<String>, CdiError> {
    let _lock = lock(path)?;
    let (mut all, found) = (sessions.clone(), read(path)?);
    if keep {
        all.extend(found);
    }
    replace(path, &text(hook, &all)?)?;
    Ok(all)
}

/// Writes a hook configuration into `directory`, and returns its path.
///
/// # Errors
///
/// [`CdiError::Lock`], [`CdiError::Write`].
pub fn write_hook(directory: &Path, hook: &Hook) -> Result<PathBuf, CdiError> {
    let path = directory.join("hotseat.json");
    let _lock = lock(&path)?;
    replace(&path, &pretty(&hook.configuration()))?;
    Ok(path)
}

/// Whether containers can be started with the devices of the specification at `path`; how many there are.
///
/// # Errors
///
/// As [`read`], and [`CdiError::Hook`].
pub fn check(path: &Path) -> Result<usize, CdiError> {
    let devices = read(path)?.len();
    // A file that is gone meanwhile has no hooks.
    let text = fs::read_to_string(path).unwrap_or_default();
    let specification: Value = serde_json::from_str(&text).unwrap_or_default();
    for device in specification["devices"].as_array().into_iter().flatten() {
        if let Some(hook) = device["containerEdits"]["hooks"][0]["path"].as_str() {
            check_program(Path::new(hook))?;
        }
    }
    Ok(devices)
}

/// The devices of the specification at `path`; none if there is no such file.
///
/// # Errors
///
/// [`CdiError::Read`], [`CdiError::Foreign`].
pub fn read(path: &Path) -> Result<BTreeSet<String>, CdiError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(source) => return Err(CdiError::Read { path: path.to_owned(), source }),
    };
    let names = serde_json::from_str::<Value>(&text)
        .ok()
        .filter(|spec| spec["kind"] == KIND)
        .and_then(|spec| {
            let name = |device: &Value| device["name"].as_str().map(str::to_owned);
            spec["devices"].as_array()?.iter().map(name).collect()
        });
    names.ok_or_else(|| CdiError::Foreign { path: path.to_owned() })
}

/// Removes the half-written file of somebody who was killed, from beside the specification at `path`. Says whether there
/// was one.
///
/// # Errors
///
/// [`CdiError::Lock`], [`CdiError::Write`].
pub(crate) fn sweep(path: &Path) -> Result<bool, CdiError> {
    let new = path.with_extension("new");
    if !new.exists() {
        return Ok(false);
    }
    let _lock = lock(path)?;
    match fs::remove_file(&new) {
        Ok(()) => Ok(true),
        // It was being written, and is no longer half-written.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(CdiError::Write { path: new, source }),
    }
}

/// Two who add a device at once must not lose one. The lock ends with the file. It is no file that other users can open,
/// and so keep.
fn lock(path: &Path) -> Result<File, CdiError> {
    let directory = path.parent().unwrap_or(path);
    let lock = || {
        fs::create_dir_all(directory)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path.with_extension("lock"))?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    };
    lock().map_err(|source| CdiError::Lock { path: directory.to_owned(), source })
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Engines watch the directory: they see the old file or the new one. They read none whose name ends otherwise than in
/// `.json` or `.yaml`.
fn replace(path: &Path, text: &str) -> Result<(), CdiError> {
    let new = path.with_extension("new");
    let write = || {
        let mut file = File::create(&new)?;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fault::point("cdi.written");
        fs::rename(&new, path)
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&new);
        CdiError::Write { path: path.to_owned(), source }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// A program, a directory for specifications, and the hook that is that program.
    fn hook() -> (tempfile::TempDir, PathBuf, Hook) {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("hotseat-hook");
        fs::write(&program, "").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let hook = Hook::find(Some(program), Path::new(DEFAULT_SOCKET), None).unwrap();
        let path = directory.path().join("cdi/hotseat.json");
        (directory, path, hook)
    }

    #[test]
    fn a_device_is_a_hook_and_nothing_that_can_go_away() {
        let (_directory, path, hook) = hook();
        write(&path, &hook, &set(&["alice"]), true).unwrap();
        let written: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let expected = json!({
            "cdiVersion": "0.5.0",
            "kind": "hotseat.dev/session",
            "devices": [{ "name": "alice", "containerEdits": { "hooks": [{
                "hookName": "createRuntime",
                "path": hook.path,
                "args": ["hotseat-hook", "--session", "alice"],
            }] } }],
        });
        assert_eq!(written, expected);
    }

    #[test]
    fn devices_stay_unless_they_are_pruned() {
        let (_directory, path, hook) = hook();
        write(&path, &hook, &set(&["bob"]), true).unwrap();
        assert_eq!(write(&path, &hook, &set(&["alice"]), true).unwrap(), set(&["alice", "bob"]));
        assert_eq!(read(&path).unwrap(), set(&["alice", "bob"]));
        write(&path, &hook, &set(&["carol"]), false).unwrap();
        assert_eq!(read(&path).unwrap(), set(&["carol"]));
        let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 2, "it and its lock: {left:?}");
    }

    #[test]
    fn what_engines_would_refuse_is_never_written() {
        let (_directory, path, hook) = hook();
        assert!(matches!(write(&path, &hook, &set(&[]), true), Err(CdiError::NoDevices)));
        let wrong = write(&path, &hook, &set(&["alice", "bob-"]), true);
        assert!(matches!(wrong, Err(CdiError::Name { session }) if session == "bob-"));
        assert!(!path.exists());
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let (_directory, path, hook) = hook();
        fs::create_dir(path.parent().unwrap()).unwrap();
        for text in [
            "",
            "[]",
            "{}",
            r#"{"kind":"nvidia.com/gpu","devices":[]}"#,
            r#"{"kind":"hotseat.dev/session"}"#,
        ] {
            fs::write(&path, text).unwrap();
            for keep in [true, false] {
                let foreign = write(&path, &hook, &set(&["alice"]), keep);
                assert!(matches!(foreign, Err(CdiError::Foreign { .. })), "{text}: {foreign:?}");
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_hook_that_cannot_run_is_found_out_before_a_container_needs_it() {
        let (directory, _, _) = hook();
        let plain = directory.path().join("plain");
        fs::write(&plain, "").unwrap();
        let specification = directory.path().join("hotseat.json");
        assert_eq!(check(&specification).unwrap(), 0);
        let hook = Hook { path: plain.clone(), socket: DEFAULT_SOCKET.into(), wait: None };
        write(&specification, &hook, &set(&["alice"]), true).unwrap();
        assert!(matches!(check(&specification), Err(CdiError::Hook { .. })));
        for path in [plain, directory.path().join("missing"), directory.path().to_owned()] {
            let found = Hook::find(Some(path), Path::new(DEFAULT_SOCKET), None);
            assert!(matches!(found, Err(CdiError::Hook { .. })), "{found:?}");
        }
    }
}
