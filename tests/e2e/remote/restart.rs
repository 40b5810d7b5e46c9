//! Players and the restarts of their server, which systemd keeps devices for.

use hotseat_client::Event;
use hotseat_client::wire::Feedback;
use serde_json::Value;

use super::{INSIDE, PORT, connect, expect, feedback, machine, read, soon, south};
use crate::harness::{HOTSEAT, Program, sh};
use crate::survive::{Service, UNIT};

#[test]
fn a_player_finds_the_same_device_after_a_restart_and_after_a_crash() {
    let identity = tempfile::tempdir().unwrap();
    let remote = format!(
        "grace_seconds = 120\n[remote]\nlisten = \"127.0.0.1:{PORT}\"\nidentity = \"{}/identity.pem\"\n",
        identity.path().display()
    );
    let mut service = Service::configured("FileDescriptorStoreMax=64", &remote);
    service.hotseat("session add s");
    let socket = service.path("sock").display().to_string();
    let run = [&HOTSEAT, "--socket", &socket, "run", "--session", "s", "--"];
    let mut inside = Program::start(&[&run[..], &["python3", "-u", "-c", INSIDE]].concat());
    inside.expect("inside");
    let token: Value = serde_json::from_str(&service.hotseat("token s --json")).unwrap();
    let player = machine();
    let client = connect(&player, &token);
    let mut events = client.events();
    let pad = player.block_on(client.plug(0, "xbox-one")).unwrap();
    let shown = |service: &Service| -> Value {
        serde_json::from_str(&service.hotseat("session show s --json")).unwrap()
    };
    let _keyboard = player.block_on(client.plug(1, "keyboard")).unwrap();
    let devices = |service: &Service| -> Vec<Value> {
        shown(service)["devices"].as_array().unwrap().iter().map(|it| it["nodes"].clone()).collect()
    };
    let nodes = devices(&service);
    let event = |slot: usize| {
        let paths = nodes[slot].as_array().unwrap().iter();
        let mut paths = paths.map(|node| node["path"].as_str().unwrap());
        paths.find(|path| path.contains("event")).unwrap().to_owned()
    };
    read(&mut inside, &event(0));
    inside.say(&format!("led {} 1", event(1)));
    let is_lit = |feedback: &Feedback| *feedback == Feedback::Lamps(0b10);
    player.block_on(feedback(&mut events, is_lit));

    for end in ["restart", "crash"] {
        pad.change(south(true));
        expect(&player, &mut inside, "BTN_SOUTH 1");
        match end {
            "restart" => drop(sh(&format!("systemctl restart {UNIT}"))),
            _ => service.kill(),
        }
        service.journal.expect("ready");
        // It comes back by itself, the lamp is lit again, and what it holds is held in the same device.
        let back = async {
            while !matches!(events.next().await.unwrap(), Event::Connected) {}
            feedback(&mut events, is_lit).await
        };
        player.block_on(soon(back));
        if end == "restart" {
            // Let go of at the end of the old daemon.
            expect(&player, &mut inside, "BTN_SOUTH 0");
            expect(&player, &mut inside, "BTN_SOUTH 1");
        }
        pad.change(south(false));
        expect(&player, &mut inside, "BTN_SOUTH 0");
        assert_eq!(devices(&service), nodes, "{end}");
    }
    player.block_on(client.close());
    inside.expect("gone");
    inside.close();
    service.hotseat("session rm s");
}
