//! Booting the machine: one QEMU, one command, one exit status.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::{env, thread};

use anyhow::{Context as _, Result, bail};

use super::exit_marker::ExitMarker;
use super::image::Image;
use super::scratch::Scratch;
use super::{Output, Settings, guest_path};
use crate::tools;

/// How a command in the machine ended.
pub(super) enum Outcome {
    /// By itself, with this exit status (128 + n: by signal n).
    Exited(u8),
    /// It did not, within [`Settings::timeout`].
    TimedOut,
}

/// What becomes of the changes to the disk.
#[derive(Clone, Copy)]
pub(super) enum Disk {
    /// They are gone with the machine.
    ThrowAway,
    /// They stay in the image.
    Keep,
}

/// Variables of our environment that commands in the machine get too.
const PASSED_ON: &[&str] =
    &["CI", "HOTSEAT_SOAK", "RUST_BACKTRACE", "RUST_LOG", "NO_COLOR", "CARGO_TERM_COLOR"];

/// Hardware for tests to look at: a mouse, a keyboard, a serial line (an FTDI chip), a reader of smart cards,
/// and a pen tablet.
const USB: &[&str] = &[
    "usb-mouse,serial=42",
    "usb-kbd",
    "usb-serial,chardev=serial",
    "usb-ccid",
    "usb-wacom-tablet",
];

/// Sockets with both ends in QEMU, the second one a port in the machine: with them a test plugs hardware into the machine that
/// it runs in. `/dev/virtio-ports/hotseat.qmp` is QEMU's monitor (QMP, docs/interop/qmp-spec.rst in QEMU's sources); `line` and `card` are
/// character devices for what it plugs in, a serial line and a smart card, whose far ends are the ports of these names.
const PORTS: &[&str] = &["qmp", "line", "card"];

/// How many lines of the console are shown when something went wrong.
const CONSOLE_LINES: usize = 40;

/// How often a machine is booted that dies by no fault of the command. QEMU's emulation of several processors
/// loses about one run in some hundreds: a processor takes the breakpoint of an instruction that another has
/// already finished patching (Linux, arch/x86/kernel/alternative.c), mostly on the way up, when sched_clock is
/// marked stable.
const BOOTS: u32 = 3;

/// Boots `image` and runs `command` in it. Its output, stdout and stderr in one, goes where the settings say.
pub(super) fn command(
    image: &Image,
    settings: &Settings,
    disk: Disk,
    command: &[OsString],
) -> Result<Outcome> {
    let mut boots = 1;
    loop {
        match boot(image, settings, disk, command)? {
            Some(outcome) => return Ok(outcome),
            None if boots == BOOTS => bail!("the machine's kernel died {BOOTS} times"),
            None => eprintln!("vm: that was not the command's fault; booting once more"),
        }
        boots += 1;
    }
}

/// One boot and one run of `command`. `None`: the machine died, and not by what the command did.
fn boot(
    image: &Image,
    settings: &Settings,
    disk: Disk,
    command: &[OsString],
) -> Result<Option<Outcome>> {
    let mut marker = ExitMarker::new().context("drawing the exit marker")?;
    let folder = Scratch::new("run")?;
    let words: Vec<Vec<u8>> = command.iter().map(|word| quote(word)).collect();
    let started = guest_path(&folder.join("started"))?;
    let started = [b": >", &quote(started.as_ref())[..], b" || exit 125\n"].concat();
    let script = [started, environment(settings), b"exec ".to_vec(), words.join(&b' ')].concat();
    folder.write("command", &script)?;
    folder.write("marker", marker.text())?;

    let (ours, theirs) = UnixStream::pair().context("making a socket pair")?;
    let log = File::create(folder.join("qemu")).context("creating QEMU's log")?;
    let mut qemu = qemu(image, settings, disk, &folder, "hotseat.run")?;
    qemu.arg("-chardev").arg(option("file,id=console,path=", &folder.join("console"), ""));
    qemu.args(["-serial", "chardev:console", "-device", "virtio-serial-pci"]);
    // File descriptor 0 is QEMU's end of the socket pair.
    qemu.args(["-chardev", "socket,id=out,fd=0"]);
    qemu.args(["-device", "virtserialport,chardev=out,name=hotseat.out"]);
    for port in PORTS {
        qemu.args(["-chardev", &format!("socket,id={port},path={port},server=on,wait=off")]);
        qemu.args(["-chardev", &format!("socket,id={port}-far,path={port}")]);
        qemu.args(["-device", &format!("virtserialport,chardev={port}-far,name=hotseat.{port}")]);
    }
    qemu.args(["-mon", "chardev=qmp,mode=control"]);
    // The path of a socket must be shorter than that of this folder may be (unix(7)).
    qemu.current_dir(folder.path());
    qemu.stdin(OwnedFd::from(theirs)).stdout(log.try_clone()?).stderr(log);
    let machine = Machine::start(qemu)?;

    let (sender, ended) = mpsc::channel();
    let output = settings.output.clone();
    thread::spawn(move || sender.send(pass_on(ours, &mut marker, output)));
    let ended = ended.recv_timeout(settings.timeout());
    drop(machine);
    match ended {
        Ok(Ok(Some(status))) => {
            show_kernel_complaints(&folder);
            Ok(Some(Outcome::Exited(status)))
        }
        Ok(Ok(None)) => {
            show_last_words(&folder);
            // No panic: a QEMU that could not even start will not do better the next time.
            let console = console(&folder);
            let emulator = console.contains("int3: 0000") && matches!(disk, Disk::ThrowAway);
            let started = folder.join("started").exists();
            if console.contains("Kernel panic") && (emulator || !started) {
                return Ok(None);
            }
            bail!("the machine stopped before the command had ended")
        }
        Ok(Err(error)) => Err(error).context("passing the command's output on"),
        Err(RecvTimeoutError::Timeout) => {
            show_last_words(&folder);
            Ok(Some(Outcome::TimedOut))
        }
        Err(RecvTimeoutError::Disconnected) => bail!("the thread that reads the output died"),
    }
}

