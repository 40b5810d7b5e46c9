//! A pad in slot 0 of a session goes to the right, and shows what programs send back.
//! `cargo run -p hotseat-client --example play -- HOST:PORT FINGERPRINT SESSION TOKEN`

use std::time::Duration;

use hotseat_client::wire::{Axes, Change};
use hotseat_client::{Client, Options};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, fingerprint, session, token] = arguments.as_slice() else {
        return Err("HOST:PORT FINGERPRINT SESSION TOKEN".into());
    };
    let options = Options::new(address, fingerprint.parse()?, session, token.as_str());
    let client = Client::connect(options).await?;
    let mut events = client.events();
    let pad = client.plug(0, "xbox-one").await?;
    let mut ticks = tokio::time::interval(Duration::from_millis(4));
    for x in (-32_767_i16..32_767).step_by(20) {
        tokio::select! {
            _ = ticks.tick() => {}
            Some(event) = events.next() => println!("{event:?}"),
        }
        pad.change(Change::Axes(Axes { left_stick: [x, 0], ..Axes::default() }));
    }
    client.close().await;
    Ok(())
}
