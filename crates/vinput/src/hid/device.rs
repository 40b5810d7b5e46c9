//! A HID device of the user's own in the kernel, with the thread that answers for it.

mod adopt;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::descriptor::{Report, ReportKind};
use super::frame::Frame;
use super::output::{Output, Queue};
use super::profile::Profile;
use super::state::State;
use crate::uhid::abi::{self, EVENT_SIZE, Event};
use crate::uhid::{Bound, CreateError, Mac, PATIENCE, Ready, Reservation, Wanted, WriteError};
use crate::uhid::{channel, hidraw_nodes, input_nodes, phys_that_fits};
use crate::{DeviceName, Node};

/// A virtual HID device. It exists as long as this value, unless it is [left](Self::leave) to another process.
///
/// A thread of its own answers the driver and programs. Methods take `&self` and may be called from several threads.
///
/// Dropping it destroys the device and **blocks for tens of milliseconds**; see [`Reaper`](crate::Reaper).
#[derive(Debug)]
pub struct Device {
    core: Arc<Core>,
    /// `None` only while dropping.
    thread: Option<JoinHandle<()>>,
    neutral: Frame,
    mac: Mac,
    driver: String,
    syspath: PathBuf,
    nodes: Vec<Node>,
    /// Whether it is not to be destroyed.
    is_left: bool,
    /// Dropped after the core, with which the device goes.
    _reservation: Reservation,
}

/// What the device and its thread share.
#[derive(Debug)]
struct Core {
    file: File,
    profile: Arc<Profile>,
    /// Locked for as long as it takes to encode and write a frame's reports.
    state: Mutex<State>,
    /// The last of each output and feature report that it was told; only the thread uses it.
    told: Mutex<Vec<Output>>,
    queue: Queue,
    /// Readable when there may be something in the queue.
    news: EventFd,
    /// Readable when the thread is to end.
    end: EventFd,
    /// Readable when a driver has let go of the device.
    stopped: EventFd,
}

impl Device {
    /// Makes a device. When this returns, a driver has taken it and all its nodes exist; the host's udev may still
    /// be about to set their permissions. Waits for the kernel, for up to ten seconds where no driver takes it.
    ///
    /// `name` is that of the profile if not given. `phys` marks the device with its first 63 bytes. `mac` is its
    /// `uniq`, and must be one that no other device of the host has.
    ///
    /// # Errors
    ///
    /// [`CreateError`] says what is missing or which step failed. No device is left behind.
    pub fn create(
        profile: &Arc<Profile>,
        name: Option<&DeviceName>,
        phys: &DeviceName,
        mac: Mac,
    ) -> Result<Self, CreateError> {
        let title = profile.title();
        let input_devices = profile.descriptor().applications().max(1);
        let Ready { file, watch, reservation } = Ready::new(mac, input_devices)?;
        let create = abi::Create {
            name: name.unwrap_or_else(|| profile.device_name()).as_str(),
            phys: &phys_that_fits(phys),
            uniq: &mac.to_string(),
            bus: profile.bus() as u16,
            vendor: profile.vendor(),
            product: profile.product(),
            version: profile.version(),
            descriptor: profile.descriptor().as_bytes(),
        };
        channel::write(&file, &create.encode())
            .map_err(|source| CreateError::Refused { device: title.to_owned(), source })?;

        let core = Core::new(file, Arc::clone(profile)).map_err(CreateError::Thread)?;
        let (core, thread) = Self::start(core).map_err(CreateError::Thread)?;
        // From here on, dropping the device ends the thread.
        let mut device = Self {
            core,
            thread: Some(thread),
            neutral: profile.neutral(),
            mac,
            driver: String::new(),
            syspath: PathBuf::new(),
            nodes: Vec::new(),
            is_left: false,
            _reservation: reservation,
        };
        let drivers: Vec<&str> = profile.driver().into_iter().collect();
        let wanted = Wanted { device: title, drivers: &drivers, uniq: mac };
        let Bound { syspath, driver } = watch.wait(wanted, &device.core.stopped, PATIENCE)?;
        device.nodes = nodes_of(&syspath)?;
        (device.syspath, device.driver) = (syspath, driver);
        // The kernel takes every axis to be at 0 until it hears of it.
        device
            .core
            .report_all()
            .map_err(|source| CreateError::Refused { device: title.to_owned(), source })?;
        Ok(device)
    }

