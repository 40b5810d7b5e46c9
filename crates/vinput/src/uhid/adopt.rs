//! Takes over a pad that another process has made.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use super::core::Core;
use super::{
    AdoptError, Bound, Device, Mac, Model, Reservation, Snapshot, Wanted, bound_by, hidraw_nodes,
    input_nodes,
};

impl Device {
    /// Takes over the pad of another process, living or dead, by a duplicate of its
    /// [descriptor](Self::descriptor). To programs it stays the same pad: they keep its nodes open, and only see
    /// that everything is let go of.
    ///
    /// The other process must not answer for the pad any more. `model` and `mac` are those that it was made with,
    /// and its driver must have it.
    ///
    /// # Errors
    ///
    /// [`AdoptError`] says which step failed. The descriptor is closed, and with its last duplicate the pad goes, for
    /// which this then waits.
    pub fn adopt(
        descriptor: OwnedFd,
        model: Model,
        mac: Mac,
        snapshot: &Snapshot,
    ) -> Result<Self, AdoptError> {
        let reservation = Reservation::take(mac).ok_or(AdoptError::Taken { mac })?;
        let wanted = Wanted { device: model.name(), drivers: model.drivers(), uniq: mac };
        let Bound { syspath, driver } =
            bound_by(Path::new("/sys"), wanted).ok_or(AdoptError::NotBound { mac })?;
        let mut nodes = input_nodes(&syspath).map_err(AdoptError::Nodes)?;
        nodes.extend(hidraw_nodes(&syspath).map_err(AdoptError::Nodes)?);
        let core = Core::new(File::from(descriptor), model, mac).map_err(AdoptError::Thread)?;
        core.resume(snapshot).map_err(AdoptError::Write)?;
        let (core, thread) = Self::start(core).map_err(AdoptError::Thread)?;
        let thread = Some(thread);
        let is_left = false;
        Ok(Self {
            core,
            thread,
            model,
            mac,
            driver,
            syspath,
            nodes,
            is_left,
            _reservation: reservation,
        })
    }

    /// The descriptor of `/dev/uhid`. A duplicate keeps the pad while nobody answers for it: when this process is
    /// killed, or after [`leave`](Self::leave). It is for nothing else.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.core.file.as_fd()
    }

    /// What [`adopt`](Self::adopt) needs to know of the pad. To be kept anew whenever feedback came or the battery was
    /// set.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.core.snapshot()
    }

    /// Ends its thread, and leaves the pad to whoever has a duplicate of its [descriptor](Self::descriptor). If
    /// there is none, it is destroyed all the same.
    pub fn leave(mut self) {
        self.is_left = true;
    }
}
