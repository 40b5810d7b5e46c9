//! Devices made through the kernel's uinput.
//!
//! Sources: include/uapi/linux/uinput.h for the interface, drivers/input/misc/uinput.c for what it does.

mod adopt;
mod error;
mod sys;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::libc::{self, c_char, input_absinfo, input_id, uinput_abs_setup, uinput_setup};

pub use self::adopt::Adopted;
pub use self::error::{AdoptError, CreateError, FeedbackError, IoctlError, WriteError};
use crate::event::Event;
use crate::feedback::{Effect, Feedback};
use crate::minors;
use crate::state::State;
use crate::{DeviceName, EventCode, EventType, Frame, Node, Profile};

/// Where uinput is.
pub const DEFAULT_PATH: &str = "/dev/uinput";

/// Where the kernel shows devices of uinput.
const SYSFS: &str = "/sys/devices/virtual/input";

/// Events by which uinput and programs talk to a device.
const EV_LED: u16 = EventType::Led as u16;
const EV_FF: u16 = EventType::Ff as u16;
const EV_UINPUT: u16 = 0x0101;
const UI_FF_UPLOAD: u16 = 1;
const UI_FF_ERASE: u16 = 2;
/// First code of `EV_FF` that is not the id of an effect (include/uapi/linux/input.h).
pub(crate) const FF_GAIN: u16 = 0x60;
pub(crate) const FF_AUTOCENTER: u16 = 0x61;

/// A virtual input device. It exists as long as this value.
///
/// Methods take `&self` and may be called from several threads: the kernel serialises them.
///
/// Dropping it destroys the device and **blocks for tens of milliseconds**; see
/// [`Reaper`](crate::Reaper). It closes the file, rather than asking for `UI_DEV_DESTROY`, because that
/// would hold uinput's own lock while it waits for programs that may be waiting for that lock, in an
/// upload or on their way out. So a duplicate of the file keeps the device, wherever it is, and whoever has
/// one can [adopt](Self::adopt) the device when this process is gone, however it went.
#[derive(Debug)]
pub struct Device {
    file: File,
    /// Locked for the time of one write, so that what programs are told is what is written down here.
    state: Mutex<State>,
    neutral: Frame,
    sysname: String,
    syspath: PathBuf,
    nodes: Vec<Node>,
}

impl Device {
    /// Makes a device of this model. When this returns, all its nodes exist; the host's udev may still
    /// be about to set their permissions.
    ///
    /// Takes about a millisecond, but waits its turn behind any input device that is being closed.
    ///
    /// `phys` marks the device, for udev rules and for people; the kernel gives it no meaning.
    ///
    /// # Errors
    ///
    /// [`CreateError`] says which step failed. No device is left behind.
    pub fn create(
        profile: &Profile,
        name: &DeviceName,
        phys: &DeviceName,
    ) -> Result<Self, CreateError> {
        Self::create_at(DEFAULT_PATH, profile, name, phys)
    }

    /// Like [`create`](Self::create), with uinput at another path than [`DEFAULT_PATH`].
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn create_at(
        path: impl AsRef<Path>,
        profile: &Profile,
        name: &DeviceName,
        phys: &DeviceName,
    ) -> Result<Self, CreateError> {
        loop {
            // A signal may interrupt any of the ioctls, and an interrupted UI_DEV_CREATE loses what was
            // set up (`fail1` in uinput_create_device).
            match Self::try_create(path.as_ref(), profile, name, phys) {
                Err(error) if error.is_interrupted() => {}
                result => return result,
            }
        }
    }

