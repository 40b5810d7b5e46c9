//! `host-devices`: from the kernel's word of a dongle to a program in a container that has it open; against what people do
//! who have no Hotseat.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use udev_forge::{Action, KernelEvents, Monitor};

use super::sides::{Container, need_docker, now};
use super::{show, soon};
use crate::demo::daemon::{self, Daemon, ms};
use crate::demo::program::{Line, Program};
use crate::tools;

/// How many times faster than a script that polls Hotseat has to be.
const GOAL: f64 = 2.0;

/// How the script polls: as many do, every second.
const MONITOR: &str = include_str!("../../bench/usb-monitor.sh");

/// What wants the device in every container.
const OPENER: &str = include_str!("../../bench/opener.py");

const NODE: &str = "/dev/ttyACM0";

const EXPLANATION: &str = "\
A dongle (a gadget of the kernel's own) is plugged in and pulled out. Three containers get it each time, and the same program
in each, told by inotify, opens its serial line. Times are from the kernel's event of that line.
hotseat: a rule; the container was started without any options.
mdev:    `mdev -d` of busybox in the container, which may make and open serial lines; what libudev would need is left out.
polling: a script in such a container that looks at /sys/class/tty every second and makes the node.
Hotseat tells what the host's udevd says of the line, and so waits for that; the others do without.
";

/// Measures `rounds` plugs on this machine, which has `dummy_hcd` and where we are root.
pub(crate) fn run_here(rounds: u32) -> Result<()> {
    ensure!(rounds > 0, "no rounds, no result");
    daemon::load_modules()?;
    need_docker(soon())?;
    let programs = tools::target()?.join("release");
    let mut daemon = Daemon::start(&programs.join("hotseat"), soon())?;
    let measured = measure(&daemon, rounds);
    report(&daemon.explain(measured)?)
}

/// One plug: from the kernel's word of it.
struct Plug {
    /// To the word of the host's udevd.
    udevd: Duration,
    hotseat: Duration,
    mdev: Duration,
    polling: Duration,
}

