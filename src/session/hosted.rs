//! A device of the host comes into the session's container, and goes: the plug of what is there already, and its end
//! (docs/host-devices.md). Every step backwards tolerates what is not there.
//!
//! Nothing of it is in the journal: which device a session has follows from its rules, which are, and from what the host
//! has, which the next daemon sees for itself.

use std::sync::Arc;

use device_gate::probe::{ProbeError, ask_in_container};
use device_gate::{Device as DeviceNumber, NewNode};
use rustix::io::Errno;
use udev_forge::Forged;
use vinput::Node;

use super::announced;
use super::door::Door;
use super::error::Error;
use super::state::State;
use super::verify::{self, VerifyError};
use crate::engine::{Engine, chain};
use crate::events::What;
use crate::fault;
use crate::host::rule::is_link;
use crate::host::{Claim, HostDevice, Rule, Wanted};
use crate::problem;

/// A device of the host in the session's container, and every trace of it.
#[derive(Debug)]
pub(super) struct Hosted {
    pub(super) device: Arc<HostDevice>,
    pub(super) rule: Arc<Rule>,
    /// More names of its node, below /dev.
    pub(super) links: Vec<String>,
    /// Whether it was asked inside whether it may be opened; in a paused container that cannot be.
    pub(super) verified: bool,
    forged: Forged,
    /// Whether that it is there has been announced.
    announced: bool,
    /// Last: nobody else has it before every trace is gone.
    _claim: Claim,
}

/// Brings a device in. On an error everything that was done is undone. Watchers are told either way.
pub(super) fn bring_in(engine: &Engine, state: &mut State, wanted: &Wanted) -> Result<(), Error> {
    let path = wanted.device.path();
    match bring(engine, state, wanted) {
        Ok(hosted) => {
            state.hosted.insert(hosted.device.devpath.clone(), hosted);
            engine.events.publish(&state.name, What::HostPlugged { path });
            Ok(())
        }
        Err(error) => {
            let (code, detail) = (problem::code(&error).to_owned(), chain(&error));
            engine.events.publish(&state.name, What::HostPlugFailed { path, code, detail });
            Err(error)
        }
    }
}

fn bring(engine: &Engine, state: &State, wanted: &Wanted) -> Result<Hosted, Error> {
    let Wanted { device, rule } = wanted;
    let door = state.door()?;
    if let (Some(why), Some(_)) = (door.no_links(), linked_name(device)) {
        return Err(Error::NoPlace { path: device.path(), why });
    }
    let taken = |other| Error::HostTaken { path: device.path(), other };
    let claim = engine.host.claim(device, &state.name, wanted.is_exclusive()).map_err(taken)?;
    let links = free_links(state, door, device, rule);
    let stamp = engine.stamp().map_err(Error::Stamp)?;
    let forged = device.tell(links.clone(), stamp).map_err(Error::Tell)?;
    fault::point("host.read");
    let (device, rule) = (Arc::clone(device), Arc::clone(rule));
    let mut hosted =
        Hosted { device, rule, links, forged, announced: false, verified: false, _claim: claim };
    match appear(engine, state, door, &mut hosted) {
        Ok(()) => Ok(hosted),
        Err(error) => {
            // The first error is the one to report.
            let _ = take_away(engine, state, hosted);
            Err(error)
        }
    }
}

/// The steps of a plug, from the grant on (docs/plug.md).
fn appear(engine: &Engine, state: &State, door: &Door, hosted: &mut Hosted) -> Result<(), Error> {
    grant(engine, door, hosted)?;
    // Another one may be at its place by now, or be about to: what goes from here on is taken back when its end is heard.
    if !hosted.device.is_there() {
        return Err(Error::HostGone { path: hosted.device.path() });
    }
    fault::point("host.granted");
    if door.announcer.forges() {
        state.database.write(&hosted.forged).map_err(Error::Database)?;
    }
    fault::point("host.recorded");
    place(engine, state, door, hosted)?;
    fault::point("host.placed");
    announced::keep_host(state, &hosted.forged)?;
    verify::forget(&door.announcer);
    door.announcer.add(&hosted.forged)?;
    hosted.announced = true;
    if hosted.forged.is_bound() {
        door.announcer.bind(&hosted.forged, engine.stamp().map_err(Error::Stamp)?)?;
    }
    fault::point("host.announced");
    hosted.verified = verify(door, hosted)?;
    Ok(())
}

