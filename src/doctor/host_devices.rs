//! The rules by which sessions have devices of the host (docs/host-devices.md).

use super::{Check, Status};
use crate::engine::Engine;
use crate::session::view::Session;

/// Rules that have no device and need one, and devices that could not come in.
pub fn host_devices(engine: &Engine, sessions: &[Session]) -> Vec<Check> {
    let failure = engine.host.subscribe().borrow().failure.clone();
    if let Some(why) = failure {
        let hint = "restart the daemon as root in the host's network namespace";
        let detail = format!("the host's devices are not known, so no session has any: {why}");
        return vec![Check::not(NAME, Status::Failed, detail, hint)];
    }
    let mut checks: Vec<Check> = sessions.iter().flat_map(of_session).collect();
    if checks.is_empty() {
        let count: usize = sessions.iter().map(|session| session.host_devices.len()).sum();
        let rules: usize = sessions.iter().map(|session| session.rules.len()).sum();
        checks.push(Check::ok(NAME, format!("{count} are in sessions, by {rules} rules")));
    }
    checks
}

const NAME: &str = "host-devices";

fn of_session(session: &Session) -> Vec<Check> {
    let name = &session.name;
    let missing = session.rules.iter().filter(|it| it.rule.required && it.devices.is_empty());
    let missing = missing.map(|rule| {
        let detail =
            format!("rule {} of session `{name}` has no device, which is required", rule.id);
        let hint = match session.container {
            Some(_) => {
                "plug it in; `hotseat devices --all` says of each device why it is not meant"
            }
            None => "the session waits for its container",
        };
        Check::not(NAME, Status::Warning, detail, hint)
    });
    let failed = session.host_devices.iter().filter_map(|device| {
        let failure = device.failure.as_ref()?;
        let detail = format!("session `{name}` has not got {}: {}", device.path, failure.detail);
        let hint = "docs/host-devices.md has the words of a rule; mend it, or the container";
        Some(Check::not(NAME, Status::Warning, detail, hint))
    });
    missing.chain(failed).collect()
}