    /// Has a thread answer for the device.
    fn start(core: Core) -> io::Result<(Arc<Core>, JoinHandle<()>)> {
        let core = Arc::new(core);
        let looping = Arc::clone(&core);
        let builder = thread::Builder::new().name("hotseat-uhid".to_owned());
        let thread = builder.spawn(move || looping.run())?;
        Ok((core, thread))
    }

    /// What it was made of.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.core.profile
    }

    /// Its address, which is its `uniq`.
    #[must_use]
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// The kernel's driver that has it: `hid-generic`.
    #[must_use]
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// Its directory in sysfs: `/sys/devices/virtual/misc/uhid/0003:1209:0001.0005`.
    #[must_use]
    pub fn syspath(&self) -> &Path {
        &self.syspath
    }

    /// Its nodes: those of its input devices (`event*`, `js*`, `mouse*` each), and `hidraw*` last.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Sets what a frame sets; each input report in which something is new is written with a single `write(2)`.
    /// Does not block and does not allocate.
    ///
    /// # Errors
    ///
    /// [`WriteError`], if the kernel does not take a report; it always should.
    pub fn write(&self, frame: &Frame) -> Result<(), WriteError> {
        let core = &self.core;
        Ok(core.lock().apply(&core.profile, frame, |record| core.write(record))?)
    }

    /// Lets go of everything: writes [`Profile::neutral`].
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn neutral(&self) -> Result<(), WriteError> {
        self.write(&self.neutral)
    }

    /// Takes the next report that the device was told, or `None` if there is none. Does not block. When there is
    /// something, the device is readable ([`AsFd`]). Nobody has to hurry: the device's thread has answered already,
    /// and the newest 64 are kept.
    #[must_use]
    pub fn take_output(&self) -> Option<Output> {
        self.core.queue.take().or_else(|| {
            // Looked at again after the reset, because something may have come in between.
            let _ = self.core.news.read();
            self.core.queue.take()
        })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // It cannot fail: the counter is far from its end.
        let _ = self.core.end.write(1);
        // It does not panic; if it did, the device would be gone all the same.
        let _ = self.thread.take().map(JoinHandle::join);
        if !self.is_left {
            // Closing would leave it to whoever has a duplicate of the descriptor. An error means that it is gone.
            let _ = channel::write(&self.core.file, &abi::destroy());
        }
    }
}

/// Readable when there may be output.
impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.core.news.as_fd()
    }
}

/// For event loops that ask for it, as `tokio::io::unix::AsyncFd` does.
impl AsRawFd for Device {
    fn as_raw_fd(&self) -> RawFd {
        self.core.news.as_fd().as_raw_fd()
    }
}

/// The nodes of a device of which the driver may have made input devices, a hidraw node, or both.
fn nodes_of(syspath: &Path) -> Result<Vec<Node>, CreateError> {
    let mut nodes = Vec::new();
    if syspath.join("input").exists() {
        nodes.extend(input_nodes(syspath)?);
    }
    if syspath.join("hidraw").exists() {
        nodes.extend(hidraw_nodes(syspath)?);
    }
    if nodes.is_empty() {
        return Err(CreateError::NoNode { syspath: syspath.to_owned(), what: "hidraw" });
    }
    Ok(nodes)
}

impl Core {
    /// `file` must not block.
    fn new(file: File, profile: Arc<Profile>) -> io::Result<Self> {
        let event = || EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let state = Mutex::new(State::new(&profile));
        let (news, end, stopped) = (event()?, event()?, event()?);
        let (told, queue) = (Mutex::default(), Queue::default());
        Ok(Self { file, profile, state, told, queue, news, end, stopped })
    }

