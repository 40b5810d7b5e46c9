//! Wolf's way to plug a pad, with the product's own creation of the kernel device.
//!
//! The sequence is Wolf's (src/moonlight-server/runners/docker.cpp, `RunDocker::run`; platforms/hw/docker.cpp,
//! `exec`): make the device, write the database records into the folder that is the container's `/run/udev`,
//! then for each node one exec in the container, through Docker's API, of a shell that makes the node, opens
//! it to everybody and sends the message. `bench-fake-udev` is the sender.
//!
//! What differs favours Wolf. This program is told at once what to plug; Wolf's thread looks every 500 ms.
//! Docker's API is called directly, as Wolf does: the `docker` command would take longer. The message comes
//! ready to be sent; Wolf's `fake-udev` has base64 to decode. The files are where programs start quickly from.
//!
//! Arguments: the container's name, the folder, Docker's socket. Reads `plug` and `unplug`, a line each,
//! answers `plugged` and `unplugged`.

#[path = "../src/demo/http.rs"]
mod http;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use udev_forge::{Forged, Hwdb, Message, Stamp, SysDevice};
use vinput::{DeviceName, Node, Profile, uinput};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-wolf: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [container, udev, docker] = &arguments[..] else { bail!("three arguments, please") };
    let wolf = Wolf { container: container.clone(), udev: udev.into(), docker: docker.into() };
    let mut pad = None;
    for line in io::stdin().lines() {
        match (line.context("reading what to do")?.as_str(), pad.take()) {
            ("plug", None) => {
                pad = Some(wolf.plug()?);
                println!("plugged");
            }
            ("unplug", Some(plugged)) => {
                wolf.unplug(plugged)?;
                println!("unplugged");
            }
            (line, _) => bail!("{line} makes no sense now"),
        }
    }
    Ok(())
}

struct Wolf {
    container: String,
    udev: PathBuf,
    docker: PathBuf,
}

/// A plugged pad.
struct Pad {
    device: uinput::Device,
    nodes: Vec<(Node, Forged)>,
}

impl Wolf {
    fn plug(&self) -> Result<Pad> {
        let profile = Profile::builtin("xbox-one").context("no such profile")?;
        let phys = DeviceName::new("hotseat/wolf/0").context("naming the device")?;
        let device = uinput::Device::create(profile, profile.device_name(), &phys)?;
        let forge = |node: &Node| {
            let stamp = Stamp::now().context("numbering an event")?;
            let forged = Forged::add(&SysDevice::read(&node.syspath)?, &Hwdb::empty(), stamp);
            Ok((node.clone(), forged))
        };
        let nodes = device.nodes().iter().map(forge).collect::<Result<Vec<_>>>()?;

        for (_, forged) in &nodes {
            let path = self.udev.join("data").join(forged.record().file_name());
            fs::write(path, forged.record().text()).context("writing a record")?;
        }
        for (Node { devname, major, minor, .. }, forged) in &nodes {
            let message = hex(&forged.add_message());
            self.exec(&format!(
                "mkdir -p /dev/input && mknod /dev/{devname} c {major} {minor} \
                 && chmod 777 /dev/{devname} && fake-udev {message}"
            ))?;
        }
        Ok(Pad { device, nodes })
    }

    /// Records, messages, nodes, the device.
    fn unplug(&self, pad: Pad) -> Result<()> {
        for (_, forged) in &pad.nodes {
            let path = self.udev.join("data").join(forged.record().file_name());
            fs::remove_file(path).context("removing a record")?;
        }
        for (node, forged) in &pad.nodes {
            let stamp = Stamp::now().context("numbering an event")?;
            let message = hex(&forged.remove_message(stamp));
            self.exec(&format!("fake-udev {message} && rm /dev/{}", node.devname))?;
        }
        drop(pad.device);
        Ok(())
    }

    /// Runs a script as root in the container.
    fn exec(&self, script: &str) -> Result<()> {
        let command = json!({
            "User": "root", "AttachStdout": true, "AttachStderr": true,
            "Cmd": ["/bin/bash", "-c", script],
        });
        let path = format!("/containers/{}/exec", self.container);
        let made: Value =
            serde_json::from_slice(&self.ask("POST", &path, &command.to_string())?)?;
        let id = made["Id"].as_str().context("an exec without an id")?;
        // Ends when the script does.
        let start = json!({ "Detach": false, "Tty": false }).to_string();
        let output = self.ask("POST", &format!("/exec/{id}/start"), &start)?;
        let ended: Value =
            serde_json::from_slice(&self.ask("GET", &format!("/exec/{id}/json"), "")?)?;
        if ended["ExitCode"] != 0 {
            bail!("{script} failed: {}", String::from_utf8_lossy(&output));
        }
        Ok(())
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Result<Vec<u8>> {
        http::request(&self.docker, method, path, body)
    }
}

/// The properties of a message, a line each, in hexadecimal.
fn hex(message: &Message) -> String {
    let lines: String =
        message.properties().iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    lines.bytes().map(|byte| format!("{byte:02x}")).collect()
}
