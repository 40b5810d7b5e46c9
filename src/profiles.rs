//! The profiles that can be plugged: the built-in ones, and the user's own from a directory.
//!
//! Files are read when they are asked for, so a new profile needs no restart.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vinput::profile::LoadError;
use vinput::uhid::Model;
use vinput::{AnyProfile, DeviceName, NameError, hid};

/// A device model that can be plugged.
#[derive(Debug, Clone, PartialEq)]
pub enum Profile {
    /// Made by uinput, as a file describes it.
    Uinput(Arc<vinput::Profile>),
    /// A whole pad made by uhid, to which the kernel's own driver attaches.
    Uhid(Model),
    /// A HID device made by uhid, as a file describes it.
    Hid(Arc<hid::Profile>),
}

/// What a device is made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// The kernel's uinput.
    Uinput,
    /// The kernel's uhid.
    Uhid,
}

impl Profile {
    /// Its name, such as `xbox-one`.
    pub fn name(&self) -> &str {
        match self {
            Self::Uinput(profile) => profile.name(),
            Self::Uhid(model) => model.name(),
            Self::Hid(profile) => profile.name(),
        }
    }

    /// What people call it.
    pub fn title(&self) -> &str {
        match self {
            Self::Uinput(profile) => profile.title(),
            Self::Uhid(model) => model.device_name(),
            Self::Hid(profile) => profile.title(),
        }
    }

    /// What the kernel is to call its devices.
    ///
    /// # Errors
    ///
    /// None for the profiles there are: their names are valid.
    pub fn device_name(&self) -> Result<DeviceName, NameError> {
        match self {
            Self::Uinput(profile) => Ok(profile.device_name().clone()),
            Self::Uhid(model) => DeviceName::new(model.device_name()),
            Self::Hid(profile) => Ok(profile.device_name().clone()),
        }
    }

    /// The names of its controls.
    pub fn controls(&self) -> Vec<String> {
        match self {
            Self::Uinput(profile) => {
                profile.controls().iter().map(|control| control.name().to_owned()).collect()
            }
            Self::Uhid(model) => model.controls().map(str::to_owned).collect(),
            Self::Hid(profile) => {
                profile.controls().iter().map(|control| control.name().to_owned()).collect()
            }
        }
    }

    /// What it is made by.
    pub fn backend(&self) -> Backend {
        match self {
            Self::Uinput(_) => Backend::Uinput,
            Self::Uhid(_) | Self::Hid(_) => Backend::Uhid,
        }
    }
}

/// A profile could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ProfilesError {
    /// There is none of that name.
    #[error("there is no profile `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// There is one, but it cannot be used.
    #[error("the profile `{name}` cannot be used")]
    Load {
        /// The name.
        name: String,
        /// Why, with the file; its source has the line.
        #[source]
        source: LoadError,
    },
    /// There is one, but its file has another name.
    #[error("{} calls itself `{name}`: name the file `{name}.toml`", path.display())]
    Misnamed {
        /// The file.
        path: PathBuf,
        /// The name in it.
        name: String,
    },
    /// The directory could not be read.
    #[error("could not read the directory of profiles `{path}`")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The profile of this name. A user's own one wins over a built-in one.
///
/// # Errors
///
/// [`ProfilesError`].
pub fn find(directory: &Path, name: &str) -> Result<Profile, ProfilesError> {
    // No path: only what may be a profile's name.
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    // The kernel's name for a device is no longer than this, and a file's name is not much.
    if name.len() <= 80
        && name.bytes().all(is_name)
        && let Some(profile) = load(&directory.join(format!("{name}.toml")), name)?
    {
        return Ok(profile);
    }
    if let Some(model) = Model::ALL.into_iter().find(|model| model.name() == name) {
        return Ok(Profile::Uhid(model));
    }
    match vinput::Profile::builtin(name) {
        Some(profile) => Ok(Profile::Uinput(Arc::new(profile.clone()))),
        None => Err(ProfilesError::Unknown { name: name.to_owned() }),
    }
}

/// All profiles, by name, and what is wrong with the files that are none.
///
/// # Errors
///
/// [`ProfilesError::Directory`]; a directory that does not exist is an empty one.
pub fn list(directory: &Path) -> Result<(Vec<Profile>, Vec<ProfilesError>), ProfilesError> {
    let uinput = vinput::Profile::builtins().map(|it| Profile::Uinput(Arc::new(it.clone())));
    let all = uinput.chain(Model::ALL.into_iter().map(Profile::Uhid));
    let mut profiles: BTreeMap<String, Profile> =
        all.map(|profile| (profile.name().to_owned(), profile)).collect();
    let mut wrong = Vec::new();
    for path in files(directory)? {
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        match load(&path, &name.unwrap_or_default()) {
            Ok(Some(profile)) => drop(profiles.insert(profile.name().to_owned(), profile)),
            Ok(None) => {}
            Err(error) => wrong.push(error),
        }
    }
    Ok((profiles.into_values().collect(), wrong))
}

