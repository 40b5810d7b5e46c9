//! A player who goes in the middle of something.

use super::raw::{Raw, endpoint};
use super::{awake, event_node, expect, inside, listening, soon, token};

#[test]
fn who_goes_while_the_first_device_is_being_plugged_finds_it() {
    let mut daemon = listening("");
    daemon.hotseat(&["session", "add", "s", "--grace", "120"]);
    let mut inside = inside(&daemon, "s");
    let token = token(&daemon, "s", &[]);
    let player = awake();
    let endpoint = player.block_on(async { endpoint(None) });
    let mut first = player.block_on(Raw::attach(&endpoint, &token, &[]));
    player.block_on(first.plug(0, "xbox-one"));
    // It is begun, and takes its time.
    let is_begun = || {
        let (_, session) = daemon.call("GET", "/v1/sessions/s", "");
        ["waiting", "devices"].iter().any(|list| !session[list].as_array().unwrap().is_empty())
    };
    player.block_on(async {
        while !is_begun() {
            tokio::task::yield_now().await;
        }
    });
    first.connection.close(0_u8.into(), b"");
    expect(&player, daemon.log(), "a player is gone");

    let mut back = player.block_on(Raw::attach(&endpoint, &token, &first.resume));
    assert_eq!(back.resume, first.resume, "the server knows the player");
    let (slot, ..) = player.block_on(soon(back.plugged())).unwrap();
    assert_eq!(slot, 0);
    event_node(&daemon, "s", 0);
    back.connection.close(0_u8.into(), b"");
    inside.close();
}