/// Boots `image` with a root shell on the serial console, which is our terminal.
pub(super) fn shell(image: &Image, settings: &Settings) -> Result<()> {
    let folder = Scratch::new("run")?;
    let mut script = environment(settings);
    if let Some(size) = stty(&["size"]) {
        if let Some((rows, columns)) = size.split_once(' ') {
            script.extend(format!("stty rows {rows} cols {columns}\n").bytes());
        }
        let term = env::var("TERM").unwrap_or_else(|_| "linux".to_owned());
        script.extend([b"export TERM=", &quote(term.as_ref())[..], b"\n"].concat());
    }
    script.extend(b"exec bash -i");
    folder.write("command", &script)?;

    let before = stty(&["-g"]);
    let mut qemu = qemu(image, settings, Disk::ThrowAway, &folder, "hotseat.shell")?;
    // QEMU switches the terminal to raw mode, so that Ctrl-C reaches the machine; Ctrl-A X ends it.
    qemu.args(["-serial", "mon:stdio"]);
    eprintln!("vm: `exit` or Ctrl-A X leaves the machine");
    let ended = Machine::start(qemu).and_then(|mut machine| machine.wait());
    if let Some(modes) = before {
        stty(&[&modes]);
    }
    ended
}

/// Asks or tells `stty` something about our terminal, if it is one.
fn stty(arguments: &[&str]) -> Option<String> {
    if !io::stdin().is_terminal() {
        return None;
    }
    let told = Command::new("stty").args(arguments).stdin(Stdio::inherit()).output().ok()?;
    String::from_utf8(told.stdout).ok().map(|text| text.trim().to_owned())
}

/// The beginning of the script that the machine runs.
fn environment(settings: &Settings) -> Vec<u8> {
    // What systemd tells a service about itself is not for the command.
    let mut script = b"cd /work || exit 125\n\
        unset INVOCATION_ID JOURNAL_STREAM SYSTEMD_EXEC_PID MEMORY_PRESSURE_WATCH MEMORY_PRESSURE_WRITE\n\
        export HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
        .to_vec();
    let passed_on = PASSED_ON.iter().filter_map(|name| Some((*name, env::var_os(name)?)));
    let ours = [("HOTSEAT_VM", settings.release.name().into())];
    for (name, value) in passed_on.chain(ours) {
        script.extend([b"export ", name.as_bytes(), b"=", &quote(&value), b"\n"].concat());
    }
    script
}

