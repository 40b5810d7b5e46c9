//! The real devices of this machine, as they come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use evdev::raw_stream::{EventStream, RawDevice};
use hotseat_client::{Client, Device, Event};
use hotseat_wire::MAX_SLOTS;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::abilities::{Abilities, Role};
use super::battery;
use super::lights::Lights;
use super::mapping::{Mapper, Outcome};
use super::output::{Output, Running};
use super::snapshot;
use super::status::Status;
use super::watch::Watch;

/// Where nodes are.
const DIRECTORY: &str = "/dev/input";

/// Which devices are forwarded, and those that are.
#[derive(Debug)]
pub(super) struct Devices {
    client: Client,
    /// Those that were named; without any, all pads.
    named: Vec<PathBuf>,
    grab: bool,
    /// The first slot for them.
    first_slot: u8,
    status: Status,
    running: Running,
    open: BTreeSet<PathBuf>,
    slots: BTreeSet<u8>,
    outputs: BTreeMap<u8, Output>,
    /// Whole pads by their HID device in sysfs: their sensors and touchpad have nodes of their own.
    pads: BTreeMap<PathBuf, (u8, watch::Receiver<Option<Device>>)>,
    tasks: JoinSet<Ended>,
}

/// A device that is not forwarded any more.
#[derive(Debug)]
struct Ended {
    node: PathBuf,
    /// The slot that it had for itself.
    slot: Option<u8>,
    outcome: Result<()>,
}

/// A device that was opened.
struct Opened {
    device: RawDevice,
    abilities: Abilities,
    as_what: What,
}

/// What a device is to the session.
enum What {
    Whole {
        profile: &'static str,
        output: Option<Output>,
        hid: Option<PathBuf>,
    },
    /// A part of the pad with this HID device.
    Part {
        hid: PathBuf,
    },
}

/// Which devices are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// This one, and it is an error if it cannot be had.
    Named,
    Pads,
    PartsOnly,
}