    /// Answers the kernel until the end, or until the descriptor fails. It waits for nobody but the kernel.
    fn run(&self) {
        let mut record = Box::new([0; EVENT_SIZE]);
        loop {
            let mut fds =
                [self.file.as_fd(), self.end.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            if poll(&mut fds, PollTimeout::NONE).is_err() {
                continue; // a signal
            }
            let [event, end] = fds.map(|fd| fd.any().unwrap_or(true));
            if end || (event && !self.receive(&mut record)) {
                return;
            }
        }
    }

    /// Reads and answers one record; whether there may be more.
    fn receive(&self, record: &mut [u8; EVENT_SIZE]) -> bool {
        let Ok(event) = channel::read(&self.file, record) else { return false };
        // Whoever waits for an answer that cannot be written is let go by the kernel after five seconds.
        let _ = event.map(|event| self.answer(event));
        true
    }

    fn answer(&self, event: Event<'_>) -> io::Result<()> {
        match event {
            Event::Stop => {
                let _ = self.stopped.write(1);
                Ok(())
            }
            Event::Output(data) => {
                self.tell(ReportKind::Output, data);
                Ok(())
            }
            Event::GetReport { id, number, kind } => {
                let report = kind_of(kind).and_then(|kind| self.report(kind, number));
                self.write(&abi::get_report_reply(id, report.as_deref()))
            }
            Event::SetReport { id, number, kind, data } => {
                let kind = kind_of(kind).filter(|kind| self.declared(*kind, number).is_some());
                self.write(&abi::set_report_reply(id, kind.is_some()))?;
                kind.into_iter().for_each(|kind| self.tell(kind, data));
                Ok(())
            }
            Event::Start | Event::Other => Ok(()),
        }
    }

    fn declared(&self, kind: ReportKind, number: u8) -> Option<&Report> {
        self.profile.descriptor().report(kind, number)
    }

    /// What the device answers when it is asked for a report: what it reported or was told last, zeroes if nothing;
    /// the number first, 0 for a device that numbers none, as usbhid has it (`usbhid_get_raw_report`).
    fn report(&self, kind: ReportKind, number: u8) -> Option<Vec<u8>> {
        let declared = self.declared(kind, number)?;
        let room = declared.size() + usize::from(number == 0);
        let mut report = vec![0; room];
        report[0] = number;
        if kind == ReportKind::Input {
            let state = self.lock();
            let data = state.report(number).unwrap_or_default();
            let start = usize::from(number == 0);
            report[start..].iter_mut().zip(data).for_each(|(to, from)| *to = *from);
        } else {
            let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let is_it = |it: &&Output| it.kind == kind && it.data.first() == Some(&number);
            let data = told.iter().find(is_it).map(|it| it.data.as_slice()).unwrap_or_default();
            report.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
        }
        Some(report)
    }

    /// Keeps a report that the device was told, and passes it on.
    fn tell(&self, kind: ReportKind, data: &[u8]) {
        let output = Output { kind, data: data.to_owned() };
        let number = data.first().copied().unwrap_or(0);
        if self.declared(kind, number).is_some() {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.retain(|it| it.kind != kind || it.data.first() != Some(&number));
            told.push(output.clone());
        }
        self.queue.put(output);
        let _ = self.news.write(1);
    }

    /// Writes every input report as it is.
    fn report_all(&self) -> io::Result<()> {
        self.lock().records().try_for_each(|record| self.write(record))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, record: &[u8]) -> io::Result<()> {
        channel::write(&self.file, record)
    }
}

/// `enum uhid_report_type` (include/uapi/linux/uhid.h).
fn kind_of(number: u8) -> Option<ReportKind> {
    match number {
        0 => Some(ReportKind::Feature),
        1 => Some(ReportKind::Output),
        2 => Some(ReportKind::Input),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