/// The files that end in `.toml`, in the order of their names.
fn files(directory: &Path) -> Result<Vec<PathBuf>, ProfilesError> {
    let failed = |source| ProfilesError::Directory { path: directory.to_owned(), source };
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        // A FIFO would be waited for.
        let is_file = fs::metadata(&path).is_ok_and(|meta| meta.is_file());
        if is_file && path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The profile in a file; `None` if there is no file.
fn load(path: &Path, name: &str) -> Result<Option<Profile>, ProfilesError> {
    match AnyProfile::load(path) {
        Ok(profile) if profile.name() == name => Ok(Some(match profile {
            AnyProfile::Uinput(profile) => Profile::Uinput(Arc::new(profile)),
            AnyProfile::Uhid(profile) => Profile::Hid(Arc::new(profile)),
        })),
        Ok(profile) => {
            Err(ProfilesError::Misnamed { path: path.to_owned(), name: profile.name().to_owned() })
        }
        Err(LoadError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ProfilesError::Load { name: name.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::chain;

    const PAD: &str = "name = \"mine\"\ntitle = \"Mine\"\ndevice_name = \"Mine\"\nbus = \"usb\"\n\
                       vendor = 1\nproduct = 2\nversion = 3\nkeys = [\"KEY_A\"]\n";

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    #[test]
    fn a_users_profile_is_found_by_its_name() {
        let directory = directory(&[("mine.toml", PAD)]);
        assert_eq!(find(directory.path(), "mine").unwrap().title(), "Mine");
        assert_eq!(find(directory.path(), "keyboard").unwrap().name(), "keyboard");
    }

    #[test]
    fn a_users_profile_wins_over_a_built_in_one() {
        let directory = directory(&[("mouse.toml", &PAD.replace("mine", "mouse"))]);
        assert_eq!(find(directory.path(), "mouse").unwrap().title(), "Mine");
        let (profiles, _) = list(directory.path()).unwrap();
        let mice: Vec<_> = profiles.iter().filter(|it| it.name() == "mouse").collect();
        assert_eq!(mice.len(), 1);
        assert_eq!(mice[0].title(), "Mine");
    }

    #[test]
    fn whole_pads_are_profiles_too() {
        let nowhere = Path::new("/nonexistent/profiles");
        let pad = find(nowhere, "dualsense").unwrap();
        assert_eq!(pad.backend(), Backend::Uhid);
        assert!(pad.controls().contains(&"gyro_x".to_owned()));
        assert_eq!(find(nowhere, "dualsense-uinput").unwrap().backend(), Backend::Uinput);
        // No two profiles have one name, and every name can be given to a device.
        let (profiles, _) = list(nowhere).unwrap();
        assert!(profiles.iter().all(|profile| profile.device_name().is_ok()));
    }

    #[test]
    fn a_name_is_no_path() {
        let directory = directory(&[("mine.toml", PAD)]);
        fs::create_dir(directory.path().join("sub")).unwrap();
        for name in ["../mine", "sub/../mine", "", "Mine", "mine.toml", "/etc/passwd"] {
            let error = find(&directory.path().join("sub"), name).unwrap_err();
            assert!(matches!(error, ProfilesError::Unknown { .. }), "{name}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_no_profile_is_told_with_line_and_cause() {
        let files = [
            ("broken.toml", "name = \"broken\"\nbus = \"x\"\n"),
            ("other.toml", PAD),
            ("mine.toml", PAD),
            ("README", "not a profile"),
        ];
        let directory = directory(&files);
        let error = chain(&find(directory.path(), "broken").unwrap_err());
        let file = directory.path().join("broken.toml");
        let expected = format!(
            "the profile `broken` cannot be used: {} is not a profile: line 2: unknown variant `x`",
            file.display()
        );
        assert!(error.starts_with(&expected), "{error}");
        let (profiles, wrong) = list(directory.path()).unwrap();
        assert!(profiles.iter().any(|profile| profile.name() == "mine"));
        assert!(matches!(&wrong[..], [ProfilesError::Load { .. }, ProfilesError::Misnamed { .. }]));
        assert!(wrong[1].to_string().ends_with("name the file `mine.toml`"), "{}", wrong[1]);
    }

    #[test]
    fn a_directory_that_does_not_exist_is_an_empty_one() {
        let (profiles, wrong) = list(Path::new("/nonexistent/profiles")).unwrap();
        assert_eq!(profiles.len(), vinput::Profile::builtins().count() + Model::ALL.len());
        assert!(wrong.is_empty());
    }

    #[test]
    fn the_profiles_in_the_documentation_are_profiles() {
        let text = include_str!("../docs/profiles.md");
        let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let whole: Vec<_> = blocks.filter(|block| block.contains("device_name")).collect();
        let backends: Vec<_> = whole.iter().map(|it| AnyProfile::parse(it).unwrap()).collect();
        assert!(matches!(&backends[..], [AnyProfile::Uinput(_), AnyProfile::Uhid(_)]));
    }
}
