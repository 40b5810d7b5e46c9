//! What devices the host has: a thread that looks once and then follows the events, of the host's udevd where one works and of
//! the kernel.
//!
//! Nothing is polled, and no event is believed: each one names a device to be looked at again. A device counts as there when
//! the host's udevd has made its record, of which its own message tells, and as gone when the kernel says so.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use device_gate::{Device as Number, GrantError, Grants};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::sync::watch;
use tracing::{info, warn};
use udev_forge::{Hwdb, KernelEvents, Monitor, MonitorError, OpenError, udevd};

use super::claims::{Claim, Claims};
use super::device::{HostDevice, Places};
use super::numbers::Numbers;
use crate::engine::chain;

/// The host's devices cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// No events from the kernel.
    #[error("cannot listen to the kernel's events about devices")]
    KernelEvents(#[source] OpenError),
    /// No messages from the host's udevd.
    #[error("cannot listen to the host's udev")]
    Monitor(#[source] MonitorError),
    /// It could not be told whether the host has a udevd.
    #[error("could not look for a udevd on the host")]
    LookForUdevd(#[source] io::Error),
    /// No thread to watch them.
    #[error("no thread to watch the host's devices")]
    Thread(#[source] io::Error),
}

/// The host's devices at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// By devpath.
    pub devices: BTreeMap<String, Arc<HostDevice>>,
    /// Whether the first look is over.
    pub is_complete: bool,
    /// Why nothing is known of them, if that is so.
    pub failure: Option<String>,
}

/// The host's devices, and who has which of them. Watched from the first moment that somebody asks.
#[derive(Debug)]
pub struct Host {
    view: watch::Sender<Arc<View>>,
    is_watched: AtomicBool,
    claims: Arc<Claims>,
    numbers: Arc<Numbers>,
}

impl Host {
    /// Nothing is known yet. These numbers are devices' of our own.
    pub(crate) fn new(grants: Option<&Arc<Grants>>, ours: impl Iterator<Item = Number>) -> Self {
        Self {
            view: watch::Sender::default(),
            is_watched: AtomicBool::new(false),
            claims: Arc::default(),
            numbers: Arc::new(Numbers::new(grants, ours)),
        }
    }

    /// A number is to be granted that a device of our own has. Whoever had a device of the host with that number has it no
    /// more.
    pub(crate) fn take_number(&self, grants: &Grants, number: Number) -> Result<(), GrantError> {
        self.numbers.take(grants, number)
    }

    /// A device of our own has it no more.
    pub(crate) fn give_number(&self, number: Number) {
        self.numbers.give(number);
    }

    /// The devices as they are from now on; none until [`Host::watch`].
    pub fn subscribe(&self) -> watch::Receiver<Arc<View>> {
        self.view.subscribe()
    }

    /// Sees to it that the devices are watched, for as long as this process lives. Does not wait for the first look.
    pub fn watch(&self) {
        if self.is_watched.swap(true, Ordering::Relaxed) {
            return;
        }
        let (view, numbers) = (self.view.clone(), Arc::clone(&self.numbers));
        let watch = move || match Watcher::open(view.clone(), numbers) {
            Ok(watcher) => watcher.watch(),
            Err(error) => give_up(&view, &error),
        };
        let started = thread::Builder::new().name("hotseat-host".to_owned()).spawn(watch);
        if let Err(error) = started.map_err(HostError::Thread) {
            give_up(&self.view, &error);
        }
    }

    /// Whether a claim would succeed now.
    pub(crate) fn is_free(&self, device: &HostDevice, exclusive: bool) -> bool {
        self.claims.is_free(device, exclusive)
    }

    /// Notes that a session has the device; the name of another session, if that keeps it from having it.
    pub(crate) fn claim(
        &self,
        device: &HostDevice,
        session: &str,
        exclusive: bool,
    ) -> Result<Claim, String> {
        self.claims.claim(device, session, exclusive, &self.view)
    }
}

/// The hardware database, for what we say in place of a udevd.
fn hwdb(has_udevd: bool) -> Hwdb {
    let of_system = if has_udevd { None } else { Hwdb::of_system().ok() };
    of_system.unwrap_or_else(Hwdb::in_place_of_systems)
}

/// Of the network namespace of this process, which is the host's.
const PROC_NET: &str = "/proc/self/net";

/// The records of the host's udevd.
const DATABASE: &str = "/run/udev/data";

struct Watcher {
    kernel: KernelEvents,
    monitor: Monitor,
    hwdb: Hwdb,
    places: Places,
    devices: BTreeMap<String, Arc<HostDevice>>,
    view: watch::Sender<Arc<View>>,
    numbers: Arc<Numbers>,
}

/// Nothing will be known: whoever waits for the first look is told so.
fn give_up(view: &watch::Sender<Arc<View>>, error: &HostError) {
    let failure = chain(error);
    warn!(error = failure, "no device of the host comes to any session");
    view.send_replace(Arc::new(View {
        failure: Some(failure),
        is_complete: true,
        ..View::default()
    }));
}

impl Watcher {
    fn open(view: watch::Sender<Arc<View>>, numbers: Arc<Numbers>) -> Result<Self, HostError> {
        // Before the first look, so that nothing happens between the two.
        let kernel = KernelEvents::listen().map_err(HostError::KernelEvents)?;
        let monitor = Monitor::open().map_err(HostError::Monitor)?;
        let has_udevd = udevd::is_in(Path::new(PROC_NET)).map_err(HostError::LookForUdevd)?;
        info!(has_udevd, "the host's devices are watched");
        let places = Places { sys: "/sys".into(), udev: has_udevd.then(|| DATABASE.into()) };
        let hwdb = hwdb(has_udevd);
        Ok(Self { kernel, monitor, hwdb, places, devices: BTreeMap::new(), view, numbers })
    }

    fn watch(mut self) {
        self.look();
        self.show();
        while wait(&self.kernel, &self.monitor) {
            let before = self.devices.clone();
            if self.follow() {
                warn!("events of the host's devices were lost; all of them are looked at again");
                self.look();
            }
            if self.devices != before {
                self.revoke_gone(&before);
                self.show();
            }
        }
    }

    /// Looks at every device.
    fn look(&mut self) {
        let devpaths = match self.places.devpaths() {
            Ok(devpaths) => devpaths,
            // Of those that are known each is looked at all the same.
            Err(error) => {
                warn!(%error, "the host's devices cannot be listed; some may be missing");
                self.devices.keys().cloned().collect()
            }
        };
        self.devices.clear();
        devpaths.iter().for_each(|devpath| self.look_at(devpath));
    }

    /// Looks at one, and at the input device that it is a node of.
    fn look_at(&mut self, devpath: &str) {
        match self.places.read(devpath, &self.hwdb) {
            Some(device) => {
                if device.subsystem == "input"
                    && device.number.is_some()
                    && let Some((parent, _)) = devpath.rsplit_once('/')
                    && !self.devices.contains_key(parent)
                {
                    self.look_at(parent);
                }
                self.devices.insert(devpath.to_owned(), Arc::new(device));
            }
            None => drop(self.devices.remove(devpath)),
        }
    }

    /// Follows the events that there are. Says whether some were lost.
    fn follow(&mut self) -> bool {
        let mut lost = false;
        let mut named = BTreeSet::new();
        loop {
            match self.kernel.try_next() {
                Ok(Some((_, devpath))) => drop(named.insert(devpath)),
                Ok(None) => break,
                Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => {
                    lost = true
                }
                Err(error) => {
                    warn!(%error, "the kernel's events cannot be heard");
                    break;
                }
            }
        }
        for devpath in named {
            self.kernel_says(&devpath);
        }
        let mut told = BTreeSet::new();
        loop {
            match self.monitor.try_recv() {
                Ok(Some(received)) if received.uid == 0 => {
                    told.insert(received.message.devpath().to_owned());
                }
                Ok(Some(_)) | Err(MonitorError::NotBroadcast | MonitorError::Message(_)) => {}
                Ok(None) => break,
                Err(MonitorError::Overflow) => lost = true,
                Err(error) => {
                    warn!(error = chain(&error), "the host's udev cannot be heard");
                    break;
                }
            }
        }
        for devpath in told {
            self.look_at(&devpath);
        }
        lost
    }

    /// Where a udevd works, the kernel's word counts only for what goes: of what comes udevd has not made its record yet, and
    /// the one that is there may be that of the last device of this name.
    fn kernel_says(&mut self, devpath: &str) {
        if self.places.udev.is_none() {
            self.look_at(devpath);
        } else if let Some(known) = self.devices.get(devpath) {
            let now = self.places.read(devpath, &self.hwdb);
            if !now.is_some_and(|now| now.is(known)) {
                self.devices.remove(devpath);
            }
        }
    }

    /// Takes back the numbers of devices that are gone, or are others by now: they may be a keyboard's next, and a session may
    /// take its time.
    fn revoke_gone(&self, before: &BTreeMap<String, Arc<HostDevice>>) {
        let stays =
            |was: &HostDevice| self.devices.get(&was.devpath).is_some_and(|now| now.is(was));
        let gone = before.values().filter(|was| !stays(was)).filter_map(|was| was.number);
        let Some(grants) = self.numbers.grants.upgrade() else { return };
        for number in gone {
            self.numbers.revoke(&grants, number);
        }
    }

    fn show(&self) {
        let devices = self.devices.clone();
        let view = View { devices, is_complete: true, failure: None };
        self.view.send_replace(Arc::new(view));
    }
}

/// Waits for an event. Says whether there can be any more.
fn wait(kernel: &KernelEvents, monitor: &Monitor) -> bool {
    let (kernel, monitor) = (kernel.as_fd(), monitor.as_fd());
    let mut fds = [PollFd::new(&kernel, PollFlags::IN), PollFd::new(&monitor, PollFlags::IN)];
    loop {
        match poll(&mut fds, None) {
            Ok(_) => return true,
            Err(Errno::INTR) => {}
            Err(error) => {
                warn!(%error, "the host's devices are not watched any more");
                return false;
            }
        }
    }
}
