//! `devices.allow` and `devices.deny` of cgroup version 1 (Documentation/admin-guide/cgroup-v1/devices.rst).
//!
//! A cgroup has what it inherited when it was made, less what was denied since, and can be given what its parent has.
//! So a grant goes top-down into the container's cgroup and each one below. What was added is noted on the cgroup
//! itself, as an extended attribute: nothing else would take it back after a daemon that was killed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::io::{self, ErrorKind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{XattrFlags, fgetxattr, fremovexattr, fsetxattr};
use rustix::io::Errno;

use super::{BackEnd, GrantError, Granting, joined};
use crate::access::{Access, Device, DeviceKind, Devices};
use crate::cgroup::Cgroup;

/// The attribute: a line for each thing added, as `devices.deny` takes it.
const NOTE: &str = "trusted.hotseat.grants";

/// The file names, as errors have them.
const LIST: &str = "devices.list";
const ALLOW: &str = "devices.allow";
const DENY: &str = "devices.deny";

/// What is granted, by the id of the container's cgroup.
#[derive(Debug)]
pub(super) struct CgroupV1 {
    holders: Mutex<HashMap<u64, Holder>>,
}

/// A container's cgroup.
#[derive(Debug)]
struct Holder {
    cgroup: Cgroup,
    granted: Vec<(Devices, Access)>,
    /// This and those below in which something had to be added, each after those above it.
    changed: Vec<Changed>,
}

/// A cgroup in which something was added. Its directory is locked as long as this lives.
#[derive(Debug)]
struct Changed {
    cgroup: Cgroup,
    added: Vec<(Devices, Access)>,
}

impl CgroupV1 {
    /// Takes back what a daemon had added that was killed.
    pub(super) fn start(root: &Cgroup) -> Result<Self, GrantError> {
        for cgroup in root.descendants() {
            match take_back_orphan(&cgroup) {
                // It went away.
                Err(_) if !cgroup.exists() => {}
                result => result?,
            }
        }
        Ok(Self { holders: Mutex::default() })
    }

    fn holders(&self) -> MutexGuard<'_, HashMap<u64, Holder>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holder {
    /// Adds what is granted and not there: all of it, in the cgroup and those below. A runtime or systemd may have
    /// written their own lists again. Says whether anything was not there.
    fn apply(&mut self) -> Result<bool, GrantError> {
        let top = reopen(&self.cgroup)?;
        let mut was_missing = false;
        for cgroup in [top].into_iter().chain(self.cgroup.descendants()) {
            let (id, path) = (cgroup.id(), cgroup.path().to_owned());
            match self.apply_to(cgroup) {
                // One below may go away at any time.
                Err(_) if id != self.cgroup.id() && !path.exists() => {}
                result => was_missing |= result?,
            }
        }
        Ok(was_missing)
    }

    fn apply_to(&mut self, cgroup: Cgroup) -> Result<bool, GrantError> {
        let list = fs::read_to_string(cgroup.path().join(LIST))
            .map_err(|source| v1_error(&cgroup, LIST, source))?;
        let list = parse_list(&list);
        let missing: Vec<_> = self
            .granted
            .iter()
            .filter_map(|&(devices, access)| missing(&list, devices, access))
            .collect();
        if missing.is_empty() {
            return Ok(false);
        }
        let at = match self.changed.iter().position(|changed| changed.cgroup.id() == cgroup.id()) {
            Some(at) => at,
            None => {
                if !lock(&cgroup)? {
                    return Err(GrantError::OtherDaemon { cgroup: cgroup.path().to_owned() });
                }
                self.changed.push(Changed { cgroup, added: Vec::new() });
                self.changed.len() - 1
            }
        };
        for (devices, access) in missing {
            self.changed[at].add(devices, access)?;
        }
        Ok(true)
    }

    /// Takes away what was added for `devices`, in those below first.
    fn take_back(&mut self, devices: Devices) -> Result<(), GrantError> {
        self.granted.retain(|(granted, _)| *granted != devices);
        let mut result = Ok(());
        for changed in self.changed.iter_mut().rev() {
            result = result.and(changed.remove(devices));
        }
        self.changed.retain(|changed| !changed.added.is_empty());
        result
    }

    fn take_all_back(&mut self) -> Result<(), GrantError> {
        let granted: Vec<Devices> = self.granted.iter().map(|(devices, _)| *devices).collect();
        let mut result = Ok(());
        for devices in granted {
            result = result.and(self.take_back(devices));
        }
        result
    }
}

impl Changed {
    fn add(&mut self, devices: Devices, access: Access) -> Result<(), GrantError> {
        // Noted first: we may be killed at any instruction.
        match self.added.iter_mut().find(|(added, _)| *added == devices) {
            Some((_, added)) => *added = *added | access,
            None => self.added.push((devices, access)),
        }
        self.note()?;
        match write(&self.cgroup, ALLOW, &format!("{devices} {access}")) {
            Err(GrantError::V1 { source, .. }) if source.kind() == ErrorKind::PermissionDenied => {
                let cgroup = self.cgroup.path().to_owned();
                Err(GrantError::ParentRefuses { cgroup, devices, access })
            }
            result => result,
        }
    }