impl Devices {
    pub(super) fn new(
        client: Client,
        named: Vec<PathBuf>,
        grab: bool,
        first_slot: u8,
        status: Status,
        running: Running,
    ) -> Self {
        Self {
            client,
            named,
            grab,
            first_slot,
            status,
            running,
            open: BTreeSet::new(),
            slots: BTreeSet::new(),
            outputs: BTreeMap::new(),
            pads: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Forwards until something fails that does not pass.
    pub(super) async fn forward(mut self) -> Result<()> {
        let mut watch = Watch::new(&self.directories()).context("cannot watch for devices")?;
        let mut events = self.client.events();
        // After the watch began, so that none is missed.
        let found = self.scan().await;
        self.first(found)?;
        loop {
            tokio::select! {
                changed = watch.changed() => {
                    changed.context("cannot watch for devices")?;
                    // What cannot be opened now may be in a moment, when udev has set its mode.
                    let _later = self.scan().await;
                }
                Some(ended) = self.tasks.join_next() => self.end(ended.context("a task failed")?)?,
                event = events.next() => match event {
                    Some(Event::Feedback { slot, feedback }) => {
                        self.outputs.get(&slot).iter().for_each(|output| output.send(feedback));
                    }
                    Some(Event::Unplugged { slot, .. }) => {
                        self.outputs.get(&slot).iter().for_each(|output| output.rest());
                    }
                    // What still holds is said again when the connection is back.
                    Some(Event::Lost(_)) => self.outputs.values().for_each(Output::rest),
                    Some(_) => {}
                    // Whoever runs this has the error.
                    None => return Ok(()),
                },
            }
        }
    }

    fn directories(&self) -> BTreeSet<PathBuf> {
        let parent = |path: &PathBuf| path.parent().map(Path::to_owned);
        self.named.iter().filter_map(parent).chain([PathBuf::from(DIRECTORY)]).collect()
    }

    /// Begins to forward what is there and is not forwarded. Returns why devices could not be opened.
    async fn scan(&mut self) -> Vec<(PathBuf, anyhow::Error)> {
        let others = if self.named.is_empty() { Wanted::Pads } else { Wanted::PartsOnly };
        let named = self.named.iter().map(|node| (node.clone(), Wanted::Named));
        let nodes: Vec<_> = named.chain(list().into_iter().map(|node| (node, others))).collect();
        let mut failed = Vec::new();
        for (node, wanted) in nodes {
            if self.open.contains(&node) || wanted == Wanted::PartsOnly && self.pads.is_empty() {
                continue;
            }
            let (path, pads) = (node.clone(), self.pads.keys().cloned().collect());
            let (status, running) = (self.status, self.running.clone());
            let open = move || open(&path, wanted, &pads, status, running);
            let opened = tokio::task::spawn_blocking(open).await;
            match opened.context("a task failed").flatten() {
                Ok(Some(opened)) => self.begin(node, opened),
                Ok(None) => {}
                Err(error) => failed.push((node, error)),
            }
        }
        failed
    }

    /// What is wrong at the first look is told; later, devices come and go.
    fn first(&self, failed: Vec<(PathBuf, anyhow::Error)>) -> Result<()> {
        if !self.named.is_empty() {
            let named = failed.into_iter().find(|(node, _)| self.named.contains(node));
            return named.map_or(Ok(()), |(_, error)| Err(error));
        }
        if self.open.is_empty() {
            self.status.note("there is no pad yet: it is forwarded when it comes");
            if let Some((node, error)) = failed.first() {
                self.status.warn(&format!(
                    "{} of the input devices could not be looked at, such as {}: {error:#}",
                    failed.len(),
                    node.display()
                ));
            }
        }
        Ok(())
    }

    fn begin(&mut self, node: PathBuf, opened: Opened) {
        let Opened { device, abilities, as_what } = opened;
        match as_what {
            What::Whole { profile, output, hid } => {
                let free = (self.first_slot..MAX_SLOTS).find(|slot| !self.slots.contains(slot));
                let Some(slot) = free else {
                    let text = format!("{} has no place: all slots are taken", node.display());
                    return self.status.warn(&text);
                };
                self.open.insert(node.clone());
                self.slots.insert(slot);
                self.outputs.extend(output.map(|output| (slot, output)));
                let (plugged, pad) = watch::channel(None);
                if let Some(hid) = hid {
                    self.pads.insert(hid.clone(), (slot, pad.clone()));
                    self.tasks.spawn(async move {
                        battery::follow(pad, &hid).await;
                        Ended { node: hid, slot: None, outcome: Ok(()) }
                    });
                }
                self.begin_whole(node, device, abilities, slot, profile, plugged);
            }
            What::Part { hid } => {
                let Some((_, pad)) = self.pads.get(&hid) else { return };
                self.open.insert(node.clone());
                let (mut pad, grab) = (pad.clone(), self.grab);
                self.tasks.spawn(async move {
                    // Without its pad it is nothing.
                    let plugged =
                        pad.wait_for(Option::is_some).await.ok().and_then(|it| it.clone());
                    let outcome = match plugged {
                        Some(plugged) => follow(&plugged, device, &abilities, grab).await,
                        None => Ok(()),
                    };
                    Ended { node, slot: None, outcome }
                });
            }
        }
    }

    fn begin_whole(
        &mut self,
        node: PathBuf,
        device: RawDevice,
        abilities: Abilities,
        slot: u8,
        profile: &'static str,
        plugged: watch::Sender<Option<Device>>,
    ) {
        let (client, grab, status) = (self.client.clone(), self.grab, self.status);
        self.tasks.spawn(async move {
            let failed = || format!("cannot forward {}", node.display());
            let outcome = async {
                let pad = client.plug(slot, profile).await?;
                status.forwarding(&node, &abilities.name, profile, slot);
                plugged.send_replace(Some(pad.clone()));
                // Whatever becomes of it here, nothing stays held there.
                let followed = follow(&pad, device, &abilities, grab).await;
                pad.unplug().await?;
                followed
            };
            let outcome = outcome.await.with_context(failed);
            Ended { node, slot: Some(slot), outcome }
        });
    }

    /// A device is gone, or could not be plugged.
    fn end(&mut self, ended: Ended) -> Result<()> {
        let Ended { node, slot, outcome } = ended;
        self.open.remove(&node);
        if let Some(slot) = slot {
            self.slots.remove(&slot);
            self.outputs.remove(&slot);
            self.pads.retain(|_, (of, _)| *of != slot);
        }
        match outcome {
            Ok(()) if slot.is_none() => {}
            Ok(()) => self.status.gone(&node),
            Err(error) if !self.named.is_empty() => return Err(error),
            Err(error) => self.status.warn(&format!("{error:#}")),
        }
        Ok(())
    }
}

/// The event nodes that are there, by their numbers.
fn list() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(DIRECTORY).into_iter().flatten().flatten();
    let is_event = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("event"))
    };
    let mut nodes: Vec<_> = entries.map(|entry| entry.path()).filter(is_event).collect();
    nodes.sort_by_key(|node| (node.as_os_str().len(), node.clone()));
    nodes
}