    fn try_create(
        path: &Path,
        profile: &Profile,
        name: &DeviceName,
        phys: &DeviceName,
    ) -> Result<Self, CreateError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK) // O_CLOEXEC is std's default
            .open(path)
            .map_err(|source| CreateError::from_open(path, source))?;
        minors::check(1)?;
        let fd = file.as_fd();
        declare(fd, profile)?;
        sys::UI_SET_PHYS.call(fd, c_text(phys))?;
        sys::UI_DEV_SETUP.call(fd, &setup(profile, name))?;
        sys::UI_DEV_CREATE.call(fd)?;

        let (sysname, syspath) = found(fd)?;

        // No need to wait for nodes: UI_DEV_CREATE returned from input_register_device(), which has
        // attached every loaded handler (evdev, joydev, mousedev) under input_mutex. A handler without a
        // free minor only logs that, and UI_DEV_CREATE succeeds all the same.
        let nodes = Node::of_device(&syspath)?;
        if !nodes.iter().any(Node::is_event) {
            return Err(CreateError::NoEventNode { sysname });
        }
        let state = Mutex::new(State::new(profile));
        Ok(Self { file, state, neutral: profile.neutral(), sysname, syspath, nodes })
    }

    /// The kernel's name of the device: `input5`. Not used again until the host restarts.
    #[must_use]
    pub fn sysname(&self) -> &str {
        &self.sysname
    }

    /// The device's directory in sysfs: `/sys/devices/virtual/input/input5`.
    #[must_use]
    pub fn syspath(&self) -> &Path {
        &self.syspath
    }

    /// Its nodes: `event*` (always there), then `js*`, then `mouse*`.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Sets what a frame sets and reports what is new in it to programs, with a single `write(2)`; none if
    /// nothing is new. Does not block and does not allocate.
    ///
    /// Codes that the device does not have are ignored.
    ///
    /// # Errors
    ///
    /// [`WriteError`], if the kernel does not take the frame; it always should.
    pub fn write(&self, frame: &Frame) -> Result<(), WriteError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = state.apply(frame);
        if bytes.is_empty() {
            return Ok(());
        }
        let written = uninterrupted(|| (&self.file).write(bytes)).map_err(WriteError::Write)?;
        if written == bytes.len() {
            Ok(())
        } else {
            Err(WriteError::Short { written, length: bytes.len() })
        }
    }

    /// Lets go of everything: writes [`Profile::neutral`].
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn neutral(&self) -> Result<(), WriteError> {
        self.write(&self.neutral)
    }

    /// Takes the next thing that a program sent to the device, or `None` if there is none. Does not
    /// block. When there is something, the file is readable ([`AsFd`]).
    ///
    /// Uploads and erasures are answered, with success, before this returns: programs wait for that, so
    /// a device with force feedback that is not read promptly makes games stutter or hang (30 s, then
    /// the kernel gives up). The kernel keeps 15 things and forgets them all when there is a 16th
    /// (`UINPUT_BUFFER_SIZE`; `uinput_dev_event` does not check).
    ///
    /// # Errors
    ///
    /// [`FeedbackError`], if the kernel refuses.
    pub fn read_feedback(&self) -> Result<Option<Feedback>, FeedbackError> {
        let event = self.read_event()?;
        event.map(|event| self.feedback_of(event)).transpose()
    }

    fn read_event(&self) -> Result<Option<Event>, FeedbackError> {
        let mut record = [0; Event::SIZE];
        match uninterrupted(|| (&self.file).read(&mut record)) {
            Ok(_) => Ok(Some(Event::decode(&record))), // uinput reads whole records or none
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(FeedbackError::Read(error)),
        }
    }

    /// What an event of the device's queue says, answered.
    fn feedback_of(&self, event: Event) -> Result<Feedback, FeedbackError> {
        let Event { kind, code, value } = event;
        Ok(match (kind, code) {
            (EV_LED, code) => {
                Feedback::Led { code: EventCode { kind: EventType::Led, code }, on: value != 0 }
            }
            // The kernel lets no more than 0xffff through, and nothing negative (input_ff_event).
            (EV_FF, FF_GAIN) => Feedback::Gain(u16::try_from(value).unwrap_or(0)),
            (EV_FF, FF_AUTOCENTER) => Feedback::Autocenter(u16::try_from(value).unwrap_or(0)),
            // What is negative stops, as in ml_ff_playback() (drivers/input/ff-memless.c).
            (EV_FF, id) if id < FF_GAIN => {
                Feedback::Play { id, count: u32::try_from(value).unwrap_or(0) }
            }
            (EV_UINPUT, UI_FF_UPLOAD) => self.answer_upload(event)?,
            (EV_UINPUT, UI_FF_ERASE) => self.answer_erase(event)?,
            _ => Feedback::Other { kind, code, value },
        })
    }

    fn answer_upload(&self, request: Event) -> Result<Feedback, IoctlError> {
        let mut upload = sys::ff_upload(request.value.cast_unsigned());
        answer(request, || {
            sys::UI_BEGIN_FF_UPLOAD.call(self.as_fd(), &mut upload)?;
            upload.retval = 0;
            sys::UI_END_FF_UPLOAD.call(self.as_fd(), &upload)?;
            Ok(Feedback::Upload { effect: Effect::decode(&upload.effect) })
        })
    }

    fn answer_erase(&self, request: Event) -> Result<Feedback, IoctlError> {
        let mut erase = sys::ff_erase(request.value.cast_unsigned());
        answer(request, || {
            sys::UI_BEGIN_FF_ERASE.call(self.as_fd(), &mut erase)?;
            erase.retval = 0;
            sys::UI_END_FF_ERASE.call(self.as_fd(), &erase)?;
            // Effects are numbered below FF_MAX_EFFECTS.
            Ok(Feedback::Erase { id: u16::try_from(erase.effect_id).unwrap_or(u16::MAX) })
        })
    }
}

