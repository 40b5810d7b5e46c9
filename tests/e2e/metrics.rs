//! `/metrics`.

use crate::harness::{Container, Daemon};

#[test]
fn the_figures_say_what_was_done() {
    let daemon = Daemon::start();
    let container = Container::start("measured");
    daemon.hotseat(&["session", "add", "s", "--container", &container.reference()]);
    daemon.hotseat(&["session", "add", "empty"]);
    let pad = daemon.plug("s", "xbox-one");
    daemon.plug("s", "keyboard");
    for value in ["1", "0", "1"] {
        daemon.hotseat(&["send", "s", &pad.slot(), &format!("south={value}")]);
    }
    assert!(!daemon.run(&["plug", "s", "xbox-one", "--slot", "0"]).status.success());
    assert!(!daemon.run(&["plug", "empty", "xbox-one"]).status.success());
    assert!(!daemon.run(&["send", "s", &pad.slot(), "no-such-control=1"]).status.success());

    let metrics = daemon.metrics();
    let figure = |name: &str| metrics.get(name).copied().unwrap_or_else(|| panic!("{metrics:#?}"));
    for step in ["created", "granted", "recorded", "placed", "announced", "verified", "all"] {
        let labels = format!("step=\"{step}\",runtime=\"docker\"");
        assert_eq!(figure(&format!("hotseat_plug_seconds_count{{{labels}}}")), 2.0);
        assert_eq!(figure(&format!("hotseat_plug_seconds_bucket{{{labels},le=\"+Inf\"}}")), 2.0);
    }
    assert_eq!(figure("hotseat_sessions{container=\"yes\"}"), 1.0);
    assert_eq!(figure("hotseat_sessions{container=\"no\"}"), 1.0);
    assert_eq!(figure("hotseat_devices"), 2.0);
    // An event node each, and a js node of the pad.
    assert_eq!(figure("hotseat_grants"), 3.0);
    assert_eq!(figure("hotseat_frames_total"), 3.0);
    for (operation, code) in [("plug", "slot-taken"), ("plug", "no-container"), ("input", "input")]
    {
        let labels = format!("operation=\"{operation}\",code=\"{code}\"");
        assert_eq!(figure(&format!("hotseat_failures_total{{{labels}}}")), 1.0);
    }
    assert_eq!(figure("hotseat_recovery_interrupted_total"), 0.0);

    daemon.hotseat(&["unplug", "s", &pad.slot()]);
    let metrics = daemon.metrics();
    assert_eq!(metrics["hotseat_unplug_seconds_count"], 1.0);
    assert_eq!(metrics["hotseat_devices"], 1.0);
}
