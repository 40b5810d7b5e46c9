//! Closing devices away from threads that must not wait.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, SendError, Sender};
use std::thread::{self, JoinHandle};

/// Closes devices, one after the other, on a thread of its own.
///
/// Closing a uinput device takes 15 to 60 ms, because the kernel waits for RCU grace periods while it
/// holds a lock that all input devices share (`input_mutex` in drivers/input/input.c). That rules out
/// threads that serve others, and makes more than one thread useless.
///
/// Dropping the reaper waits until everything handed to it is closed.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (pad, mouse): (vinput::uinput::Device, vinput::uinput::Device) = todo!();
/// let reaper = vinput::Reaper::new()?;
/// reaper.close(pad).wait();
/// reaper.close_then(mouse, || println!("the mouse is gone"));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Reaper {
    /// `None` only while dropping.
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// A device that is being closed. Forgetting it changes nothing; the device is closed all the same.
#[derive(Debug)]
pub struct Closing(Receiver<()>);

/// Closes one device, then calls back.
type Job = Box<dyn FnOnce() + Send>;

impl Reaper {
    /// Starts the thread, named `hotseat-reaper`.
    ///
    /// # Errors
    ///
    /// If the system has no thread to give.
    pub fn new() -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel::<Job>();
        let thread = thread::Builder::new().name("hotseat-reaper".to_owned()).spawn(move || {
            for job in jobs {
                // A callback that panics must not take the reaper along.
                let _ = catch_unwind(AssertUnwindSafe(job));
            }
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Closes a device, or anything else whose drop may block. Returns at once.
    pub fn close<T: Send + 'static>(&self, device: T) -> Closing {
        let (done, closing) = mpsc::channel();
        self.close_then(device, move || {
            // An error means that nobody waits.
            let _ = done.send(());
        });
        Closing(closing)
    }

    /// Closes a device, then calls `then`, on the reaper's thread; it should only pass the word on. For
    /// async code: complete a one-shot channel in it. Returns at once.
    pub fn close_then<T: Send + 'static>(&self, device: T, then: impl FnOnce() + Send + 'static) {
        let job: Job = Box::new(move || {
            drop(device);
            then();
        });
        let unsent = match &self.queue {
            Some(queue) => queue.send(job).err().map(|SendError(job)| job),
            None => Some(job),
        };
        // Late is better than never: if the thread is gone, close here.
        if let Some(job) = unsent {
            job();
        }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        drop(self.queue.take());
        // On its own thread, in a callback, there is nothing to wait for.
        let thread = self.thread.take().filter(|it| it.thread().id() != thread::current().id());
        // Its panics were caught above.
        let _ = thread.map(JoinHandle::join);
    }
}

impl Closing {
    /// Waits until the device is closed. Blocks; async code uses [`Reaper::close_then`].
    pub fn wait(self) {
        // An error means that the sender is gone, and the device went before it.
        let _ = self.0.recv();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells when it is dropped, and where.
    struct Fake(Sender<Option<String>>);

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().name().map(str::to_owned));
        }
    }

    #[test]
    fn a_device_is_closed_on_the_reapers_thread_before_wait_returns() {
        let (dropped, drops) = mpsc::channel();
        Reaper::new().unwrap().close(Fake(dropped)).wait();
        assert_eq!(drops.try_recv().unwrap().as_deref(), Some("hotseat-reaper"));
    }

    #[test]
    fn the_callback_comes_after_the_close() {
        let (sender, order) = mpsc::channel();
        let reaper = Reaper::new().unwrap();
        let then = sender.clone();
        reaper.close_then(Fake(sender), move || then.send(Some("then".into())).unwrap());
        drop(reaper);
        let order: Vec<_> = order.iter().flatten().collect();
        assert_eq!(order, ["hotseat-reaper", "then"]);
    }

    #[test]
    fn dropping_the_reaper_closes_what_is_queued() {
        let (dropped, drops) = mpsc::channel();
        let reaper = Reaper::new().unwrap();
        for _ in 0..100 {
            drop(reaper.close(Fake(dropped.clone())));
        }
        drop(reaper);
        assert_eq!(drops.try_iter().count(), 100);
    }

    #[test]
    fn a_callback_that_panics_does_not_stop_the_reaper() {
        let (dropped, drops) = mpsc::channel();
        let reaper = Reaper::new().unwrap();
        reaper.close_then((), || std::panic::resume_unwind(Box::new("callback")));
        reaper.close(Fake(dropped)).wait();
        assert_eq!(drops.try_recv().unwrap().as_deref(), Some("hotseat-reaper"));
    }

    #[test]
    fn a_callback_may_drop_the_reaper() {
        let reaper = std::sync::Arc::new(Reaper::new().unwrap());
        let (sender, dropped) = mpsc::channel();
        let last = std::sync::Arc::clone(&reaper);
        let (go, wait) = mpsc::channel();
        reaper.close_then((), move || {
            wait.recv().unwrap();
            drop(last);
            sender.send(()).unwrap();
        });
        drop(reaper);
        go.send(()).unwrap();
        dropped.recv().unwrap();
    }

    #[test]
    fn without_its_thread_the_reaper_closes_where_it_is_called() {
        let (queue, jobs) = mpsc::channel();
        drop(jobs);
        let reaper = Reaper { queue: Some(queue), thread: None };
        let (dropped, drops) = mpsc::channel();
        reaper.close(Fake(dropped)).wait();
        assert_eq!(drops.try_recv().unwrap().as_deref(), thread::current().name());
    }
}
