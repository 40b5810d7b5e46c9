//! What the command line prints: text for people, JSON for programs.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the place that prints")]

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::api::types::ProfileView;
use crate::doctor::{Check, Status};
use crate::profiles::Backend;
use crate::session::view::{Device, Mount, Session};

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

fn json(value: &(impl Serialize + ?Sized)) -> Result<()> {
    let text = serde_json::to_string_pretty(value).context("could not write JSON")?;
    println!("{text}");
    Ok(())
}

pub(super) fn session_added(session: &Session) {
    match &session.container {
        Some(container) => {
            println!("session {} attached to {}", session.name, container.reference);
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
    }
    for device in &session.devices {
        println!("slot {} {}", device.slot, describe(device));
    }
    if session.container.is_none() {
        println!("start a container with {}", flags(session));
    }
    Ok(())
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
            Backend::Uhid => " (whole pad, through uhid)",
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
