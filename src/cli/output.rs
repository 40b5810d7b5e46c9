//! What the command line prints: text for people, JSON for programs.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the place that prints")]

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::api::types::{MadeToken, ProfileView};
use crate::config::Change;
use crate::doctor::{Check, Status};
use crate::host::view::{HostDeviceView, MatchView, RuleView};
use crate::profiles::Backend;
use crate::remote::Token;
use crate::session::holders::Holder;
use crate::session::view::{ContainerView, Declared, Device, Mount, Session, Waiting, Waits};

pub(super) fn line(text: &str) {
    println!("{text}");
}

pub(super) fn text(text: &str) {
    print!("{text}");
}

pub(super) fn error(detail: &str, hint: &str) {
    eprintln!("error: {detail}");
    if !hint.is_empty() {
        eprintln!("hint: {hint}");
    }
}

pub(super) fn warning(detail: &str) {
    // A standard error that is gone must not end us before what we have started.
    let _ = writeln!(std::io::stderr(), "warning: {detail}");
}

/// The line that stays at the bottom of a terminal, in place of the one that was there.
pub(super) fn below(text: &str) {
    // ECMA-48: to the first column, erase the rest of the line.
    let _ = write!(std::io::stderr(), "\r\x1b[K{text}");
}

fn json(value: &(impl Serialize + ?Sized)) -> Result<()> {
    let text = serde_json::to_string_pretty(value).context("could not write JSON")?;
    println!("{text}");
    Ok(())
}

pub(super) fn session_added(session: &Session) {
    match &session.container {
        Some(container) => {
            println!("session {} attached to {}", session.name, container.reference);
            told_of_others(container);
        }
        None => println!("session {} added, without a container", session.name),
    }
}

pub(super) fn sessions(sessions: &[Session], as_json: bool) -> Result<()> {
    if as_json {
        return json(sessions);
    }
    println!("{:<20} {:<28} {:>7} {:>7}", "SESSION", "CONTAINER", "PID", "DEVICES");
    for session in sessions {
        let (container, pid) = container(session);
        println!("{:<20} {container:<28} {pid:>7} {:>7}", session.name, session.devices.len());
    }
    Ok(())
}

pub(super) fn changes(changes: &[Change], as_json: bool) -> Result<()> {
    if as_json {
        return json(changes);
    }
    if changes.is_empty() {
        println!("the configuration is as it was");
    }
    for Change { key, applies } in changes {
        println!("{key}: {applies}");
    }
    Ok(())
}

pub(super) fn token(made: &MadeToken, as_json: bool) -> Result<()> {
    if as_json {
        return json(made);
    }
    println!("token: {}", made.token);
    println!("id: {}", made.about.id);
    println!("listening: {} (UDP)", made.listen);
    println!("fingerprint: {}", made.fingerprint);
    Ok(())
}

pub(super) fn tokens(tokens: &[Token], as_json: bool) -> Result<()> {
    if as_json {
        return json(tokens);
    }
    println!("{:<16} {:<20} {:<10} {:<9} PROFILES", "ID", "SESSION", "EXPIRES", "KEYS");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    for Token { id, session, expires_ms, profiles, all_keys } in tokens {
        let expires = expires_ms.map_or_else(
            || "never".to_owned(),
            |expires| {
                let left = Duration::from_millis(expires).saturating_sub(now);
                format!("in {} min", left.as_secs().div_ceil(60))
            },
        );
        let keys = if *all_keys { "all" } else { "players'" };
        let profiles = if profiles.is_empty() { "all".to_owned() } else { profiles.join(" ") };
        println!("{id:<16} {session:<20} {expires:<10} {keys:<9} {profiles}");
    }
    Ok(())
}

pub(super) fn holders(holders: &[Holder], as_json: bool) -> Result<()> {
    if as_json {
        return json(holders);
    }
    println!("{:>7} {:<16} NODE", "PID", "COMMAND");
    for Holder { node, pid, command } in holders {
        println!("{pid:>7} {command:<16} {node}");
    }
    Ok(())
}

pub(super) fn rule(session: &str, added: &RuleView, as_json: bool) -> Result<()> {
    if as_json {
        return json(added);
    }
    println!("rule {} of {session}: {}", added.id, devices_of(added));
    Ok(())
}

