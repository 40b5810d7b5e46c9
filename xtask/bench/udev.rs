//! How long systemd-udevd takes to tell of a pad, and how long `udev-forge` does, in turns.
//!
//! udevd's time is from the kernel's first event of the pad to udevd's last message about it, both as they
//! arrive at one socket that listens to the groups of both: what udevd adds to the kernel's own time. Ours
//! is from the first look into sysfs to the last message sent, for the same nodes of the same pad: reading,
//! rules, records and messages, into a network namespace where somebody listens.
//!
//! Arguments: the number of rounds. Exit status 1 when udevd is not at least [`GOAL`] times slower.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use udev_forge::database::Database;
use udev_forge::{Credentials, Forged, Hwdb, Monitor, Sender, Stamp, SysDevice, Sysfs};
use vinput::{DeviceName, Profile, uinput};

/// How many times faster we have to be.
const GOAL: f64 = 20.0;

/// Nothing that is waited for takes longer, also when emulated.
const PATIENCE: Duration = Duration::from_secs(60);

/// `MONITOR_GROUP_KERNEL` and `MONITOR_GROUP_UDEV` in systemd's device-monitor.c.
const BOTH_GROUPS: u32 = 1 | 2;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-udev: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let rounds: usize = match std::env::args().nth(1) {
        Some(number) => number.parse().context("the number of rounds")?,
        None => 21,
    };
    ensure!(rounds > 0, "no rounds, no result");
    ensure!(Path::new("/run/udev/control").exists(), "systemd-udevd does not run here");
    let events = listen()?;
    let ours = Ours::start()?;
    let (mut of_udevd, mut of_us) = (Vec::new(), Vec::new());
    for number in 0..=rounds {
        let (udevd, us) = round(&events, &ours).with_context(|| format!("round {number}"))?;
        let times = format!("udevd {}, udev-forge {}", ms(udevd), ms(us.total()));
        if number == 0 {
            println!("warm-up:  {times} (not counted)");
        } else {
            println!("round {number:>2}: {times}");
            of_udevd.push(udevd);
            of_us.push(us);
        }
    }
    report(&of_udevd, &of_us)
}

/// Plugs a pad, waits until udevd has told of it, tells of it ourselves, unplugs it.
fn round(events: &Receiver<Event>, ours: &Ours) -> Result<(Duration, Steps)> {
    let profile = Profile::builtin("xbox-one").context("no such profile")?;
    let phys = DeviceName::new("hotseat/bench/0").context("naming the device")?;
    let pad = uinput::Device::create(profile, profile.device_name(), &phys)?;
    let paths = syspaths(&pad)?;

    let arrivals = wait_for("add", &paths, events)?;
    let first = arrivals.iter().filter(|event| !event.of_udevd).map(|event| event.at).min();
    let last = arrivals.iter().filter(|event| event.of_udevd).map(|event| event.at).max();
    let udevd = last.zip(first).map(|(last, first)| last - first).context("no events")?;

    let (steps, forged) = ours.announce(&paths)?;
    ours.check(&forged)?;
    drop(pad);
    wait_for("remove", &paths, events)?;
    Ok((udevd, steps))
}

/// The input device and its nodes, in the order of the kernel's events.
fn syspaths(pad: &uinput::Device) -> Result<Vec<PathBuf>> {
    let nodes = pad.nodes().iter().map(|node| node.syspath.clone());
    let mut paths: Vec<PathBuf> = nodes.collect();
    let input = paths.first().and_then(|path| path.parent()).context("a pad without nodes")?;
    paths.insert(0, input.to_owned());
    Ok(paths)
}

/// A datagram of the kernel or of udevd about one device.
struct Event {
    at: Instant,
    of_udevd: bool,
    action: String,
    devpath: String,
}

impl Event {
    fn parse(at: Instant, datagram: &[u8]) -> Option<Self> {
        let of_udevd = datagram.starts_with(b"libudev\0");
        // Behind the header of the one, and the summary of the other.
        let body = if of_udevd { datagram.get(40..)? } else { datagram };
        let value = |key: &str| {
            let entries = body.split(|byte| *byte == 0);
            let value = entries.filter_map(|entry| entry.strip_prefix(key.as_bytes())).next()?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        Some(Self { at, of_udevd, action: value("ACTION=")?, devpath: value("DEVPATH=")? })
    }
}

/// Takes the time of every event, on a thread that does nothing else.
fn listen() -> Result<Receiver<Event>> {
    let flags = SocketFlags::CLOEXEC;
    let socket: OwnedFd =
        socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(KOBJECT_UEVENT))
            .context("making a socket for events")?;
    bind(&socket, &SocketAddrNetlink::new(0, BOTH_GROUPS)).context("listening to events")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        // Lost events are missed by whoever waits for them.
        while let Ok((size, _)) = recv(&socket, &mut buffer[..], RecvFlags::empty()) {
            let event =
                buffer.get(..size).and_then(|datagram| Event::parse(Instant::now(), datagram));
            if event.is_some_and(|event| sender.send(event).is_err()) {
                break;
            }
        }
    });
    Ok(receiver)
}

