//! The side of a pad that talks to the kernel, with the loop that answers for it.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{self, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};

use super::abi::{EVENT_SIZE, Event, Record};
use super::channel;
use super::feedback::{Feedback, Mailbox};
use super::mac::Mac;
use super::model::Model;
use super::pad::Pad;
use super::snapshot::Snapshot;
use super::state::State;

/// How much the sensors' clock is ahead of the host's. SDL leaves the lights of a Bluetooth pad alone for the
/// first ten seconds of that clock, because a real one plays an animation then.
const CLOCK_START: Duration = Duration::from_secs(15);

/// A pad and its descriptor of `/dev/uhid`.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) file: File,
    model: Model,
    mac: Mac,
    shared: Mutex<Shared>,
    mailbox: Mailbox,
    /// Readable when there may be something in the mailbox.
    pub(super) news: EventFd,
    /// Readable when the loop is to end.
    end: EventFd,
    /// Readable when a driver has let go of the pad.
    pub(super) stopped: EventFd,
    timer: TimerFd,
}

/// What the owner and the loop both use. It is locked for as long as it takes to encode and write one
/// report.
#[derive(Debug)]
struct Shared {
    pad: Pad,
    state: State,
}

impl Core {
    /// `file` must not block.
    pub(super) fn new(file: File, model: Model, mac: Mac) -> io::Result<Self> {
        let event = || EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        Ok(Self {
            file,
            model,
            mac,
            shared: Mutex::new(Shared { pad: model.pad(mac), state: State::NEUTRAL }),
            mailbox: Mailbox::default(),
            news: event()?,
            end: event()?,
            stopped: event()?,
            timer: TimerFd::new(timerfd::ClockId::CLOCK_MONOTONIC, flags)?,
        })
    }

    /// For a pad that another process has made. What programs see is as it was, but everything is let go of: that
    /// is reported at once, and the motors' owner is told that they stand still, as what stopped them may have
    /// been lost.
    pub(super) fn resume(&self, snapshot: &Snapshot) -> io::Result<()> {
        let mut shared = self.lock();
        shared.state.battery = snapshot.battery;
        let state = shared.state;
        shared.pad.set(&state);
        shared.pad.resume(&snapshot.feedback);
        let stopped = Feedback::Rumble { low: 0.0, high: 0.0 };
        for feedback in snapshot.feedback.iter().copied().chain([stopped]) {
            self.tell(feedback);
        }
        self.report(&mut shared)?;
        self.tick_every(self.model.period())
    }

    /// What [`resume`](Self::resume) needs.
    pub(super) fn snapshot(&self) -> Snapshot {
        let lasting = |it: &Feedback| !matches!(it, Feedback::Rumble { .. });
        let battery = self.lock().state.battery;
        Snapshot { battery, feedback: self.mailbox.last().filter(lasting).collect() }
    }

    /// Sets all controls.
    pub(super) fn set(&self, state: &State) -> io::Result<()> {
        let mut shared = self.lock();
        shared.state = *state;
        if shared.pad.set(state) { self.report(&mut shared) } else { Ok(()) }
    }

    /// Lets go of everything; the battery stays as it is.
    pub(super) fn neutral(&self) -> io::Result<()> {
        let battery = self.lock().state.battery;
        self.set(&State { battery, ..State::NEUTRAL })
    }

    /// Takes feedback, if there is any. When there is none, `news` is not readable until there is.
    pub(super) fn take_feedback(&self) -> Option<Feedback> {
        self.mailbox.take().or_else(|| {
            // Looked at again after the reset, because something may have come in between.
            let _ = self.news.read();
            self.mailbox.take()
        })
    }

    /// Makes [`run`](Self::run) return.
    pub(super) fn end(&self) {
        // It cannot fail: the counter is far from its end.
        let _ = self.end.write(1);
    }

    /// Answers the kernel until [`end`](Self::end), or until the descriptor fails. It waits for nobody
    /// but the kernel: what it passes on goes into a mailbox that is never full.
    pub(super) fn run(&self) {
        let mut record = Box::new([0; EVENT_SIZE]);
        loop {
            let mut fds = [self.file.as_fd(), self.timer.as_fd(), self.end.as_fd()]
                .map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            if poll(&mut fds, PollTimeout::NONE).is_err() {
                continue; // a signal
            }
            let [event, tick, end] = fds.map(|fd| fd.any().unwrap_or(true));
            if end || (event && !self.receive(&mut record)) {
                return;
            }
            if tick {
                // Several expirations are one; it is readable no more.
                let _ = self.timer.wait();
                // A report that the kernel does not take is made up for by the next one.
                let _ = self.report(&mut self.lock());
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
            Event::Start => self.tick_every(self.model.period()),
            Event::Stop => {
                let _ = self.stopped.write(1);
                self.tick_every(Duration::ZERO)
            }
            Event::Output(report) => self.output(report),
            Event::GetReport { id, number, .. } => {
                let report = self.model.feature(self.mac, number);
                let report = report.as_ref().map(|report| report.as_bytes());
                self.write(&Record::get_report_reply(id, report))
            }
            Event::SetReport { id, data, .. } => {
                self.write(&Record::set_report_reply(id, true))?;
                self.output(data)
            }
            Event::Other => Ok(()),
        }
    }

    fn output(&self, report: &[u8]) -> io::Result<()> {
        let clock = clock();
        let mut shared = self.lock();
        let answer = shared.pad.output(report, clock, |feedback| self.tell(feedback));
        answer.map_or(Ok(()), |report| self.write(&Record::input(report)))
    }

    fn tell(&self, feedback: Feedback) {
        self.mailbox.put(feedback);
        let _ = self.news.write(1);
    }

    fn report(&self, shared: &mut Shared) -> io::Result<()> {
        let report = shared.pad.report(clock());
        report.map_or(Ok(()), |report| self.write(&Record::input(report)))
    }

    /// Sets the time between reports; zero stops them.
    fn tick_every(&self, period: Duration) -> io::Result<()> {
        let expiration = Expiration::Interval(TimeSpec::from_duration(period));
        Ok(self.timer.set(expiration, TimerSetTimeFlags::empty())?)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, record: &Record) -> io::Result<()> {
        channel::write(&self.file, record.as_bytes())
    }
}

/// The sensors' time: that of the host, so that it goes on whichever process reports it.
fn clock() -> Duration {
    // There is such a clock on every Linux.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    CLOCK_START + now
}

#[cfg(test)]
mod tests;