/// `word` for a POSIX shell, byte for byte.
fn quote(word: &OsStr) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for &byte in word.as_bytes() {
        match byte {
            b'\'' => quoted.extend(br"'\''"),
            _ => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// QEMU with everything but its consoles.
fn qemu(
    image: &Image,
    settings: &Settings,
    disk: Disk,
    run: &Scratch,
    mode: &str,
) -> Result<Command> {
    let workspace = tools::workspace()?;
    let target = tools::target()?;
    // Emulation always: /dev/kvm may exist and yet hang.
    let mut qemu = tools::bound_to_us("KILL", "qemu-system-x86_64");
    qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    qemu.args(["-machine", "q35,sata=off,smbus=off", "-accel", "tcg,thread=multi"]);
    qemu.args([
        "-cpu",
        &settings.cpu,
        "-smp",
        &settings.processors.to_string(),
        "-m",
        &settings.memory.to_string(),
    ]);
    qemu.args(["-nic", "none", "-device", "virtio-rng-pci"]);
    qemu.args(["-device", "qemu-xhci,id=usb", "-chardev", "null,id=serial"]);
    for device in USB {
        qemu.arg("-device").arg(format!("{device},bus=usb.0"));
    }
    qemu.arg("-kernel").arg(image.kernel()).arg("-initrd").arg(image.initrd());

    let seen = guest_path(run.path())?;
    let in_work = seen.strip_prefix("/work").context("the run's folder is not in the workspace")?;
    // Warnings and worse reach the console, or only alarms when somebody works on it. mitigations=off: they
    // only cost time here.
    let loglevel = if mode == "hotseat.shell" { 2 } else { 5 };
    let mut kernel = format!(
        "console=ttyS0 quiet loglevel={loglevel} panic=-1 mitigations=off systemd.show_status=error {mode}={}",
        in_work.display()
    );
    kernel.push_str(settings.cgroup.command_line());
    if !settings.no_rcu_expedited {
        kernel.push_str(" rcupdate.rcu_expedited=1");
    }
    qemu.arg("-append").arg(kernel);

    let kept = match disk {
        Disk::ThrowAway => ",format=raw,if=virtio,cache=unsafe,snapshot=on",
        Disk::Keep => ",format=raw,if=virtio,cache=unsafe",
    };
    qemu.arg("-drive").arg(option("file=", &image.disk(), kept));
    let share = |path: &Path, tag: &str| {
        let rest = format!(",mount_tag={tag},security_model=none,multidevs=remap");
        option("local,path=", path, &rest)
    };
    qemu.arg("-virtfs").arg(share(&workspace, "work"));
    if !target.starts_with(&workspace) {
        run.write("target", b"")?;
        qemu.arg("-virtfs").arg(share(&target, "target"));
    }
    Ok(qemu)
}

/// One of QEMU's comma-separated options, with a path in it.
fn option(before: &str, path: &Path, after: &str) -> OsString {
    let mut bytes = before.as_bytes().to_vec();
    for &byte in path.as_os_str().as_bytes() {
        bytes.push(byte);
        if byte == b',' {
            bytes.push(byte);
        }
    }
    bytes.extend(after.bytes());
    OsString::from_vec(bytes)
}

/// Copies what the machine says to `out`, up to the marker. `None`: it fell silent without one.
fn pass_on(
    mut from: UnixStream,
    marker: &mut ExitMarker,
    mut out: Output,
) -> io::Result<Option<u8>> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer)?;
        if length == 0 {
            return Ok(None);
        }
        if let Some(status) = marker.push(&buffer[..length], &mut out)? {
            return Ok(Some(status));
        }
    }
}

/// A running QEMU; it does not outlive this value, nor (see [`tools::bound_to_us`]) this process.
struct Machine(Child);

impl Machine {
    fn start(mut qemu: Command) -> Result<Self> {
        let child = qemu.spawn().with_context(|| format!("starting {}", tools::name(&qemu)))?;
        Ok(Self(child))
    }

    fn wait(&mut self) -> Result<()> {
        let status = self.0.wait().context("waiting for QEMU")?;
        if !status.success() {
            bail!("QEMU ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Nothing is lost: the guest's writes to /work and to a kept disk went through before it said that
        // it was done. Both calls fail only when QEMU is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn console(folder: &Scratch) -> String {
    let console = fs::read(folder.join("console")).unwrap_or_default();
    let text = String::from_utf8_lossy(&console);
    // Neither carriage returns nor what systemd says to terminals.
    text.chars().filter(|&sign| sign == '\n' || !sign.is_control()).collect()
}

/// The end of the console, and what QEMU itself had to say.
fn show_last_words(folder: &Scratch) {
    let console = console(folder);
    let lines: Vec<&str> = console.lines().collect();
    eprintln!("vm: the last lines of the machine's console:");
    for line in &lines[lines.len().saturating_sub(CONSOLE_LINES)..] {
        eprintln!("  | {line}");
    }
    let qemu = fs::read(folder.join("qemu")).unwrap_or_default();
    for line in String::from_utf8_lossy(&qemu).lines() {
        eprintln!("vm: {line}");
    }
}

/// A kernel that stumbled is worth a look even when the command succeeded.
fn show_kernel_complaints(folder: &Scratch) {
    const COMPLAINTS: [&str; 5] = ["BUG:", "Oops", "WARNING: ", "INFO: task", "rcu: INFO"];
    let console = console(folder);
    for line in console.lines().filter(|line| COMPLAINTS.iter().any(|word| line.contains(word))) {
        eprintln!("vm: the machine's kernel complained: {line}");
    }
}