    fn remove(&mut self, devices: Devices) -> Result<(), GrantError> {
        let Some(at) = self.added.iter().position(|(added, _)| *added == devices) else {
            return Ok(());
        };
        let (_, access) = self.added[at];
        if self.cgroup.exists() {
            write(&self.cgroup, DENY, &format!("{devices} {access}"))?;
        }
        self.added.remove(at);
        if self.cgroup.exists() { self.note() } else { Ok(()) }
    }

    fn note(&self) -> Result<(), GrantError> {
        let lines: String =
            self.added.iter().map(|(devices, access)| format!("{devices} {access}\n")).collect();
        let directory = self.cgroup.directory();
        let noted = if lines.is_empty() {
            fremovexattr(directory, NOTE)
        } else {
            fsetxattr(directory, NOTE, lines.as_bytes(), XattrFlags::empty())
        };
        noted.map_err(|errno| v1_error(&self.cgroup, NOTE, errno.into()))
    }
}

impl Granting for CgroupV1 {
    fn back_end(&self) -> BackEnd {
        BackEnd::CgroupV1
    }

    fn grant(&self, cgroup: &Cgroup, devices: Devices, access: Access) -> Result<(), GrantError> {
        let mut holders = self.holders();
        // Cgroups that are gone have nothing to take back.
        holders.retain(|_, holder| holder.cgroup.exists());
        let holder = match holders.entry(cgroup.id()) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(Holder {
                cgroup: reopen(cgroup)?,
                granted: Vec::new(),
                changed: Vec::new(),
            }),
        };
        if holder.granted.iter().any(|&granted| granted.0 == devices && granted.1 != access) {
            holder.take_back(devices)?;
        }
        if !holder.granted.contains(&(devices, access)) {
            holder.granted.push((devices, access));
        }
        if let Err(error) = holder.apply() {
            // The first error tells more.
            let _ = holder.take_back(devices);
            return Err(error);
        }
        Ok(())
    }

    fn revoke(&self, cgroup: &Cgroup, devices: Devices) -> Result<(), GrantError> {
        let mut holders = self.holders();
        let Some(holder) = holders.get_mut(&cgroup.id()) else { return Ok(()) };
        let result = holder.take_back(devices);
        if holder.granted.is_empty() && holder.changed.is_empty() {
            holders.remove(&cgroup.id());
            return result;
        }
        // A grant of any minor may have been all that another one needed.
        if holder.cgroup.exists() { result.and(holder.apply().map(drop)) } else { result }
    }

    fn revoke_all(&self, cgroup: &Cgroup) -> Result<(), GrantError> {
        let mut holders = self.holders();
        let Some(mut holder) = holders.remove(&cgroup.id()) else { return Ok(()) };
        holder.take_all_back()
    }

    fn revoke_from_all(&self, devices: Devices) -> Result<(), GrantError> {
        let mut holders = self.holders();
        let mut result = Ok(());
        for holder in holders.values_mut() {
            if holder.granted.iter().any(|(granted, _)| *granted == devices) {
                result = result.and(holder.take_back(devices));
                if holder.cgroup.exists() {
                    result = result.and(holder.apply().map(drop));
                }
            }
        }
        holders.retain(|_, holder| !holder.granted.is_empty() || !holder.changed.is_empty());
        result
    }

    fn reapply(&self) -> Result<bool, GrantError> {
        let mut result = Ok(false);
        for holder in self.holders().values_mut() {
            match holder.apply() {
                // It went away.
                Err(_) if !holder.cgroup.exists() => {}
                applied => result = joined(result, applied),
            }
        }
        result
    }

    fn count(&self) -> Result<usize, GrantError> {
        Ok(self.holders().values().map(|holder| holder.granted.len()).sum())
    }
}

impl Drop for CgroupV1 {
    fn drop(&mut self) {
        for holder in self.holders().values_mut() {
            // What cannot be taken back now is noted, and the next one tries again.
            let _ = holder.take_all_back();
        }
    }
}

/// What of a grant is not in a cgroup's list. The kernel wants one entry that covers all of a request
/// (`match_exception` in security/device_cgroup.c), and joins what is added to an entry with the same numbers.
fn missing(
    list: &[(Devices, Access)],
    devices: Devices,
    access: Access,
) -> Option<(Devices, Access)> {
    if list.iter().any(|(entry, allowed)| covers(entry, &devices) && allowed.contains(access)) {
        return None;
    }
    let same = list.iter().find(|(entry, _)| *entry == devices);
    let have = same.map_or(Access::default(), |&(_, allowed)| allowed);
    Some((devices, access.without(have))).filter(|(_, access)| !access.is_empty())
}

/// Whether an entry of a list is for (at least) these devices.
fn covers(entry: &Devices, devices: &Devices) -> bool {
    entry.kind == devices.kind
        && (entry.major == ANY || entry.major == devices.major)
        && (entry.minor.is_none() || entry.minor == devices.minor)
}

