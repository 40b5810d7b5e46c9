//! Takes over a device that another process has made.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Mutex;

use super::{AdoptError, Device, EV_UINPUT, FeedbackError, UI_FF_ERASE, UI_FF_UPLOAD, found};
use crate::event::Event;
use crate::node::SysfsError;
use crate::state::State;
use crate::{DeviceName, Feedback, Frame, Node, Profile};

/// How many requests of programs can wait at a time: `UINPUT_NUM_REQUESTS` (drivers/input/misc/uinput.c). Their
/// numbers are below.
const REQUESTS: u32 = 16;

/// Most things that are read at once. The kernel keeps 15; a program that never stops sending must not keep
/// whoever adopts.
const MOST_READ: usize = 64;

/// A device that was taken over.
#[derive(Debug)]
pub struct Adopted {
    /// The device, of which everything has been let go.
    pub device: Device,
    /// What programs sent while nobody read, in its order, and is answered now. The kernel has kept no more
    /// than 15 things, and none if there were more; but no program still waits for an answer.
    pub feedback: Vec<Feedback>,
}

impl Device {
    /// Takes over the device of another process, living or dead, by a duplicate of its [descriptor](AsFd). To
    /// programs it stays the same device: they keep their nodes open, and only see that everything is let go of
    /// ([`Profile::neutral`]).
    ///
    /// Programs' requests that wait for an answer are answered, also those that the other process had read and
    /// not answered. It must not read any more; what it still writes arrives.
    ///
    /// `profile` and `phys` are those that it was made with.
    ///
    /// # Errors
    ///
    /// [`AdoptError`] says which step failed. The descriptor is closed, and with its last duplicate the device
    /// goes, for which this then waits.
    pub fn adopt(
        descriptor: OwnedFd,
        profile: &Profile,
        phys: &DeviceName,
    ) -> Result<Adopted, AdoptError> {
        let file = File::from(descriptor);
        let (sysname, syspath) = found(file.as_fd())?;
        is_it(&syspath, profile, phys)?;
        let nodes = Node::of_device(&syspath)?;
        let (state, neutral) = (Mutex::new(State::unknown(profile)), profile.neutral());
        let device = Self { file, state, neutral, sysname, syspath, nodes };
        // What was told last is unknown to the state, so this writes it all.
        device.write(&Frame::new())?;
        let feedback = device.answer_all()?;
        Ok(Adopted { device, feedback })
    }

    /// Takes what waits, and answers the requests of which nobody will read any more.
    fn answer_all(&self) -> Result<Vec<Feedback>, FeedbackError> {
        let mut all = Vec::new();
        let mut answered = 0_u32;
        for _ in 0..MOST_READ {
            let Some(event) = self.read_event()? else { break };
            if event.kind == EV_UINPUT {
                answered |= 1_u32.checked_shl(event.value.cast_unsigned()).unwrap_or(0);
            }
            all.push(self.feedback_of(event)?);
        }
        // A second answer to a request could find it half gone: only those of which nothing was read.
        for request in (0..REQUESTS).filter(|request| answered & (1 << request) == 0) {
            for code in [UI_FF_UPLOAD, UI_FF_ERASE] {
                let event = Event { kind: EV_UINPUT, code, value: request.cast_signed() };
                // Mostly the kernel knows no such request. If it does, the next one may have its number already,
                // and that one will be read.
                let feedback = self.feedback_of(event)?;
                if !matches!(feedback, Feedback::Other { .. }) {
                    all.push(feedback);
                    break;
                }
            }
        }
        Ok(all)
    }
}

/// Checks that the kernel's device is the one that is meant.
fn is_it(syspath: &Path, profile: &Profile, phys: &DeviceName) -> Result<(), AdoptError> {
    let read = |file: &str| {
        let path = syspath.join(file);
        let text = fs::read_to_string(&path).map_err(|source| SysfsError { path, source })?;
        Ok::<_, SysfsError>(text.trim_end_matches('\n').to_owned())
    };
    let id = [profile.bus() as u16, profile.vendor(), profile.product(), profile.version()];
    let expected = format!("{} {}", id.map(|it| format!("{it:04x}")).join(":"), phys.as_str());
    let files = ["id/bustype", "id/vendor", "id/product", "id/version"];
    let id = files.map(read).into_iter().collect::<Result<Vec<_>, _>>()?;
    let found = format!("{} {}", id.join(":"), read("phys")?);
    if found == expected {
        return Ok(());
    }
    let sysname = syspath.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Err(AdoptError::OtherDevice { sysname, expected, found })
}

#[cfg(test)]
mod tests {
    use nix::libc;

    use super::*;

    #[test]
    fn what_is_not_uinput_is_refused_with_the_name_of_the_ioctl() {
        let null = OwnedFd::from(File::open("/dev/null").unwrap());
        let phys = DeviceName::new("vinput/test").unwrap();
        let error = Device::adopt(null, Profile::builtin("xbox-one").unwrap(), &phys).unwrap_err();
        let AdoptError::Ioctl(error) = error else { panic!("{error:?}") };
        assert_eq!(error.name, "UI_GET_SYSNAME");
        assert_eq!(error.source.raw_os_error(), Some(libc::ENOTTY));
    }

    #[test]
    fn another_device_than_the_one_that_is_meant_is_refused() {
        let sysfs = tempfile::tempdir().unwrap();
        fs::create_dir(sysfs.path().join("id")).unwrap();
        let files = [
            ("id/bustype", "0003\n"),
            ("id/vendor", "045e\n"),
            ("id/product", "02ea\n"),
            ("id/version", "0408\n"),
            ("phys", "hotseat/a/0\n"),
        ];
        for (file, text) in files {
            fs::write(sysfs.path().join(file), text).unwrap();
        }
        let is_it = |profile, phys| {
            let phys = DeviceName::new(phys).unwrap();
            is_it(sysfs.path(), Profile::builtin(profile).unwrap(), &phys)
        };
        is_it("xbox-one", "hotseat/a/0").unwrap();
        for (profile, phys) in [("xbox-one", "hotseat/a/1"), ("xbox-360", "hotseat/a/0")] {
            let error = is_it(profile, phys).unwrap_err();
            assert!(matches!(error, AdoptError::OtherDevice { .. }), "{error:?}");
        }
    }
}
