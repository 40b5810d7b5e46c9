//! Clients that mean harm, or have no right: none of it reaches a session, and who plays there notices nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hotseat_client::Device;
use hotseat_client::wire::control::Message;
use hotseat_client::wire::{Axes, Change, MAX_DATAGRAM};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;

use super::raw::{Raw, datagram, endpoint};
use super::{
    arrive, awake, connect, event_node, every_tap_was_seen_once, expect, inside, listening,
    machine, options, read, soon, south, token,
};
use crate::harness::{Daemon, devices_of_hotseat};

/// Taps one after the other until it is told to stop; returns how many.
async fn tap(pad: &Device, stop: &AtomicBool) -> i64 {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let mut taps = 0;
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        pad.change(south(true));
        ticks.tick().await;
        pad.change(south(false));
        taps += 1;
    }
    taps
}

/// Somebody plays in the session `good` while something else happens, and every tap arrives.
fn while_somebody_plays(daemon: &Daemon, harm: impl FnOnce()) {
    let mut inside = inside(daemon, "good");
    let token = token(daemon, "good", &[]);
    let player = awake();
    // Less than the least limit of these tests.
    let calm = || {
        let mut options = options(&token);
        options.rate = 60;
        options
    };
    let client = player.block_on(soon(arrive(calm)));
    let pad = player.block_on(client.plug(0, "xbox-one")).unwrap();
    inside.say(&format!("count {}", event_node(daemon, "good", 0)));
    inside.expect("reading");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let playing = scope.spawn(|| {
            let taps = player.block_on(tap(&pad, &stop));
            let last = hotseat_client::wire::button::number("start").unwrap();
            pad.change(Change::Button { button: last, down: true });
            expect(&player, &mut inside, "last word");
            inside.say("tell -");
            let told = inside.expect("counted");
            every_tap_was_seen_once(daemon, &told, taps);
            player.block_on(client.close());
        });
        // Also where it panics.
        let stop = Stop(&stop);
        harm();
        drop(stop);
        playing.join().unwrap();
    });
    inside.close();
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Who is turned away, with this code.
async fn turned_away(session: &str, token: &str) -> String {
    let endpoint = endpoint(None);
    let mut raw = Raw::connect(&endpoint).await.unwrap();
    raw.ask_for(session, token, &[]).await;
    soon(raw.error()).await
}

#[test]
fn who_has_no_right_is_turned_away_before_a_session_hears_of_it() {
    let daemon = listening("");
    daemon.hotseat(&["session", "add", "good"]);
    daemon.hotseat(&["session", "add", "evil"]);
    let evil = token(&daemon, "evil", &[]);
    let over = token(&daemon, "evil", &["--expires", "0s"]);
    let text = |token: &Value| token["token"].as_str().unwrap().to_owned();
    while_somebody_plays(&daemon, || {
        machine().block_on(async {
            for (session, token, code) in [
                ("evil", "", "token-refused"),
                ("evil", &"0".repeat(64), "token-refused"),
                ("good", &text(&evil), "token-refused"),
                ("nope", &text(&evil), "token-refused"),
                ("evil", &text(&over), "token-expired"),
            ] {
                assert_eq!(turned_away(session, token).await, code, "{session}");
            }

            // Devices and datagrams before the client is known to be there.
            let endpoint = endpoint(None);
            let mut early = Raw::connect(&endpoint).await.unwrap();
            early.plug(0, "xbox-one").await;
            assert_eq!(soon(early.error()).await, "unexpected-message");
            let mut early = Raw::connect(&endpoint).await.unwrap();
            early.ask_for("evil", &text(&evil), &[]).await;
            early.nonce().await.unwrap();
            early.plug(0, "xbox-one").await;
            assert_eq!(soon(early.error()).await, "unexpected-message");
            let mut wrong = Raw::connect(&endpoint).await.unwrap();
            wrong.ask_for("evil", &text(&evil), &[]).await;
            let [first, rest @ ..] = wrong.nonce().await.unwrap();
            let mut nonce = [!first; 16];
            nonce[1..].copy_from_slice(&rest);
            wrong.say(&Message::Ready { nonce }).await;
            assert_eq!(soon(wrong.error()).await, "wrong-nonce");

            // What makes no sense.
            let mut broken = Raw::attach(&endpoint, &evil, &[]).await;
            broken.send.write_all(&[7, 0, 1, 0, 64]).await.unwrap();
            assert_eq!(soon(broken.error()).await, "malformed-message");
            let mut long = Raw::connect(&endpoint).await.unwrap();
            long.send.write_all(&[1, 0, 0xff, 0xff]).await.unwrap();
            assert_eq!(soon(long.error()).await, "malformed-message");
        });
    });
    assert!(devices_of_hotseat().is_empty());
    let session = daemon.json(&["session", "show", "evil"]);
    assert_eq!(session["waiting"], Value::Array(Vec::new()));
}

