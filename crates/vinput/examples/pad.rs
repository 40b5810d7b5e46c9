//! Makes a device and sets its controls from standard input: one frame per line, such as
//! `south=1 lx=-0.5`. What programs send back, and what a client's device should do, is printed before the next
//! line is read.
//!
//! Needs permission to use /dev/uinput, so usually root:
//!
//! ```sh
//! cargo build --example pad && sudo target/debug/examples/pad [PROFILE]
//! ```

use std::error::Error;
use std::io;
use std::time::Instant;

use vinput::feedback::Player;
use vinput::uinput::Device;
use vinput::{DeviceName, Profile, Reaper};

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "xbox-one".to_owned());
    let Some(profile) = Profile::builtin(&name) else {
        let names: Vec<_> = Profile::builtins().map(Profile::name).collect();
        return Err(format!("the profiles are {}", names.join(", ")).into());
    };
    let phys = DeviceName::new("vinput/example")?;
    let device = Device::create(profile, profile.device_name(), &phys)?;
    for node in device.nodes() {
        println!("/dev/{}", node.devname);
    }
    let mut player = Player::new(profile);
    for line in io::stdin().lines() {
        match profile.frame(line?.split_whitespace()) {
            Ok(frame) => device.write(&frame)?,
            Err(error) => eprintln!("{error}"),
        }
        while let Some(feedback) = device.read_feedback()? {
            println!("{feedback:?}");
            player.handle(&feedback, Instant::now());
        }
        player.handle_timeout(Instant::now());
        while let Some(command) = player.poll() {
            println!("{command:?}");
        }
    }
    Reaper::new()?.close(device).wait();
    Ok(())
}
