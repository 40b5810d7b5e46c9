//! Makes a device and sets its controls from standard input: one frame per line, such as
//! `south=1 lx=-0.5`. What programs send back is printed before the next line is read.
//!
//! Needs permission to use /dev/uinput, so usually root:
//!
//! ```sh
//! cargo build --example pad && sudo target/debug/examples/pad [xbox-one | keyboard | mouse]
//! ```

use std::error::Error;
use std::io;

use vinput::uinput::Device;
use vinput::{DeviceName, Profile, Reaper};

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "xbox-one".to_owned());
    let profile = Profile::builtin(&name).ok_or("the profiles are xbox-one, keyboard, mouse")?;
    let phys = DeviceName::new("vinput/example")?;
    let device = Device::create(profile, profile.device_name(), &phys)?;
    for node in device.nodes() {
        println!("/dev/{}", node.devname);
    }
    for line in io::stdin().lines() {
        match profile.frame(line?.split_whitespace()) {
            Ok(frame) => device.write(&frame)?,
            Err(error) => eprintln!("{error}"),
        }
        while let Some(feedback) = device.read_feedback()? {
            println!("{feedback:?}");
        }
    }
    Reaper::new()?.close(device).wait();
    Ok(())
}
