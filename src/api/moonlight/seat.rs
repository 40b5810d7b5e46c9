//! A Moonlight client at its session: its devices come and go, and do what it does.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use axum::body::Bytes;
use hotseat_wire::moonlight::{Device, Event, MotionKind, Output, Player};
use hotseat_wire::{Change, Kind, State};
use tokio::sync::mpsc;

use super::devices::{
    ACCELEROMETER, GYROSCOPE, SLOTS, is_allowed, is_one_report, profile, profile_of, slot,
};
use crate::api::{Shared, devices};
use crate::profiles::Profile;
use crate::session::{Client, Error};

/// How many plugs and unplugs may wait until no more packets are read.
const JOBS: usize = 32;

/// How many changes a device is told of when it is plugged at last. Later ones are those of a player who tries in vain.
const KEPT: usize = 256;

/// How often motion sensors are to be told, in times per second: what Sunshine asks for.
const MOTION_HERTZ: u16 = 100;

/// The client, and what it has.
pub(super) struct Seat {
    sessions: Shared,
    client: Arc<Client>,
    player: Player,
    places: [Place; SLOTS],
    jobs: VecDeque<Job>,
    job: Option<UnderWay>,
    /// Of the last plug.
    number: u64,
    /// Which pads there are, as bits.
    pads: Arc<AtomicU16>,
    messages: mpsc::Sender<io::Result<Bytes>>,
    /// The changes of the report that is being put together; it keeps its memory.
    report: Vec<Change>,
}

/// What there is in a slot.
#[derive(Debug, Default)]
enum Place {
    #[default]
    Nothing,
    /// A device that is being plugged, and what it is to do then.
    Coming { number: u64, changes: Vec<Change>, is_full: bool },
    /// A device.
    There,
    /// A device that could not be plugged; it is not tried again at every touch.
    Refused,
}

enum Job {
    Plug { slot: u8, number: u64, profile: &'static str, sensors: u16 },
    Unplug { slot: u8 },
}

/// What became of a job.
struct Done {
    slot: u8,
    /// Which plug it was, and whether the device has motion sensors.
    plugged: Option<(u64, Result<bool, Error>)>,
    sensors: u16,
}

type UnderWay = Pin<Box<dyn Future<Output = Done> + Send>>;

impl Seat {
    pub(super) fn new(
        sessions: Shared,
        client: Client,
        messages: mpsc::Sender<io::Result<Bytes>>,
    ) -> Self {
        Self {
            sessions,
            client: Arc::new(client),
            player: Player::new(),
            places: std::array::from_fn(|_| Place::Nothing),
            jobs: VecDeque::new(),
            job: None,
            number: 0,
            pads: Arc::default(),
            messages,
            report: Vec::new(),
        }
    }

    /// Which pads there are, as bits.
    pub(super) fn pads(&self) -> Arc<AtomicU16> {
        Arc::clone(&self.pads)
    }

    /// Whether it can take a packet now.
    pub(super) fn has_room(&self) -> bool {
        self.jobs.len() < JOBS
    }

    /// Does what a packet says. One that says nonsense is as if it had been lost.
    pub(super) fn take(&mut self, packet: &[u8]) {
        let mut player = std::mem::take(&mut self.player);
        match player.handle(packet) {
            Ok(events) => self.follow(events),
            Err(error) => tracing::debug!(%error, "a packet was refused"),
        }
        self.player = player;
    }

    fn follow(&mut self, events: &[Event]) {
        let mut report = std::mem::take(&mut self.report);
        let mut of = None;
        for event in events {
            match event {
                Event::Arrived { pad, model } => {
                    self.pads.fetch_or(1 << pad, Ordering::Relaxed);
                    self.plug(*pad, profile_of(model), model.capabilities);
                }
                Event::Left { pad } => {
                    self.pads.fetch_and(!(1 << pad), Ordering::Relaxed);
                    self.places[usize::from(*pad)] = Place::Nothing;
                    self.jobs.push_back(Job::Unplug { slot: *pad });
                }
                Event::Change { device, change } if is_allowed(change) => {
                    let slot = slot(*device);
                    if of != Some(slot) || !is_one_report(&report, change) {
                        self.send(of, &mut report);
                    }
                    of = Some(slot);
                    self.touch(*device, slot);
                    report.push(*change);
                }
                // Nobody can type what is on no keyboard.
                Event::Change { .. } | Event::Text(_) => {}
            }
        }
        self.send(of, &mut report);
        self.report = report;
    }