fn grant(engine: &Engine, door: &Door, hosted: &Hosted) -> Result<(), Error> {
    let grants = engine.grants().map_err(Error::GrantsUnavailable)?;
    let Some(number) = hosted.device.number else { return Ok(()) };
    if door.container.shares_cgroup() {
        return Ok(());
    }
    // The number can be another device's before the next daemon is there to take it back.
    engine.keep.forget_grants();
    let access = hosted.rule.access.0;
    // Without the word for the danger the rule would not mean the device.
    match hosted.device.danger {
        Some(danger) => grants.grant_despite(danger, &door.container, number, access),
        None => grants.grant(&door.container, number, access),
    }
    .map_err(Error::Grant)
}

/// The node, then its other names.
fn place(engine: &Engine, state: &State, door: &Door, hosted: &Hosted) -> Result<(), Error> {
    let (Some(devname), Some(device)) = (&hosted.device.devname, hosted.device.number) else {
        return Ok(());
    };
    let rule = &hosted.rule;
    let (root_uid, root_gid) = door.container.root_ids();
    let owner = rule.owner.map(|uid| door.container.user_on_host(uid)).transpose();
    let group = rule.group.map(|gid| door.container.group_on_host(gid)).transpose();
    let uid = owner.map_err(Error::Owner)?.unwrap_or(root_uid);
    let gid = group.map_err(Error::Owner)?.unwrap_or(root_gid);
    let mode = rule.mode.map_or(engine.config().node_mode, |mode| mode.0);
    let node = NewNode { path: devname, device, mode, uid, gid };
    state.dir.place(&node).map_err(Error::Node)?;
    door.link_path(devname)?;
    for link in &hosted.links {
        state.dir.place_alias(link, devname).map_err(Error::Node)?;
        door.link_path(link)?;
    }
    Ok(())
}

/// The other names that the node can have: those that the host's udev has for it, where no udevd of the container's own
/// makes them, and the rule's. One that another device has already stays with that, as does what the container has there.
fn free_links(state: &State, door: &Door, device: &HostDevice, rule: &Rule) -> Vec<String> {
    if linked_name(device).is_none() || door.no_links().is_some() {
        return Vec::new();
    }
    let udevs = device.said.devlinks.iter().filter(|_| door.announcer.forges());
    let all = udevs.chain(&rule.links).filter(|link| is_link(link));
    let is_taken = |link: &&String| {
        let has = |hosted: &Hosted| {
            hosted.links.contains(link) || hosted.device.devname.as_ref() == Some(*link)
        };
        // Its own name is no other one.
        device.devname.as_ref() == Some(*link)
            || state.hosted.values().any(has)
            || door.container.has(&format!("dev/{link}")).unwrap_or(true)
    };
    let mut links: Vec<String> = all.filter(|link| !is_taken(link)).cloned().collect();
    links.sort_unstable();
    links.dedup();
    links
}

/// The node's name, if its place is not in /dev/input.
fn linked_name(device: &HostDevice) -> Option<&str> {
    device.devname.as_deref().filter(|name| !name.starts_with("input/"))
}