/// Stands for `*` as a major number, in lists only: no device has it.
const ANY: u32 = u32::MAX;

/// The entries of `devices.list`; `a *:* rwm` is everything.
fn parse_list(text: &str) -> Vec<(Devices, Access)> {
    let all = Access::READ | Access::WRITE | Access::MKNOD;
    let any = |kind| (Devices::any_minor(kind, ANY), all);
    let mut list = Vec::new();
    for line in text.lines() {
        if line.starts_with('a') {
            list.extend([any(DeviceKind::Block), any(DeviceKind::Char)]);
        }
        list.extend(parse_entry(line));
    }
    list
}

fn parse_entry(line: &str) -> Option<(Devices, Access)> {
    let (kind, rest) = line.split_once(' ')?;
    let kind = match kind {
        "b" => DeviceKind::Block,
        "c" => DeviceKind::Char,
        _ => return None,
    };
    let (numbers, access) = rest.split_once(' ')?;
    let (major, minor) = numbers.split_once(':')?;
    let major = if major == "*" { ANY } else { major.parse().ok()? };
    let devices = match minor {
        "*" => Devices::any_minor(kind, major),
        minor => Device { kind, major, minor: minor.parse().ok()? }.into(),
    };
    Some((devices, access.parse().ok()?))
}

fn take_back_orphan(cgroup: &Cgroup) -> Result<(), GrantError> {
    // Nothing was added here, or by a daemon that lives.
    let Some(note) = read_note(cgroup)? else { return Ok(()) };
    if !lock(cgroup)? {
        return Ok(());
    }
    for line in note.lines() {
        write(cgroup, DENY, line)?;
    }
    match fremovexattr(cgroup.directory(), NOTE) {
        Ok(()) | Err(Errno::NODATA) => Ok(()),
        Err(errno) => Err(v1_error(cgroup, NOTE, errno.into())),
    }
}

fn read_note(cgroup: &Cgroup) -> Result<Option<String>, GrantError> {
    let error = |source| v1_error(cgroup, NOTE, source);
    // No extended attribute can be longer (XATTR_SIZE_MAX in include/uapi/linux/limits.h).
    let mut value = vec![0; 64 * 1024];
    let length = match fgetxattr(cgroup.directory(), NOTE, &mut value[..]) {
        Ok(length) => length,
        Err(Errno::NODATA) => return Ok(None),
        Err(errno) => return Err(error(errno.into())),
    };
    value.truncate(length);
    String::from_utf8(value).map(Some).map_err(|wrong| error(io::Error::other(wrong)))
}

fn lock(cgroup: &Cgroup) -> Result<bool, GrantError> {
    cgroup.lock().map_err(|source| v1_error(cgroup, "lock", source))
}

fn reopen(cgroup: &Cgroup) -> Result<Cgroup, GrantError> {
    let error = |source| GrantError::Path { cgroup: cgroup.path().to_owned(), source };
    cgroup.reopen().map_err(error)
}

fn write(cgroup: &Cgroup, file: &'static str, line: &str) -> Result<(), GrantError> {
    fs::write(cgroup.path().join(file), line).map_err(|source| v1_error(cgroup, file, source))
}

fn v1_error(cgroup: &Cgroup, file: &'static str, source: io::Error) -> GrantError {
    GrantError::V1 { cgroup: cgroup.path().to_owned(), file, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_the_kernel_writes_them() {
        let list = parse_list("c *:* m\nc 13:69 rw\nb 8:* r\n");
        assert_eq!(list[0], (Devices::any_minor(DeviceKind::Char, ANY), Access::MKNOD));
        assert_eq!(list[1], (Device::char(13, 69).into(), Access::READ | Access::WRITE));
        assert_eq!(list[2], (Devices::any_minor(DeviceKind::Block, 8), Access::READ));
        assert_eq!(parse_list("a *:* rwm\n").len(), 2);
        assert_eq!(parse_list("nonsense\nc 1 r\nc x:1 r\n"), []);
    }

    #[test]
    fn only_what_is_missing_is_added() {
        let pad = Devices::from(Device::char(13, 69));
        let rw = Access::READ | Access::WRITE;
        assert_eq!(missing(&parse_list("a *:* rwm\n"), pad, rw), None);
        assert_eq!(missing(&parse_list("c 13:* rw\n"), pad, rw), None);
        assert_eq!(missing(&parse_list("c 13:* r\n"), pad, rw), Some((pad, rw)));
        assert_eq!(missing(&parse_list("c 13:69 r\n"), pad, rw), Some((pad, Access::WRITE)));
        assert_eq!(missing(&parse_list("c 13:70 rw\nb 13:69 rw\n"), pad, rw), Some((pad, rw)));
        let any = Devices::any_minor(DeviceKind::Char, 13);
        assert_eq!(missing(&parse_list("c 13:69 rw\n"), any, rw), Some((any, rw)));
    }
}
