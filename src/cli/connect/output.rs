//! What programs send back, on the real device: motors, lamps, lights and triggers.

use std::io;
use std::mem::{discriminant, replace, take};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use evdev::raw_stream::RawDevice;
use evdev::{
    EventType, FFEffect, FFEffectCode, FFEffectData, FFEffectKind, FFReplay, FFTrigger, InputEvent,
    LedCode,
};
use hotseat_wire::Feedback;
use nix::libc::ENODEV;
use tokio::sync::mpsc::Sender;

use super::lights::Lights;
use super::status::Status;

/// Held by each thread that has a device. When all of them are gone no trigger resists any more.
pub(super) type Running = Sender<std::convert::Infallible>;

/// A real device's motors, lamps and lights, on a thread of its own: an upload waits for the device's driver. The thread ends
/// some time after this is dropped, with the triggers loose.
#[derive(Debug)]
pub(super) struct Output(Arc<Mailbox>);

/// What the device is to be told.
#[derive(Debug, Default)]
struct Mailbox {
    news: Mutex<News>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct News {
    /// The newest of each kind, in the order in which the kinds came.
    feedback: Vec<Feedback>,
    /// First of all, motors stand still and triggers are let loose.
    rests: bool,
    is_over: bool,
}

impl Output {
    /// `None` for a device that has none of these.
    pub(super) fn open(
        node: &Path,
        lights: Option<Lights>,
        status: Status,
        running: Running,
    ) -> io::Result<Option<Self>> {
        // A descriptor of its own: the other one is read at the same time.
        let device = RawDevice::open(node)?;
        let can_rumble =
            device.supported_ff().is_some_and(|ff| ff.contains(FFEffectCode::FF_RUMBLE));
        let has_lamps = device.supported_leds().is_some();
        if !can_rumble && !has_lamps && lights.is_none() {
            return Ok(None);
        }
        let mailbox = Arc::new(Mailbox::default());
        let mut parts = Parts {
            device,
            can_rumble,
            has_lamps,
            effect: None,
            lights,
            status,
            failed: [false; 2],
        };
        let of_thread = Arc::clone(&mailbox);
        std::thread::Builder::new().name("feedback".to_owned()).spawn(move || {
            while let Some(news) = of_thread.next() {
                if parts.take(news).is_err() {
                    break;
                }
            }
            drop((parts, running));
        })?;
        Ok(Some(Self(mailbox)))
    }

    pub(super) fn send(&self, feedback: Feedback) {
        let mut news = self.0.lock();
        let kind = discriminant(&feedback);
        match news.feedback.iter_mut().find(|other| discriminant(*other) == kind) {
            // A slow driver is told of the newest only.
            Some(older) => *older = feedback,
            None => news.feedback.push(feedback),
        }
        self.0.changed.notify_one();
    }

    /// Nobody plays with it for now.
    pub(super) fn rest(&self) {
        *self.0.lock() = News { rests: true, ..News::default() };
        self.0.changed.notify_one();
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.changed.notify_one();
    }
}

impl Mailbox {
    /// Waits for news; `None` when there is nothing more to come.
    fn next(&self) -> Option<News> {
        let has_none = |news: &mut News| news.feedback.is_empty() && !news.rests && !news.is_over;
        let news = self.changed.wait_while(self.lock(), has_none);
        let mut news = news.unwrap_or_else(PoisonError::into_inner);
        (!news.is_over).then(|| take(&mut *news))
    }

    fn lock(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread has.
struct Parts {
    device: RawDevice,
    can_rumble: bool,
    has_lamps: bool,
    /// The effect that the motors play; the kernel stops them when the device is closed.
    effect: Option<FFEffect>,
    lights: Option<Lights>,
    status: Status,
    /// Whether it was said that motors or lamps, and lights, fail.
    failed: [bool; 2],
}

impl Parts {
    /// An error if the device is gone.
    fn take(&mut self, news: News) -> io::Result<()> {
        if news.rests {
            self.show(Feedback::STILL)?;
            self.lights.iter_mut().for_each(Lights::let_loose);
        }
        news.feedback.into_iter().try_for_each(|feedback| self.show(feedback))
    }

    fn show(&mut self, feedback: Feedback) -> io::Result<()> {
        let done = match feedback {
            Feedback::Rumble { low, high, .. } if self.can_rumble => {
                rumble(&mut self.device, &mut self.effect, low, high)
            }
            Feedback::Lamps(on) if self.has_lamps => light(&mut self.device, on),
            other => {
                // It may go well the next time: udev has not set the node's mode yet.
                if let Some(Err(error)) = self.lights.as_mut().map(|lights| lights.show(other)) {
                    self.fails(1, "lights", &error);
                }
                Ok(())
            }
        };
        match done {
            Err(error) if error.raw_os_error() == Some(ENODEV) => Err(error),
            Err(error) => {
                self.fails(0, "motors and lamps", &error.into());
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Says so once.
    fn fails(&mut self, which: usize, what: &str, error: &anyhow::Error) {
        if !replace(&mut self.failed[which], true) {
            let name = self.device.name().unwrap_or("the device");
            self.status.warn(&format!("the {what} of {name} stay as they are: {error:#}"));
        }
    }
}

/// Lets the motors run until something else is said: that they stop is said, too (docs/protocol.md).
fn rumble(
    device: &mut RawDevice,
    effect: &mut Option<FFEffect>,
    strong_magnitude: u16,
    weak_magnitude: u16,
) -> io::Result<()> {
    if (strong_magnitude, weak_magnitude) == (0, 0) {
        return effect.as_mut().map_or(Ok(()), FFEffect::stop);
    }
    let data = FFEffectData {
        direction: 0,
        trigger: FFTrigger::default(),
        // A length of 0 has no end (Documentation/input/ff.rst).
        replay: FFReplay::default(),
        kind: FFEffectKind::Rumble { strong_magnitude, weak_magnitude },
    };
    match effect {
        Some(effect) => {
            effect.update(data)?;
            effect.play(1)
        }
        None => effect.insert(device.upload_ff_effect(data)?).play(1),
    }
}

/// The bits of [`Feedback::Lamps`] are the codes of the lamps.
fn light(device: &mut RawDevice, on: u16) -> io::Result<()> {
    let event =
        |lamp: LedCode| InputEvent::new(EventType::LED.0, lamp.0, i32::from(on >> lamp.0 & 1));
    let known = |lamp: &LedCode| lamp.0 <= LedCode::LED_KANA.0;
    let lamps = device.supported_leds().into_iter().flatten().filter(known);
    let events: Vec<_> = lamps.map(event).collect();
    device.send_events(&events)
}