/// Whether what was announced was heard, and whether the node may be opened. It is not opened: that a serial line is opened
/// shows at its other end. `false` as in [`verify::verify`].
fn verify(door: &Door, hosted: &Hosted) -> Result<bool, Error> {
    let devpaths = vec![hosted.device.devpath.clone()];
    let heard = match door.announcer.monitor() {
        Some(monitor) => verify::heard(monitor, devpaths).map_err(Error::Verify)?,
        None => true,
    };
    let Some(devname) = &hosted.device.devname else { return Ok(heard) };
    let access = hosted.rule.access.0;
    match ask_in_container(&door.container, &format!("/dev/{devname}"), access) {
        Ok(()) => Ok(heard),
        Err(ProbeError::Refused { source, .. })
            if door.container.shares_cgroup()
                && source.raw_os_error() == Some(Errno::PERM.raw_os_error()) =>
        {
            Err(Error::CgroupNotOwn { cgroup: door.container.cgroup().path().to_owned() })
        }
        // Its number was taken back meanwhile.
        Err(ProbeError::Refused { .. }) if !hosted.device.is_there() => {
            Err(Error::HostGone { path: hosted.device.path() })
        }
        Err(error @ ProbeError::Refused { .. }) => Err(Error::Verify(VerifyError::Open(error))),
        Err(error) => {
            tracing::warn!(%error, "the device could not be tried from inside");
            Ok(false)
        }
    }
}

/// Takes a device out again.
pub(super) fn take_out(engine: &Engine, state: &mut State, devpath: &str) -> Result<(), Error> {
    let Some(hosted) = state.hosted.remove(devpath) else { return Ok(()) };
    let path = hosted.device.path();
    let result = take_away(engine, state, hosted);
    engine.events.publish(&state.name, What::HostUnplugged { path });
    result
}

/// Takes all of them out, children before their parents. Goes on after an error, and returns the first.
pub(super) fn take_all_out(engine: &Engine, state: &mut State) -> Result<(), Error> {
    let devpaths: Vec<_> = state.hosted.keys().rev().cloned().collect();
    let mut result = Ok(());
    for devpath in devpaths {
        result = result.and(take_out(engine, state, &devpath));
    }
    result
}

/// Takes those out whose names or numbers a new device of ours has: the kernel has let go of them, and its word of that is on
/// its way to us.
pub(super) fn make_way<'a>(
    engine: &Engine,
    state: &mut State,
    nodes: impl Iterator<Item = &'a Node>,
) {
    let new: Vec<_> = nodes.map(|node| DeviceNumber::char(node.major, node.minor)).collect();
    let is_gone =
        |hosted: &&Hosted| hosted.device.number.is_some_and(|number| new.contains(&number));
    let gone: Vec<_> =
        state.hosted.values().filter(is_gone).map(|hosted| hosted.device.devpath.clone()).collect();
    for devpath in gone {
        if let Err(error) = take_out(engine, state, &devpath) {
            tracing::warn!(
                devpath,
                error = chain(&error),
                "not all of a device of the host is gone"
            );
        }
    }
}

/// Removes every trace of a device, whatever of it there is. Goes on after an error, and returns the first.
fn take_away(engine: &Engine, state: &State, hosted: Hosted) -> Result<(), Error> {
    let mut result = Ok(());
    let mut keep_first = |outcome: Result<(), Error>| {
        if result.is_ok() {
            result = outcome;
        }
    };
    let Hosted { device, forged, links, announced, .. } = &hosted;
    // First of all: where the device is gone already, its number may be another's at any moment.
    if let (Some(number), Some(door), Ok(grants)) = (device.number, &state.door, engine.grants())
        && !door.container.shares_cgroup()
    {
        keep_first(grants.revoke(&door.container, number).map_err(Error::Grant));
    }
    fault::point("host.revoked");
    for name in links.iter().rev().chain(&device.devname) {
        if let Some(door) = &state.door {
            keep_first(door.unlink_path(name));
        }
        keep_first(state.dir.remove_node(name).map_err(Error::Node));
    }
    fault::point("host.removed");
    keep_first(state.database.remove(forged).map_err(Error::Database));
    if let (true, Some(door)) = (*announced, &state.door) {
        let stamp = || engine.stamp().map_err(Error::Stamp);
        if forged.is_bound() {
            keep_first(stamp().and_then(|stamp| door.announcer.unbind(forged, stamp)));
        }
        keep_first(stamp().and_then(|stamp| door.announcer.remove(forged, stamp)));
    }
    keep_first(announced::forget_host(state, forged));
    fault::point("host.gone");
    result
}