#[test]
fn a_token_is_good_for_what_it_says_and_no_slot_of_another_is_taken() {
    let daemon = listening("");
    daemon.hotseat(&["session", "add", "good"]);
    let narrow = token(&daemon, "good", &["--profile", "mouse"]);
    while_somebody_plays(&daemon, || {
        let launcher = daemon.plug("good", "keyboard");
        machine().block_on(async {
            let endpoint = endpoint(None);
            let mut raw = Raw::attach(&endpoint, &narrow, &[]).await;
            raw.plug(5, "xbox-one").await;
            assert_eq!(soon(raw.error()).await, "profile-not-allowed");
            // A player's, and one that the launcher has plugged.
            for slot in ["0", &launcher.slot()] {
                raw.plug(slot.parse().unwrap(), "mouse").await;
                assert_eq!(soon(raw.error()).await, "slot-taken");
                raw.say(&Message::Unplug { slot: slot.parse().unwrap() }).await;
                assert_eq!(soon(raw.error()).await, "slot-empty");
            }
            raw.plug(40, "mouse").await;
            assert_eq!(soon(raw.error()).await, "no-such-slot");
            // What it may have works; input for others has no effect.
            raw.plug(5, "mouse").await;
            let (_, _, kinds) = soon(raw.plugged()).await.unwrap();
            for epoch in 0..8 {
                let press = datagram((0, epoch, 2), &south(true));
                raw.connection.send_datagram(press.into()).unwrap();
            }
            assert_eq!(kinds & 2, 0);
            raw.say(&Message::Bye).await;
            while soon(raw.hear()).await.is_some() {}
        });
    });
}