fn measure(daemon: &Daemon, rounds: u32) -> Result<Vec<Plug>> {
    let dongle = Dongle::make()?;
    let may = ["--device-cgroup-rule=c 166:* rwm", "--cap-add=MKNOD"];
    let busybox = ["--volume", "/usr/bin/busybox:/usr/bin/busybox:ro"];
    let mut hotseat = Opener::start("hotseat-bench", &[])?;
    let mut mdev = Opener::start("mdev-bench", &[&may[..], &busybox].concat())?;
    let mut polling = Opener::start("polling-bench", &may)?;
    let body = format!(r#"{{"name":"bench","container":"docker:{}"}}"#, hotseat.container.name);
    daemon.ask("POST", "/v1/sessions", &body)?;
    let rule = r#"{"subsystem":"tty","vendor":"1cf1","product":"0030"}"#;
    daemon.ask("POST", "/v1/sessions/bench/rules", rule)?;
    let _mdev = mdev.run("mdev", &["busybox", "mdev", "-df"])?;
    let _polling = polling.run("the script that polls", &["sh", "-c", MONITOR])?;
    let ears = Ears::open()?;

    println!("{EXPLANATION}");
    let mut plugs = Vec::new();
    for number in 0..=rounds {
        let start = ears.drain().and_then(|()| dongle.plug()).and_then(|()| ears.kernel())?;
        let since = |at: Duration| at.saturating_sub(start);
        let plug = Plug {
            udevd: since(ears.udevd()?),
            hotseat: since(hotseat.opened().context("Hotseat")?),
            mdev: since(mdev.opened().context("mdev")?),
            polling: since(polling.opened().context("the script that polls")?),
        };
        dongle.unplug()?;
        for opener in [&mut hotseat, &mut mdev, &mut polling] {
            opener.gone()?;
        }
        // The host's own udevd may still be busy with it.
        Program::output("udevadm", &["settle", "--timeout=60"], soon())?;
        let Plug { udevd, hotseat, mdev, polling } = &plug;
        let [udevd, hotseat, mdev, polling] = [udevd, hotseat, mdev, polling].map(|it| ms(*it));
        let counted = if number == 0 { " (not counted)" } else { "" };
        println!(
            "round {number:>2}: udevd {udevd:>9}, hotseat {hotseat:>9}, mdev {mdev:>9}, polling {polling:>9}{counted}"
        );
        if number > 0 {
            plugs.push(plug);
        }
        // Wherever the script is in its second: not always at the same place.
        thread::sleep(Duration::from_millis(u64::from(number) * 370 % 1000));
    }
    Ok(plugs)
}

fn report(plugs: &[Plug]) -> Result<()> {
    println!();
    println!("{:<44} {:>10} {:>10} {:>10}", "from the kernel's event to", "median", "min", "max");
    let all = |time: fn(&Plug) -> Duration| plugs.iter().map(time).collect();
    show("the word of the host's udevd", all(|plug| plug.udevd));
    let ours = show("hotseat: open in the container", all(|plug| plug.hotseat));
    show(
        "hotseat: the same from udevd's word on",
        all(|plug| plug.hotseat.saturating_sub(plug.udevd)),
    );
    let mdev = show("mdev:    open in the container", all(|plug| plug.mdev));
    let polling = show("polling: open in the container", all(|plug| plug.polling));
    println!();
    if std::env::var_os("HOTSEAT_VM").is_some() {
        println!(
            "This was emulated in software: hardware needs a small part of these times but for the script's second,"
        );
        println!("and the ratios are others there.");
    }
    let times = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
    let faster = times(polling, ours);
    println!("hotseat takes {:.1} times as long as mdev", times(ours, mdev));
    println!("polling takes {faster:.1} times as long as hotseat (must be at least {GOAL})");
    ensure!(faster >= GOAL, "hotseat is not fast enough");
    Ok(())
}

/// A ConBee II, as the gateway of the balenaOS text has it, made of the kernel's gadget drivers.
struct Dongle;

const GADGET: &str = "/sys/kernel/config/usb_gadget/hotseat-bench";

impl Dongle {
    fn make() -> Result<Self> {
        sh(&format!(
            "modprobe -a dummy_hcd libcomposite usb_f_acm cdc_acm
             mkdir {GADGET}; cd {GADGET}
             echo 0x1cf1 > idVendor; echo 0x0030 > idProduct
             mkdir strings/0x409 configs/c.1 functions/acm.0
             echo DE2706277 > strings/0x409/serialnumber
             ln -s functions/acm.0 configs/c.1/"
        ))?;
        Ok(Self)
    }

    fn plug(&self) -> Result<()> {
        sh(&format!("echo dummy_udc.0 > {GADGET}/UDC"))
    }

    fn unplug(&self) -> Result<()> {
        sh(&format!("echo > {GADGET}/UDC"))
    }
}

impl Drop for Dongle {
    fn drop(&mut self) {
        // Not plugged in, it cannot be pulled out.
        let _ = self.unplug();
        let removed = sh(&format!(
            "cd {GADGET}; rm configs/c.1/acm.0; rmdir configs/c.1 functions/acm.0 strings/0x409; cd /; rmdir {GADGET}"
        ));
        if let Err(error) = removed {
            eprintln!("xtask: the dongle is not gone: {error:#}");
        }
    }
}

fn sh(script: &str) -> Result<()> {
    Program::output("sh", &["-ec", script], soon()).map(drop)
}

/// A container, and the program in it that wants the dongle.
struct Opener {
    // Dropped first.
    program: Program,
    container: Container,
}

impl Opener {
    fn start(name: &str, options: &[&str]) -> Result<Self> {
        let container = Container::start(name, options, soon())?;
        let command = ["exec", "-i", &container.name, "python3", "-c", OPENER, NODE];
        let mut program = Program::start("what opens the dongle", "docker", &command)?;
        let ready = |line: &Line| (line.text == "listening").then_some(());
        program.wait_for("listening", soon(), ready)?;
        Ok(Self { program, container })
    }

    /// Runs a program beside it.
    fn run(&self, name: &str, command: &[&str]) -> Result<Program> {
        let all = [&["exec", "-i", &self.container.name], command].concat();
        Program::start(name, "docker", &all)
    }

    fn opened(&mut self) -> Result<Duration> {
        let opened = |line: &Line| line.text.strip_prefix("open ")?.parse().ok();
        self.program.wait_for("open", soon(), opened).map(Duration::from_nanos)
    }

    fn gone(&mut self) -> Result<()> {
        let gone = |line: &Line| (line.text == "gone").then_some(());
        self.program.wait_for("gone", soon(), gone)
    }
}

/// What hears of the serial line, from the kernel and from the host's udevd.
struct Ears {
    kernel: KernelEvents,
    udevd: Monitor,
}

impl Ears {
    fn open() -> Result<Self> {
        ensure!(Path::new("/run/udev/control").exists(), "systemd-udevd does not run here");
        let kernel = KernelEvents::listen().context("listening to the kernel")?;
        let udevd = Monitor::open().context("listening to udevd")?;
        Ok(Self { kernel, udevd })
    }

    /// What there is to hear concerns the last plug.
    fn drain(&self) -> Result<()> {
        while self.kernel.try_next()?.is_some() {}
        while self.udevd.try_recv()?.is_some() {}
        Ok(())
    }

    /// When the kernel says that the line is there.
    fn kernel(&self) -> Result<Duration> {
        loop {
            while let Some((action, devpath)) = self.kernel.try_next()? {
                if is_line(action, &devpath) {
                    return Ok(now());
                }
            }
            wait(PollFd::new(&self.kernel, PollFlags::IN))?;
        }
    }

    /// When udevd does.
    fn udevd(&self) -> Result<Duration> {
        loop {
            while let Some(received) = self.udevd.try_recv()? {
                if is_line(received.message.action(), received.message.devpath()) {
                    return Ok(now());
                }
            }
            wait(PollFd::new(&self.udevd, PollFlags::IN))?;
        }
    }
}

fn is_line(action: Action, devpath: &str) -> bool {
    action == Action::Add && devpath.ends_with("/tty/ttyACM0")
}

fn wait(fd: PollFd<'_>) -> Result<()> {
    let patience = Timespec { tv_sec: 60, tv_nsec: 0 };
    let ready = poll(&mut [fd], Some(&patience)).context("waiting for the dongle")?;
    ensure!(ready > 0, "nobody says that the dongle is there");
    Ok(())
}