    /// A device is used.
    fn touch(&mut self, device: Device, slot: u8) {
        if matches!(self.places[usize::from(slot)], Place::Nothing) {
            self.plug(slot, profile(device), 0);
        }
    }

    fn plug(&mut self, slot: u8, profile: &'static str, sensors: u16) {
        self.number += 1;
        let number = self.number;
        self.places[usize::from(slot)] =
            Place::Coming { number, changes: Vec::new(), is_full: false };
        self.jobs.push_back(Job::Plug { slot, number, profile, sensors });
    }

    /// Has programs see a report, now or when the device is there.
    fn send(&mut self, slot: Option<u8>, report: &mut Vec<Change>) {
        let Some(slot) = slot else { return };
        match &mut self.places[usize::from(slot)] {
            Place::There => self.write(slot, report),
            Place::Coming { changes, is_full, .. } => {
                *is_full |= changes.len() + report.len() > KEPT;
                if !*is_full {
                    changes.append(report);
                }
            }
            Place::Nothing | Place::Refused => {}
        }
        report.clear();
    }

    fn write(&self, slot: u8, report: &[Change]) {
        if report.is_empty() {
            return;
        }
        // It waits for a container, or has gone with it.
        if let Err(error) = self.client.change(slot, report) {
            tracing::trace!(slot, %error, "a change was made to nothing");
        }
    }

    /// Plugs and unplugs, one after the other, as they were asked for. Resolves when one of them is done; never where there
    /// is none. Cancel safe.
    pub(super) async fn work(&mut self) {
        if self.job.is_none() {
            let Some(job) = self.jobs.pop_front() else { return std::future::pending().await };
            self.job = Some(self.start(job));
        }
        if let Some(job) = &mut self.job {
            let done = job.await;
            self.job = None;
            self.finish(done);
        }
    }

    fn start(&self, job: Job) -> UnderWay {
        let client = Arc::clone(&self.client);
        let sessions = Arc::clone(&self.sessions);
        Box::pin(async move {
            match job {
                Job::Plug { slot, number, profile, sensors } => {
                    let plugged = async {
                        let spec = devices::spec(&sessions, profile.to_owned(), None).await?;
                        let has_motion = matches!(spec.profile, Profile::Uhid(_));
                        client.declare(slot, spec).await?;
                        Ok(has_motion)
                    };
                    Done { slot, plugged: Some((number, plugged.await)), sensors }
                }
                Job::Unplug { slot } => {
                    // An error says that it is not there.
                    let _ = client.unplug(slot).await;
                    Done { slot, plugged: None, sensors: 0 }
                }
            }
        })
    }

    fn finish(&mut self, done: Done) {
        let Done { slot, plugged: Some((number, plugged)), sensors } = done else { return };
        let place = &mut self.places[usize::from(slot)];
        let is_it = matches!(place, Place::Coming { number: coming, .. } if *coming == number);
        // Or else it has gone again meanwhile.
        if !is_it {
            return;
        }
        let Place::Coming { changes, is_full, .. } = std::mem::replace(place, Place::There) else {
            return;
        };
        match plugged {
            Ok(has_motion) => {
                self.catch_up(slot, &changes, is_full);
                if has_motion {
                    self.ask_for_motion(slot, sensors);
                }
            }
            Err(error) => {
                tracing::warn!(slot, %error, "a Moonlight client's device could not be plugged");
                self.places[usize::from(slot)] = Place::Refused;
            }
        }
    }

    /// Does what was to be done before the device was there. Where that was too much, nothing of it is held.
    fn catch_up(&mut self, slot: u8, changes: &[Change], is_full: bool) {
        let mut report = std::mem::take(&mut self.report);
        let mut held = State::default();
        for change in changes {
            held.apply(change);
            if !is_one_report(&report, change) {
                self.send(Some(slot), &mut report);
            }
            report.push(*change);
        }
        self.send(Some(slot), &mut report);
        if is_full {
            for kind in Kind::ALL {
                held.release(kind, |change| report.push(change));
                self.send(Some(slot), &mut report);
            }
        }
        self.report = report;
    }

    fn ask_for_motion(&self, pad: u8, sensors: u16) {
        let kinds = [(ACCELEROMETER, MotionKind::Acceleration), (GYROSCOPE, MotionKind::Turning)];
        for (_, kind) in kinds.into_iter().filter(|(sensor, _)| sensors & sensor != 0) {
            let rate = Output::MotionRate { kind, hertz: MOTION_HERTZ };
            // Where there is no room nobody reads.
            let _ = self.messages.try_send(Ok(Bytes::copy_from_slice(&rate.message(pad))));
        }
    }
}