#[test]
fn floods_and_what_is_too_large_are_dropped_unread() {
    let daemon = listening("datagrams_per_connection = 100\nbytes_per_connection = 20000\n");
    daemon.hotseat(&["session", "add", "good"]);
    daemon.hotseat(&["session", "add", "evil"]);
    let mut victim = inside(&daemon, "evil");
    let evil = token(&daemon, "evil", &[]);
    while_somebody_plays(&daemon, || {
        let attacker = awake();
        let endpoint = attacker.block_on(async { endpoint(None) });
        let mut raw = attacker.block_on(Raw::attach(&endpoint, &evil, &[]));
        let device = attacker.block_on(async {
            raw.plug(0, "xbox-one").await;
            soon(raw.plugged()).await.unwrap()
        });
        read(&mut victim, &event_node(&daemon, "evil", 0));
        // Neither longer than allowed nor of another version.
        let mut press = datagram(device, &south(true));
        press.resize(MAX_DATAGRAM + 1, 0);
        raw.connection.send_datagram(press.into()).unwrap();
        let mut press = datagram(device, &south(true));
        press[0] = 2;
        raw.connection.send_datagram(press.into()).unwrap();
        raw.connection.send_datagram(Vec::new().into()).unwrap();
        // The connection goes on.
        let right = Change::Axes(Axes { left_stick: [20000, 0], ..Axes::default() });
        raw.connection.send_datagram(datagram(device, &right).into()).unwrap();
        let seen = expect(&attacker, &mut victim, "");
        assert!(seen.contains("ABS_X 20000"), "{seen}");
        // Until it is too much.
        let code = attacker.block_on(async {
            let junk = vec![0; 1000];
            let flood = async {
                loop {
                    if raw.connection.send_datagram_wait(junk.clone().into()).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            };
            let connection = raw.connection.clone();
            let told = async {
                connection.closed().await;
                let reason = connection.close_reason();
                format!("{reason:?}")
            };
            tokio::select! {
                () = flood => unreachable!(),
                code = soon(told) => code,
            }
        });
        assert!(code.contains("too-many-datagrams"), "{code}");
    });
    let figures = daemon.metrics();
    assert!(figures["hotseat_remote_datagrams_total{outcome=\"malformed\"}"] >= 3.0);
    assert!(figures["hotseat_remote_datagrams_total{outcome=\"over-rate\"}"] > 100.0);
    victim.close();
}

#[test]
fn half_open_connections_by_the_hundred_keep_nobody_out() {
    let daemon = listening("attach_seconds = 2\n");
    daemon.hotseat(&["session", "add", "good"]);
    while_somebody_plays(&daemon, || {
        let attacker = machine();
        attacker.block_on(async {
            let endpoint = endpoint(None);
            let mut open = tokio::task::JoinSet::new();
            for _ in 0..300 {
                let endpoint = endpoint.clone();
                open.spawn(async move {
                    // Some say nothing, and some only who they are.
                    let mut raw = Raw::connect(&endpoint).await.ok()?;
                    raw.say(&Message::Hello { features: 0, name: "slow".to_owned() }).await;
                    Some(soon(raw.error()).await)
                });
            }
            let ended: Vec<_> = open.join_all().await.into_iter().flatten().collect();
            // On a busy machine the time is over before there is a stream to say so.
            let is_over =
                |code: &String| code == "attach-timeout" || code.contains("without a word");
            assert!(ended.iter().all(is_over), "{ended:?}");
            assert!(ended.len() < 300, "some were refused at once");
        });
    });
    let figures = daemon.metrics();
    assert!(figures["hotseat_remote_refused_total{code=\"too-many-connections\"}"] > 0.0);
    // There is room again for who comes now.
    let token = token(&daemon, "good", &[]);
    let player = awake();
    let client = connect(&player, &token);
    player.block_on(client.close());
}

#[test]
fn of_two_connections_of_one_player_the_newer_one_plays() {
    let daemon = listening("");
    daemon.hotseat(&["session", "add", "good"]);
    let mut inside = inside(&daemon, "good");
    let token = token(&daemon, "good", &[]);
    let player = awake();
    let endpoint = player.block_on(async { endpoint(None) });
    let mut older = player.block_on(Raw::attach(&endpoint, &token, &[]));
    let device = player.block_on(async {
        older.plug(0, "xbox-one").await;
        soon(older.plugged()).await.unwrap()
    });
    read(&mut inside, &event_node(&daemon, "good", 0));
    older.connection.send_datagram(datagram(device, &south(true)).into()).unwrap();
    expect(&player, &mut inside, "BTN_SOUTH 1");

    // What somebody else resumes with is worth nothing.
    let other = super::token(&daemon, "good", &[]);
    let mut thief = player.block_on(Raw::attach(&endpoint, &other, &older.resume));
    assert_ne!(thief.resume, older.resume);
    player.block_on(thief.plug(0, "xbox-one"));
    assert_eq!(player.block_on(soon(thief.error())), "slot-taken");

    let mut newer = player.block_on(Raw::attach(&endpoint, &token, &older.resume));
    assert_eq!(player.block_on(soon(older.error())), "taken-over");
    let again = player.block_on(soon(newer.plugged())).unwrap();
    assert_eq!((again.0, again.2), (device.0, device.2));
    assert_ne!(again.1, device.1, "what was said before presses nothing again");
    expect(&player, &mut inside, "BTN_SOUTH 0");
    newer.connection.send_datagram(datagram(device, &south(true)).into()).unwrap();
    let right = Change::Axes(Axes { left_stick: [20000, 0], ..Axes::default() });
    newer.connection.send_datagram(datagram(again, &right).into()).unwrap();
    let seen = expect(&player, &mut inside, "");
    assert!(seen.contains("ABS_X 20000"), "{seen}");
    drop((thief, newer));
    inside.close();
}

#[test]
fn a_goodbye_takes_nothing_of_others_and_a_refused_plug_leaves_nothing_held() {
    let daemon = listening("");
    daemon.hotseat(&["session", "add", "good"]);
    let mut inside = inside(&daemon, "good");
    let launcher = daemon.plug("good", "keyboard");
    let token = token(&daemon, "good", &[]);
    let player = awake();
    let endpoint = player.block_on(async { endpoint(None) });
    let mut rude = player.block_on(Raw::attach(&endpoint, &token, &[]));
    player.block_on(async {
        // At once, so that the goodbye is there while the plug is being looked at.
        let mut bytes = Vec::new();
        let slot = launcher.slot().parse().unwrap();
        Message::Plug { slot, profile: "mouse".to_owned() }.write(&mut bytes);
        Message::Bye.write(&mut bytes);
        rude.send.write_all(&bytes).await.unwrap();
        while soon(rude.hear()).await.is_some() {}
    });
    let session = daemon.json(&["session", "show", "good"]);
    assert_eq!(session["devices"].as_array().unwrap().len(), 1, "{session}");

    let mut raw = player.block_on(Raw::attach(&endpoint, &token, &[]));
    let device = player.block_on(async {
        raw.plug(5, "xbox-one").await;
        soon(raw.plugged()).await.unwrap()
    });
    read(&mut inside, &event_node(&daemon, "good", 1));
    raw.connection.send_datagram(datagram(device, &south(true)).into()).unwrap();
    expect(&player, &mut inside, "BTN_SOUTH 1");
    player.block_on(raw.plug(5, "no-such-profile"));
    assert_eq!(player.block_on(soon(raw.error())), "unknown-profile");
    expect(&player, &mut inside, "BTN_SOUTH 0");
    expect(&player, &mut inside, "gone");
    inside.close();
}

fn certificate() -> (String, CertificateDer<'static>, PrivateKeyDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["player".to_owned()]).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, made.cert.der());
    let fingerprint = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    (fingerprint, made.cert.der().clone(), key)
}

#[test]
fn where_clients_are_known_no_other_says_a_word() {
    let (fingerprint, certificate_of_known, key) = certificate();
    let daemon = listening(&format!("client_fingerprints = [\"{fingerprint}\"]\n"));
    daemon.hotseat(&["session", "add", "good"]);
    let token = token(&daemon, "good", &[]);
    machine().block_on(async {
        let known = endpoint(Some((certificate_of_known, key)));
        let raw = Raw::attach(&known, &token, &[]).await;
        assert!(!raw.resume.is_empty());
        let (_, other, key) = certificate();
        for identity in [None, Some((other, key))] {
            let stranger = endpoint(identity);
            // The client's side of the handshake is done before the server has looked at its certificate.
            if let Ok(mut raw) = Raw::connect(&stranger).await {
                raw.ask_for("good", token["token"].as_str().unwrap(), &[]).await;
                assert_eq!(soon(raw.nonce()).await, None);
            }
        }
    });
}
