//! Announces a device of this host to the programs in the network namespace of a process:
//!
//! ```console
//! # cargo run --example send -- 4711 /sys/class/input/event5 100000
//! ```
//!
//! The last argument is the host's uid of the container's root; 0 if left out.

use std::error::Error;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use udev_forge::{Credentials, Forged, Hwdb, Monitor, Sender, Stamp, SysDevice};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pid, syspath, root @ ..] = &arguments[..] else {
        return Err("usage: send PID SYSPATH [UID]".into());
    };
    let uid = root.first().map_or(Ok(0), |uid| uid.parse())?;
    let netns = File::open(format!("/proc/{pid}/ns/net"))?;
    let sender = Sender::open_in(netns.as_fd())?;
    let monitor = Monitor::open_in(netns.as_fd())?;

    let device = SysDevice::read(Path::new(syspath))?;
    let forged = Forged::add(&device, &Hwdb::of_system()?, Stamp::now()?);
    sender.send(&forged.add_message(), &Credentials { uid, gid: uid })?;

    let received = monitor.try_recv()?.ok_or("the message did not arrive")?;
    for (key, value) in received.message.properties().iter() {
        println!("{key}={value}");
    }
    Ok(())
}
