//! `bench-frames ROUNDS`: frames through `vinput` against a bare loop that writes the same bytes.
//!
//! Pads of one profile, in turns. A frame is whole when its reader, which is this program too, has found
//! the event node readable and has read it; so each frame crosses the kernel once in each direction.

mod sys;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use vinput::profile::Control;
use vinput::uinput::Device;
use vinput::{DeviceName, Frame, Profile};

/// Frames per turn: short, so that whatever else the machine does meets all sides alike.
const FRAMES: usize = 200;

/// Of `struct input_event`.
const RECORD: usize = size_of::<libc::input_event>();

fn main() -> Result<()> {
    let rounds: usize = std::env::args().nth(1).context("how many rounds?")?.parse()?;
    let profile = Profile::builtin("xbox-one").context("no pad")?;
    let mut sides: [(&str, Box<dyn Side>, Measured); 3] = [
        ("bare", Box::new(Bare::new(profile)?), Measured::new(rounds)),
        ("units", Box::new(Ours::new(profile, Values::Units)?), Measured::new(rounds)),
        ("scaled", Box::new(Ours::new(profile, Values::Scaled)?), Measured::new(rounds)),
    ];
    for round in 0..=rounds {
        // Each is first as often as the others.
        sides.rotate_left(1);
        for (_, side, measured) in &mut sides {
            // The first turn of each is for warming up.
            turn(side.as_mut(), (round > 0).then_some(measured))?;
        }
    }
    sides.sort_unstable_by_key(|(name, ..)| *name);
    let bare = sides[0].2.turns.clone();
    for (name, _, measured) in &mut sides {
        measured.print(name, &bare);
    }
    Ok(())
}

/// A way to write frames.
trait Side {
    /// Writes the frame of this number: five controls change with each.
    fn write(&mut self, number: usize) -> Result<()>;
    fn reader(&mut self) -> &mut File;
}

/// What was measured of a side.
struct Measured {
    nanoseconds: Vec<u64>,
    /// The length of each turn.
    turns: Vec<f64>,
    allocations: u64,
}