/// Waits until both the kernel and udevd have told of all the devices.
fn wait_for(action: &str, paths: &[PathBuf], events: &Receiver<Event>) -> Result<Vec<Event>> {
    let devpaths = paths.iter().map(|path| path.to_string_lossy().replacen("/sys", "", 1));
    let mut missing: BTreeSet<(bool, String)> =
        devpaths.flat_map(|path| [(false, path.clone()), (true, path)]).collect();
    let deadline = Instant::now() + PATIENCE;
    let mut arrived = Vec::new();
    while !missing.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(event) = events.recv_timeout(left) else { bail!("no {action} of {missing:?}") };
        if event.action == action && missing.remove(&(event.of_udevd, event.devpath.clone())) {
            arrived.push(event);
        }
    }
    Ok(arrived)
}

/// A network namespace and a database, as a container has them.
struct Ours {
    /// Read at the start, as udevd and the daemon do.
    hwdb: Hwdb,
    sender: Sender,
    monitor: Monitor,
    database: Database,
    folder: PathBuf,
    /// Keeps the namespace; ends with its input.
    container: Child,
}

/// How long each part of our work took.
struct Steps {
    read: Duration,
    rules: Duration,
    records: Duration,
    messages: Duration,
}

impl Steps {
    fn total(&self) -> Duration {
        self.read + self.rules + self.records + self.messages
    }
}

impl Ours {
    fn start() -> Result<Self> {
        let mut container = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo ready; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting unshare")?;
        let stdout = container.stdout.take().context("no output")?;
        BufReader::new(stdout).read_line(&mut String::new()).context("waiting for unshare")?;
        let netns = File::open(format!("/proc/{}/ns/net", container.id()));
        let netns = netns.context("opening the network namespace")?;
        let folder = PathBuf::from(format!("/run/bench-udev-{}", std::process::id()));
        Ok(Self {
            hwdb: Hwdb::of_system()?,
            sender: Sender::open_in(netns.as_fd())?,
            monitor: Monitor::open_in(netns.as_fd())?,
            database: Database::open(&folder)?,
            folder,
            container,
        })
    }

    /// What the product does about the devices, all nodes at each step.
    fn announce(&self, paths: &[PathBuf]) -> Result<(Steps, Vec<Forged>)> {
        let start = Instant::now();
        let sysfs = Sysfs::new();
        let devices: Vec<SysDevice> =
            paths.iter().map(|path| sysfs.read(path)).collect::<Result<_, _>>()?;
        let read = Instant::now();
        let stamp = Stamp::now()?;
        let forged: Vec<Forged> =
            devices.iter().map(|device| Forged::add(device, &self.hwdb, stamp)).collect();
        let rules = Instant::now();
        for forged in &forged {
            self.database.write(forged)?;
        }
        let records = Instant::now();
        for forged in &forged {
            self.sender.send(&forged.add_message(), &Credentials { uid: 0, gid: 0 })?;
        }
        let messages = Instant::now();
        let steps = Steps {
            read: read - start,
            rules: rules - read,
            records: records - rules,
            messages: messages - records,
        };
        Ok((steps, forged))
    }

    /// That all has arrived, so that it was all measured; and leaves nothing behind.
    fn check(&self, forged: &[Forged]) -> Result<()> {
        for forged in forged {
            let received = self.monitor.try_recv()?.context("a message did not arrive")?;
            ensure!(received.message == forged.add_message(), "another message arrived");
            let record = self.folder.join("data").join(forged.record().file_name());
            let text = fs::read_to_string(record).context("reading a record")?;
            ensure!(text == forged.record().text(), "another record was written");
            self.database.remove(forged)?;
        }
        Ok(())
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        drop(self.container.stdin.take());
        let _ = self.container.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn report(udevd: &[Duration], us: &[Steps]) -> Result<()> {
    println!();
    println!(
        "{:<46} {:>10} {:>10} {:>10}",
        "from the first event or look into sysfs", "median", "min", "max"
    );
    let theirs = show("systemd-udevd: all messages out", udevd.iter().copied());
    let ours = show("udev-forge: all records and messages out", us.iter().map(Steps::total));
    let parts: BTreeMap<&str, fn(&Steps) -> Duration> = BTreeMap::from([
        ("1. reading sysfs", (|steps| steps.read) as fn(&Steps) -> Duration),
        ("2. rules", |steps| steps.rules),
        ("3. records", |steps| steps.records),
        ("4. messages", |steps| steps.messages),
    ]);
    for (name, part) in parts {
        show(&format!("  {name}"), us.iter().map(part));
    }
    let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
    println!("\nudev-forge is {ratio:.1} times faster (must be at least {GOAL})");
    ensure!(ratio >= GOAL, "udev-forge is not fast enough");
    Ok(())
}

/// Prints a line of the result and returns the median.
fn show(what: &str, times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    let last = times.len().saturating_sub(1);
    // The mean of the two in the middle when there are two.
    let median = (at(last / 2) + at(times.len() / 2)) / 2;
    println!("{what:<46} {:>10} {:>10} {:>10}", ms(median), ms(at(0)), ms(at(last)));
    median
}

fn ms(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1000.0)
}