pub(super) fn rules(rules: &[RuleView], as_json: bool) -> Result<()> {
    if as_json {
        return json(rules);
    }
    for rule in rules {
        // As the configuration would have it, on one line.
        let text = serde_json::to_string(&rule.rule).context("could not write JSON")?;
        println!("{:<8} {} {text}", rule.id, devices_of(rule));
    }
    Ok(())
}

fn devices_of(rule: &RuleView) -> String {
    match rule.devices.as_slice() {
        [] if rule.rule.required => "(no device, which is required)".to_owned(),
        [] => "(no device)".to_owned(),
        devices => devices.join(" "),
    }
}

/// The host's devices; `all` says whether those are listed too that no rule means.
pub(super) fn host_devices(devices: &[HostDeviceView], all: bool, as_json: bool) -> Result<()> {
    if as_json {
        return json(devices);
    }
    let is_meant = |device: &&HostDeviceView| all || device.rules.iter().any(|rule| rule.matches);
    for device in devices.iter().filter(is_meant) {
        let usb = device.vendor.as_ref().zip(device.product.as_ref());
        let usb = usb.map(|(vendor, product)| format!(" {vendor}:{product}")).unwrap_or_default();
        let HostDeviceView { path, kind, major, minor, subsystem, .. } = device;
        println!("{path} {kind} {major}:{minor} {subsystem}{usb}");
        for rule in &device.rules {
            println!("    {}", outcome(rule));
        }
    }
    Ok(())
}

/// What a rule makes of a device.
fn outcome(rule: &MatchView) -> String {
    let name = match (&rule.session, &rule.id) {
        (Some(session), Some(id)) => format!("{session}, rule {id}"),
        _ => "this rule".to_owned(),
    };
    match &rule.why_not {
        Some(why) => format!("{name}: not meant, as {why}"),
        None if rule.plugged => format!("{name}: plugged"),
        None => format!("{name}: meant"),
    }
}

/// One line per event: JSON with the event's id, or `SESSION EVENT MEMBER=VALUE...`.
pub(super) fn event(event: &str, id: Option<&str>, data: &str, as_json: bool) {
    let members = match serde_json::from_str(data) {
        Ok(serde_json::Value::Object(members)) => members,
        _ => serde_json::Map::new(),
    };
    if as_json {
        let mut members = members;
        members.insert("event".to_owned(), event.into());
        if let Some(id) = id {
            members.insert("id".to_owned(), id.into());
        }
        println!("{}", serde_json::Value::Object(members));
        return;
    }
    if event == "missed" {
        println!("(events are missing here)");
        return;
    }
    let session = members.get("session").and_then(|name| name.as_str()).unwrap_or("-");
    let mut line = format!("{session} {event}");
    let rest = |name: &str| !matches!(name, "time_ms" | "session" | "event");
    for (name, value) in members.iter().filter(|(name, _)| rest(name)) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        line.push_str(&format!(" {name}={value}"));
    }
    println!("{line}");
}

fn container(session: &Session) -> (String, String) {
    match &session.container {
        Some(container) => (container.reference.clone(), container.pid.to_string()),
        None => ("-".to_owned(), "-".to_owned()),
    }
}

pub(super) fn session(session: &Session, as_json: bool) -> Result<()> {
    if as_json {
        return json(session);
    }
    let (container, pid) = container(session);
    println!("session {}\ncontainer {container} (process {pid})", session.name);
    if let Some(container) = &session.container {
        println!("udev {}", container.udev);
        if let Some(why) = &container.no_hidraw {
            println!("no hidraw nodes: {why}");
        }
        told_of_others(container);
    }
    for device in &session.devices {
        println!("slot {} {}", device.slot, describe(device));
    }
    for waiting in &session.waiting {
        println!("slot {} {}", waiting.slot, why_not(waiting));
    }
    for device in &session.host_devices {
        let failure = device.failure.as_ref();
        let why = failure.map(|failure| format!(": {}", failure.detail)).unwrap_or_default();
        println!("host {}{why}", device.path);
    }
    for rule in session.rules.iter().filter(|rule| rule.rule.required && rule.devices.is_empty()) {
        warning(&format!("rule {} has no device, which is required", rule.id));
    }
    if session.container.is_none() {
        println!("start a container with {}", flags(session));
    }
    Ok(())
}