/// Opens a device. `None`, if it is not wanted, or was not named and is not there.
fn open(
    node: &Path,
    wanted: Wanted,
    pads: &BTreeSet<PathBuf>,
    status: Status,
    running: Running,
) -> Result<Option<Opened>> {
    let cannot_open = || format!("cannot open {}", node.display());
    let device = match RawDevice::open(node) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && wanted != Wanted::Named => {
            return Ok(None);
        }
        opened => opened.with_context(cannot_open)?,
    };
    let cannot_read = || format!("cannot read what {} can do", node.display());
    let abilities = Abilities::of(&device).with_context(cannot_read)?;
    let (role, hid) = (abilities.role(), hid(node));
    if matches!(role, Some(Role::Motion | Role::Touch))
        && let Some(hid) = hid.clone().filter(|hid| pads.contains(hid))
    {
        return Ok(Some(Opened { device, abilities, as_what: What::Part { hid } }));
    }
    let is_wanted = match wanted {
        Wanted::Named => true,
        Wanted::Pads => role == Some(Role::Pad) && !abilities.is_ours(),
        Wanted::PartsOnly => false,
    };
    let Some(profile) = abilities.profile().filter(|_| is_wanted) else {
        if wanted == Wanted::Named {
            bail!("{} \"{}\" is nothing to play with", node.display(), abilities.name);
        }
        return Ok(None);
    };
    let hid = hid.filter(|_| role == Some(Role::Pad));
    let lights = hid.as_deref().and_then(|hid| Lights::of(hid, profile));
    let output = Output::open(node, lights, status, running).with_context(cannot_open)?;
    Ok(Some(Opened { device, abilities, as_what: What::Whole { profile, output, hid } }))
}

/// The HID device that a node belongs to, in sysfs; a device of uinput has none.
fn hid(node: &Path) -> Option<PathBuf> {
    let event = node.canonicalize().ok()?;
    let class = Path::new("/sys/class/input").join(event.file_name()?);
    class.join("device/device").canonicalize().ok()
}

/// Tells the session what a device does, until it is gone.
async fn follow(
    plugged: &Device,
    device: RawDevice,
    abilities: &Abilities,
    grab: bool,
) -> Result<()> {
    let Some(mut mapper) = Mapper::new(abilities) else { return Ok(()) };
    let mut stream = device.into_event_stream().context("cannot read it")?;
    let now = snapshot::take(&mut stream, abilities).context("cannot read its state")?;
    plugged.changes(mapper.catch_up(&now.events));
    let mut waits_for_grab = grab && !take_over(&mut stream, now.is_held)?;
    // ENODEV: it was pulled out.
    while let Ok(event) = stream.next_event().await {
        match mapper.take(event) {
            Outcome::More => continue,
            Outcome::Report([]) => {}
            Outcome::Report(changes) => plugged.changes(changes),
            Outcome::Lost => {
                let now = snapshot::take(&mut stream, abilities)?;
                plugged.changes(mapper.catch_up(&now.events));
            }
        }
        if waits_for_grab {
            let held = stream.device().get_key_state()?.iter().next().is_some();
            waits_for_grab = !take_over(&mut stream, held)?;
        }
    }
    Ok(())
}

/// Grabs a device of which nothing is held: the programs of this machine would never hear that a key went up, such as the
/// Enter that started this one. Returns whether it is done.
fn take_over(stream: &mut EventStream, is_held: bool) -> Result<bool> {
    if is_held {
        return Ok(false);
    }
    stream.device_mut().grab().context("cannot grab it: another program has")?;
    Ok(true)
}
