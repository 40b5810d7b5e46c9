//! A player and a server with a bad link between them: every third datagram is lost, in virtual time.
//!
//! ```sh
//! cargo run -p hotseat-wire --example lossy
//! ```

use std::error::Error;
use std::time::Duration;

use hotseat_wire::{Action, Change, ClientCore, Kind, MAX_DATAGRAM, ServerCore, button};

fn main() -> Result<(), Box<dyn Error>> {
    let mut server = ServerCore::new();
    let mut client = ClientCore::new(Duration::from_millis(4));
    let kinds = Kind::Gamepad.bit();
    client.plugged(0, server.plug(0, kinds).ok_or("no such slot")?, kinds);
    let south = button::number("south").ok_or("no such button")?;

    let mut buffer = [0; MAX_DATAGRAM];
    let mut count = 0;
    for millisecond in 0..200 {
        let now = Duration::from_millis(millisecond);
        if millisecond % 20 == 0 {
            let change = Change::Button { button: south, down: millisecond % 40 == 0 };
            println!("{millisecond:3} ms  player {change:?}");
            client.apply(0, &change);
        }
        while let Some(datagram) = client.poll_transmit(now, &mut buffer) {
            count += 1;
            if count % 3 == 1 {
                println!("{millisecond:3} ms  datagram {count} is lost");
                continue;
            }
            for action in server.handle(now, datagram)? {
                if let Action::Change { change, .. } = action {
                    println!("{millisecond:3} ms  device {change:?}");
                }
            }
        }
        while let Some(datagram) = server.poll_transmit(now, &mut buffer) {
            client.handle(now, datagram)?;
        }
    }
    Ok(())
}