/// A device that should be there.
fn why_not(waiting: &Waiting) -> String {
    let Waiting { profile, name, condition, failure, .. } = waiting;
    let device = format!("{profile} \"{name}\"");
    let why = failure.as_ref().map(|failure| format!(": {}", failure.detail)).unwrap_or_default();
    match condition {
        Waits::Container => format!("{device} waits for a container"),
        Waits::Turn => format!("{device} is being plugged{why}"),
        Waits::Retry => format!("{device} could not be plugged{why}"),
    }
}

/// What a container shares, which the session's isolation does not cover.
fn told_of_others(container: &ContainerView) {
    for other in &container.network_shared_with {
        warning(&format!(
            "{other} shares the container's network: it hears of the devices, but cannot open them"
        ));
    }
    if container.shares_cgroup {
        warning(
            "the container has no cgroup of its own: devices work only where no device policy is in force",
        );
    }
}

/// Options of `docker run` and `podman run`.
pub(super) fn flags(session: &Session) -> String {
    let flag = |mount: &Mount| format!("-v {}:{}:ro", mount.source, mount.target);
    session.mounts.iter().map(flag).collect::<Vec<_>>().join(" ")
}

pub(super) fn devices(sessions: &[Session], as_json: bool) -> Result<()> {
    if as_json {
        return json(sessions);
    }
    println!("{:<20} {:>4} {:<12} {:<28} NODES", "SESSION", "SLOT", "PROFILE", "CONTAINER");
    for session in sessions {
        let (container, _) = container(session);
        for device in &session.devices {
            println!(
                "{:<20} {:>4} {:<12} {container:<28} {}",
                session.name,
                device.slot,
                device.profile,
                nodes(device)
            );
        }
    }
    Ok(())
}

fn nodes(device: &Device) -> String {
    device.nodes.iter().map(|node| node.path.as_str()).collect::<Vec<_>>().join(" ")
}

fn describe(device: &Device) -> String {
    format!("{} \"{}\" {}", device.profile, device.name, nodes(device))
}

pub(super) fn declared(name: &str, declared: &Declared, as_json: bool) -> Result<()> {
    match declared {
        _ if as_json => json(declared),
        Declared::Plugged(device) => plugged(name, device, false),
        Declared::Waiting(waiting) => {
            println!("slot {} of {name}: {}", waiting.slot, why_not(waiting));
            Ok(())
        }
    }
}

pub(super) fn plugged(session: &str, device: &Device, as_json: bool) -> Result<()> {
    if as_json {
        return json(device);
    }
    println!("plugged {} into session {session}, slot {}", describe(device), device.slot);
    let steps: Vec<_> = device
        .steps
        .iter()
        .map(|step| format!("{} {}", step.step, milliseconds(step.us)))
        .collect();
    println!("{}", steps.join(", "));
    if !device.verified {
        warning("the container is paused or full: the device could not be tried from inside");
    }
    Ok(())
}

/// `1.2 ms`, in whole tenths.
fn milliseconds(us: u64) -> String {
    format!("{}.{} ms", us / 1000, us % 1000 / 100)
}

pub(super) fn profiles(profiles: &[ProfileView], as_json: bool) -> Result<()> {
    if as_json {
        return json(profiles);
    }
    for profile in profiles {
        let whole = match profile.backend {
            Backend::Uhid => " (through uhid)",
            Backend::Uinput => "",
        };
        println!("{}: {}{whole}", profile.name, profile.title);
        println!("    {}", profile.controls.join(" "));
    }
    Ok(())
}

/// The exit status is 1 when a check failed, so that scripts can ask.
pub(super) fn doctor(checks: &[Check], as_json: bool) -> Result<ExitCode> {
    let failed = checks.iter().any(|check| check.status == Status::Failed);
    let code = ExitCode::from(u8::from(failed));
    if as_json {
        json(checks)?;
        return Ok(code);
    }
    for check in checks {
        let mark = match check.status {
            Status::Ok => "ok     ",
            Status::Warning => "warning",
            Status::Failed => "FAILED ",
        };
        println!("{mark} {:<16} {}", check.check, check.detail);
        if !check.hint.is_empty() {
            println!("{:<25}-> {}", "", check.hint);
        }
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    #[test]
    fn milliseconds_are_in_tenths() {
        assert_eq!(super::milliseconds(1_099), "1.0 ms");
        assert_eq!(super::milliseconds(23_456), "23.4 ms");
        assert_eq!(super::milliseconds(7), "0.0 ms");
    }
}
