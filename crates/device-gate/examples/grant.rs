//! Lets a running container use one character device of the host for as long as this program runs.
//!
//! ```text
//! cargo run --example grant -- PID MAJOR MINOR
//! ```

use std::io::Read;

use device_gate::{Access, Container, Device, Grants};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers =
        std::env::args().skip(1).map(|arg| arg.parse()).collect::<Result<Vec<u32>, _>>()?;
    let &[pid, major, minor] = numbers.as_slice() else {
        return Err("usage: grant PID MAJOR MINOR".into());
    };

    let grants = Grants::choose()?;
    for better in grants.passed_over() {
        println!("{better}");
    }

    let container = Container::open(pid)?;
    let device = Device::char(major, minor);
    let access = Access::READ | Access::WRITE;
    grants.grant(&container, device, access)?;
    println!("{device} {access} granted to {}", container.cgroup().path().display());
    println!("press Ctrl-D to take it back");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