impl Measured {
    fn new(rounds: usize) -> Self {
        let nanoseconds = Vec::with_capacity(rounds * FRAMES);
        Self { nanoseconds, turns: Vec::with_capacity(rounds), allocations: 0 }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn print(&mut self, name: &str, bare: &[f64]) {
        self.nanoseconds.sort_unstable();
        let count = self.nanoseconds.len();
        let at = |percent: usize| self.nanoseconds.get(count * percent / 100).copied().unwrap_or(0);
        // Medians: a turn in which the machine did something else is no measurement.
        // Of its rate as a part of the bare loop's, too, round by round: what slows the machine down for a while slows
        // down all sides of a round.
        let ratio = median(bare.iter().zip(&self.turns).map(|(bare, ours)| bare / ours));
        let rate = FRAMES as f64 / median(self.turns.iter().copied());
        let (p50, p99) = (at(50), at(99));
        println!("{name} {rate:.0} {ratio:.4} {p50} {p99} {}", self.allocations);
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Writes and reads `FRAMES` frames.
fn turn(side: &mut dyn Side, measured: Option<&mut Measured>) -> Result<()> {
    let mut buffer = [0; 64 * RECORD];
    let mut times = [0_u64; FRAMES];
    let allocations = sys::count();
    let begun = Instant::now();
    for (number, time) in times.iter_mut().enumerate() {
        let written = Instant::now();
        side.write(number)?;
        wait_until_readable(side.reader())?;
        *time = u64::try_from(written.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let length = side.reader().read(&mut buffer)?;
        // Five events and SYN_REPORT; anything else, and the sides would not do the same.
        ensure!(length == 6 * RECORD, "a frame of {length} bytes");
    }
    let busy = begun.elapsed();
    let allocations = sys::count() - allocations;
    if let Some(measured) = measured {
        measured.nanoseconds.extend(times);
        measured.turns.push(busy.as_secs_f64());
        measured.allocations += allocations;
    }
    Ok(())
}

fn wait_until_readable(file: &File) -> Result<()> {
    let mut fds = [PollFd::new(file, PollFlags::IN)];
    if poll(&mut fds, None)? != 1 {
        bail!("poll returned without an event");
    }
    Ok(())
}

/// A device and a program that reads it.
fn device(profile: &Profile, phys: &str) -> Result<(Device, File)> {
    let device = Device::create(profile, profile.device_name(), &DeviceName::new(phys)?)?;
    let node = device.nodes().first().context("no node")?;
    let reader = OpenOptions::new().read(true).open(format!("/dev/{}", node.devname))?;
    Ok((device, reader))
}

/// How a client says what it sets.
#[derive(Clone, Copy)]
enum Values {
    /// In device units, as read from a device of the same kind.
    Units,
    /// From −1 to 1.
    Scaled,
}

/// Through `vinput`: values of controls in, what changed out.
struct Ours {
    values: Values,
    device: Device,
    reader: File,
    frame: Frame,
    /// Five controls, and the units that they are set to in every other frame; 0 in between.
    controls: Vec<(&'static Control, i32)>,
}

impl Ours {
    fn new(profile: &'static Profile, values: Values) -> Result<Self> {
        let (device, reader) = device(profile, "bench/vinput")?;
        let names = ["south", "lb", "lx", "ly", "rt"];
        let find = |name| profile.control(name).map(|control| (control, *control.units().end()));
        let controls = names.map(find).into_iter();
        let controls = controls.collect::<Option<_>>().context("a pad without controls")?;
        Ok(Self { values, device, reader, frame: Frame::new(), controls })
    }
}

impl Side for Ours {
    fn write(&mut self, number: usize) -> Result<()> {
        let is_on = number.is_multiple_of(2);
        self.frame.clear();
        for (control, on) in &self.controls {
            match self.values {
                Values::Units => self.frame.set_units(control, if is_on { *on } else { 0 })?,
                Values::Scaled => self.frame.set(control, if is_on { 1.0 } else { 0.0 })?,
            }
        }
        Ok(self.device.write(&self.frame)?)
    }

    fn reader(&mut self) -> &mut File {
        &mut self.reader
    }
}

/// The same bytes as a C program writes them: an array of events is filled in, and `write(2)`.
struct Bare {
    uinput: File,
    reader: File,
    _device: Device,
}

impl Bare {
    fn new(profile: &'static Profile) -> Result<Self> {
        let (device, reader) = device(profile, "bench/bare")?;
        let uinput = File::from(device.as_fd().try_clone_to_owned()?);
        Ok(Self { uinput, reader, _device: device })
    }
}

impl Side for Bare {
    fn write(&mut self, number: usize) -> Result<()> {
        let is_on = number.is_multiple_of(2);
        let (key, stick, trigger) = if is_on { (1, 32767, 1023) } else { (0, 0, 0) };
        // BTN_SOUTH, BTN_TL, ABS_X, ABS_Y, ABS_RZ, SYN_REPORT.
        let frame = [
            record(1, 0x130, key),
            record(1, 0x136, key),
            record(3, 0, stick),
            record(3, 1, stick),
            record(3, 5, trigger),
            record(0, 0, 0),
        ];
        let frame = frame.as_flattened();
        ensure!(self.uinput.write(frame)? == frame.len(), "a short write");
        Ok(())
    }

    fn reader(&mut self) -> &mut File {
        &mut self.reader
    }
}

/// A `struct input_event` without its time.
fn record(kind: u16, code: u16, value: i32) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[RECORD - 8..RECORD - 6].copy_from_slice(&kind.to_ne_bytes());
    record[RECORD - 6..RECORD - 4].copy_from_slice(&code.to_ne_bytes());
    record[RECORD - 4..].copy_from_slice(&value.to_ne_bytes());
    record
}
