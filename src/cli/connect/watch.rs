//! Directories in which something changes (inotify(7)).

use std::collections::BTreeSet;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

use crate::sys::watch;

/// Directories that are watched.
#[derive(Debug)]
pub(super) struct Watch(AsyncFd<OwnedFd>);

impl Watch {
    pub(super) fn new(directories: &BTreeSet<PathBuf>) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        // A new node can be opened when udev has set its mode, which is a change of its attributes.
        let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ATTRIB;
        for directory in directories {
            inotify::add_watch(&inotify, directory, flags)?;
        }
        Ok(Self(watch(inotify)?))
    }

    /// Waits until something has changed since the last time. Nothing is lost if nobody waits any more.
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        loop {
            let mut guard = self.0.readable().await?;
            // What has changed is looked for anyway.
            let mut buffer = [MaybeUninit::uninit(); 4096];
            match guard.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut buffer)?.0.len())) {
                Ok(read) => return read.map(|_| ()),
                Err(_would_block) => {}
            }
        }
    }
}
