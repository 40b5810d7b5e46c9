//! Takes over a HID device that another process has made.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, PoisonError};

use super::{Core, Device, nodes_of};
use crate::hid::control::ControlKind;
use crate::hid::frame::{Frame, Input};
use crate::hid::{Profile, Snapshot};
use crate::profile::Axis;
use crate::uhid::{AdoptError, Bound, Mac, Reservation, Wanted, bound_by};

impl Device {
    /// Takes over the device of another process, living or dead, by a duplicate of its
    /// [descriptor](Self::descriptor). To programs it stays the same device: they keep its nodes open, and only see
    /// that everything is let go of ([`Profile::neutral`]).
    ///
    /// The other process must not answer for the device any more. `profile` and `mac` are those that it was made
    /// with, and its driver must have it. What it was told last is told again.
    ///
    /// # Errors
    ///
    /// [`AdoptError`] says which step failed. The descriptor is closed, and with its last duplicate the device goes,
    /// for which this then waits.
    pub fn adopt(
        descriptor: OwnedFd,
        profile: &Arc<Profile>,
        mac: Mac,
        snapshot: &Snapshot,
    ) -> Result<Self, AdoptError> {
        let reservation = Reservation::take(mac).ok_or(AdoptError::Taken { mac })?;
        let drivers: Vec<&str> = profile.driver().into_iter().collect();
        let wanted = Wanted { device: profile.title(), drivers: &drivers, uniq: mac };
        let Bound { syspath, driver } =
            bound_by(Path::new("/sys"), wanted).ok_or(AdoptError::NotBound { mac })?;
        let nodes = nodes_of(&syspath).map_err(AdoptError::Nodes)?;
        let core = Core::new(File::from(descriptor), Arc::clone(profile));
        let core = core.map_err(AdoptError::Thread)?;
        core.resume(snapshot).map_err(AdoptError::Write)?;
        let (core, thread) = Self::start(core).map_err(AdoptError::Thread)?;
        Ok(Self {
            core,
            thread: Some(thread),
            neutral: profile.neutral(),
            mac,
            driver,
            syspath,
            nodes,
            is_left: false,
            _reservation: reservation,
        })
    }

    /// The descriptor of `/dev/uhid`. A duplicate keeps the device while nobody answers for it: when this process is
    /// killed, or after [`leave`](Self::leave). It is for nothing else.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.core.file.as_fd()
    }

    /// What [`adopt`](Self::adopt) needs to know of the device. To be kept anew whenever output came; where a position
    /// is changes with any frame.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.core.snapshot()
    }

    /// Ends its thread, and leaves the device to whoever has a duplicate of its [descriptor](Self::descriptor). If
    /// there is none, it is destroyed all the same.
    pub fn leave(mut self) {
        self.is_left = true;
    }
}

impl Core {
    /// For a device that another process has made: everything is let go of, and that is reported.
    pub(super) fn resume(&self, snapshot: &Snapshot) -> io::Result<()> {
        let count = self.positions().count();
        let known = Some(&snapshot.positions).filter(|it| it.len() == count).into_iter().flatten();
        let set = |((index, axis), value): ((usize, Axis), &i32)| Input {
            index,
            value: (*value).clamp(axis.min, axis.max),
        };
        let frame = Frame { inputs: self.positions().zip(known).map(set).collect() };
        // All is written below.
        self.lock().apply(&self.profile, &frame, |_| Ok::<_, io::Error>(()))?;
        for output in &snapshot.told {
            self.tell(output.kind, &output.data);
        }
        self.report_all()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        let positions = self.positions().map(|(index, _)| state.value(index)).collect();
        drop(state);
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Snapshot { positions, told }
    }

    /// The controls that letting go of everything leaves where they are.
    fn positions(&self) -> impl Iterator<Item = (usize, Axis)> {
        self.profile.controls().iter().filter_map(|control| match control.kind {
            ControlKind::Absolute(axis) if axis.position => Some((control.index, axis)),
            _ => None,
        })
    }
}
