//! Who has a device open.

use crate::harness::{Container, Daemon, Program};

#[test]
fn programs_that_have_a_pad_open_are_found_in_the_container_and_on_the_host() {
    let daemon = Daemon::start();
    let container = Container::start("holders");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    let pad = daemon.plug("s", "xbox-one");
    let who = || daemon.json(&["who", "s", &pad.slot()]);
    assert_eq!(who(), serde_json::json!([]), "nobody has it open, the daemon neither");

    let node = pad.node("event");
    let mut inside = container.python(&format!(
        "open('/proc/self/comm', 'w').write('game')\nfirst = open('{node}'); second = open('{node}')\n\
         print('open', flush=True)\ninput()"
    ));
    inside.expect("open");
    let mut outside =
        Program::start(&["python3", "-uc", &format!("f = open('{node}')\nprint('open')\ninput()")]);
    outside.expect("open");
    let who = who();
    let mut found: Vec<_> =
        who.as_array().unwrap().iter().map(|holder| &holder["command"]).collect();
    found.sort_by_key(|command| command.as_str());
    assert_eq!(found, ["game", "python3"], "{who}");
    assert!(who.as_array().unwrap().iter().all(|holder| holder["node"] == node), "{who}");

    inside.close();
    outside.close();
    assert!(!daemon.run(&["who", "s", "9"]).status.success());
}