/// The file of uinput: readable when there is feedback, always writable.
impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// For event loops that ask for it, as `tokio::io::unix::AsyncFd` does.
impl AsRawFd for Device {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// The kernel's name of the device behind the descriptor, and its directory in sysfs.
fn found(fd: BorrowedFd<'_>) -> Result<(String, PathBuf), IoctlError> {
    let mut sysname = [0; sys::SYSNAME_SIZE];
    sys::UI_GET_SYSNAME.call(fd, &mut sysname)?;
    let end = sysname.iter().position(|byte| *byte == 0).unwrap_or(sysname.len());
    let sysname = String::from_utf8_lossy(&sysname[..end]).into_owned();
    let syspath = Path::new(SYSFS).join(&sysname);
    Ok((sysname, syspath))
}

/// Says what the device will be able to report, and to take.
fn declare(fd: BorrowedFd<'_>, profile: &Profile) -> Result<(), IoctlError> {
    for code in profile.codes() {
        sys::UI_SET_EVBIT.call(fd, code.kind as u16)?;
        let set_bit = match code.kind {
            EventType::Key => sys::UI_SET_KEYBIT,
            EventType::Rel => sys::UI_SET_RELBIT,
            EventType::Abs => sys::UI_SET_ABSBIT,
            EventType::Led => sys::UI_SET_LEDBIT,
            EventType::Ff => sys::UI_SET_FFBIT,
            // Profiles have no codes of these types.
            EventType::Syn | EventType::Msc | EventType::Sw | EventType::Snd | EventType::Rep => {
                continue;
            }
        };
        set_bit.call(fd, code.code)?;
    }
    if profile.repeat() {
        sys::UI_SET_EVBIT.call(fd, EventType::Rep as u16)?;
    }
    for property in profile.properties() {
        sys::UI_SET_PROPBIT.call(fd, property)?;
    }
    for (code, axis) in profile.axes() {
        let absinfo = input_absinfo {
            value: axis.rest,
            minimum: axis.min,
            maximum: axis.max,
            fuzz: axis.fuzz,
            flat: axis.flat,
            resolution: axis.resolution,
        };
        sys::UI_ABS_SETUP.call(fd, &uinput_abs_setup { code: code.code, absinfo })?;
    }
    Ok(())
}

fn setup(profile: &Profile, name: &DeviceName) -> uinput_setup {
    uinput_setup {
        id: input_id {
            bustype: profile.bus() as u16,
            vendor: profile.vendor(),
            product: profile.product(),
            version: profile.version(),
        },
        name: c_text(name),
        ff_effects_max: profile.max_effects(),
    }
}

/// The text and at least one NUL, for which [`DeviceName::MAX`] leaves room.
fn c_text(text: &DeviceName) -> sys::CText {
    let mut buffer = [0; DeviceName::MAX + 1];
    for (slot, byte) in buffer.iter_mut().zip(text.as_str().bytes()) {
        *slot = byte as c_char;
    }
    buffer
}

/// Repeats an operation as long as signals interrupt it.
fn uninterrupted<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Answers a request of uinput. One that the kernel knows no more, because it waited too long or the
/// device is going, is shown as it came.
fn answer(
    request: Event,
    mut exchange: impl FnMut() -> Result<Feedback, IoctlError>,
) -> Result<Feedback, IoctlError> {
    loop {
        match exchange() {
            Err(error) if error.is_interrupted() => {}
            Err(error) if error.source.raw_os_error() == Some(libc::EINVAL) => {
                let Event { kind, code, value } = request;
                return Ok(Feedback::Other { kind, code, value });
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests;
