//! What udevd says.

use std::cell::RefCell;
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use udev_forge::{Action, Message, Monitor, MonitorError};

/// A listener to the messages of the host's udevd about devices whose devpath begins with `place`.
pub(crate) struct Udevd {
    monitor: Monitor,
    place: String,
    heard: RefCell<Vec<Message>>,
}

impl Udevd {
    pub(crate) fn listen(place: &str) -> Self {
        settle();
        let monitor = Monitor::open().unwrap();
        Self { monitor, place: place.to_owned(), heard: RefCell::default() }
    }

    /// Listens until something is so, looking again whenever udevd has said something.
    pub(crate) fn wait_until(&self, is_so: impl Fn() -> bool) {
        while !is_so() {
            let mut monitor = [PollFd::new(&self.monitor, PollFlags::IN)];
            let limit = Timespec { tv_sec: 60, tv_nsec: 0 };
            assert_eq!(poll(&mut monitor, Some(&limit)).unwrap(), 1, "udevd fell silent");
            self.hear();
        }
    }

    /// Whether udevd has said, since the last time all was taken, that something was bound to its driver.
    pub(crate) fn has_bound(&self) -> bool {
        self.heard.borrow().iter().any(|message| message.action() == Action::Bind)
    }

    /// Everything that was said by the time udevd had nothing more to do.
    pub(crate) fn settled(&self) -> Vec<Message> {
        settle();
        self.hear();
        self.heard.take()
    }

    fn hear(&self) {
        loop {
            match self.monitor.try_recv() {
                Ok(Some(received)) if received.message.devpath().starts_with(&self.place) => {
                    self.heard.borrow_mut().push(received.message);
                }
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(MonitorError::Overflow) => panic!("messages were lost"),
                Err(error) => panic!("udevd said something that we do not understand: {error:?}"),
            }
        }
    }
}

/// The version of systemd, such as 257.
pub(crate) fn version() -> u32 {
    let said = Command::new("udevadm").arg("--version").output().unwrap().stdout;
    String::from_utf8(said).unwrap().trim().parse().unwrap()
}

/// Waits until udevd has nothing to do.
pub(crate) fn settle() {
    assert!(Command::new("udevadm").arg("settle").status().unwrap().success());
}
