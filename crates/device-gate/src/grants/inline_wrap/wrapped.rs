//! One cgroup whose programs are wrapped.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::GrantError;
use crate::cgroup::Cgroup;
use crate::grants::root_override::refuses_nothing;
use crate::program::{Holder, Insn, copied, wrap_entry, wrap_program};
use crate::sys::bpf::{self, Attached, GrantMap, ProgramInfo, ProgramSlot};

/// The name by which our entries are known.
const NAME: &str = "hotseat_wrap";

/// How often we begin anew when somebody replaces a program while we do.
const ATTEMPTS: u32 = 8;

/// A cgroup, and our programs in the places of its own.
#[derive(Debug)]
pub(super) struct Wrapped {
    cgroup: Cgroup,
    is_locked: bool,
    /// For whose grants: by the id of the cgroup that holds them.
    holders: BTreeMap<u64, Holder>,
    wraps: Vec<Wrap>,
}

/// One program of somebody's, replaced.
#[derive(Debug)]
struct Wrap {
    original: OwnedFd,
    insns: Vec<Insn>,
    entry: OwnedFd,
    entry_id: u32,
    slot: ProgramSlot,
}

impl Wrapped {
    pub(super) fn new(cgroup: Cgroup) -> Self {
        Self { cgroup, is_locked: false, holders: BTreeMap::new(), wraps: Vec::new() }
    }

    pub(super) fn is_in_use(&self) -> bool {
        !self.wraps.is_empty()
    }

    pub(super) fn exists(&self) -> bool {
        self.cgroup.exists()
    }

    /// Wraps each program of the cgroup that may refuse something and is not wrapped yet, for these grants too. Says
    /// whether there was one.
    pub(super) fn wrap(
        &mut self,
        map: &GrantMap,
        id: u64,
        holder: Holder,
    ) -> Result<bool, GrantError> {
        // What is wrapped from here on is wrapped for this holder too.
        let is_late = self.holders.insert(id, holder).is_none() && !self.wraps.is_empty();
        let mut result = self.wrap_once(map);
        for _ in 1..ATTEMPTS {
            match &result {
                Err(GrantError::Wrap { source, .. })
                    if source.raw_os_error() == Some(libc::ENOENT) && self.exists() =>
                {
                    result = self.wrap_once(map);
                }
                _ => break,
            }
        }
        let was_missing = result?;
        if is_late {
            self.fill(map)?;
        }
        Ok(was_missing)
    }

    fn wrap_once(&mut self, map: &GrantMap) -> Result<bool, GrantError> {
        let programs =
            |source| GrantError::Programs { cgroup: self.cgroup.path().to_owned(), source };
        let attached = bpf::device_programs(self.cgroup.as_fd(), false).map_err(programs)?;
        // Those that their owners have replaced meanwhile.
        self.wraps.retain(|wrap| attached.ids.contains(&wrap.entry_id));
        let mut was_missing = false;
        for &id in &attached.ids {
            if self.wraps.iter().any(|wrap| wrap.entry_id == id) {
                continue;
            }
            let original = bpf::program_by_id(id).map_err(|source| self.error(source))?;
            let info = bpf::program_info(original.as_fd()).map_err(|source| self.error(source))?;
            if refuses_nothing(&info) {
                continue;
            }
            let (original, insns) = if info.name == NAME {
                self.lock()?;
                (load_original(&info).map_err(|source| self.error(source))?, original_of(&info))
            } else {
                (original, info.insns)
            };
            if let Some(obstacle) = copied::obstacle(&insns) {
                let cgroup = self.cgroup.path().to_owned();
                return Err(GrantError::NotCopyable { cgroup, id, obstacle });
            }
            self.lock()?;
            let wrap = self.replace(map, &attached, id, original, insns);
            let wrap = wrap.map_err(|source| self.error(source))?;
            self.wraps.push(wrap);
            was_missing = true;
        }
        Ok(was_missing)
    }

    /// Puts an entry of ours in the place of program `id`.
    fn replace(
        &self,
        map: &GrantMap,
        attached: &Attached,
        id: u32,
        original: OwnedFd,
        insns: Vec<Insn>,
    ) -> io::Result<Wrap> {
        let slot = ProgramSlot::create()?;
        let entry = bpf::load_device_program(&wrap_entry(slot.fd().as_raw_fd(), &insns), NAME)?;
        let entry_id = bpf::program_info(entry.as_fd())?.id;
        let wrap = Wrap { original, insns, entry, entry_id, slot };
        self.fill_one(map, &wrap)?;
        let old = bpf::program_by_id(id)?;
        swap(&self.cgroup, attached, wrap.entry.as_fd(), old.as_fd(), id)?;
        Ok(wrap)
    }

    /// Lets every entry here agree to what its holders are granted now.
    fn fill(&self, map: &GrantMap) -> Result<(), GrantError> {
        self.wraps
            .iter()
            .try_for_each(|wrap| self.fill_one(map, wrap))
            .map_err(|source| self.error(source))
    }

    fn fill_one(&self, map: &GrantMap, wrap: &Wrap) -> io::Result<()> {
        let mut holders: Vec<Holder> = self.holders.values().copied().collect();
        holders.sort_unstable();
        holders.dedup();
        let insns = wrap_program(map.fd().as_raw_fd(), &holders, &wrap.insns);
        let program = bpf::load_device_program(&insns, "hotseat_wrapped")?;
        wrap.slot.put(program.as_fd())
    }

    /// Forgets the holder, and puts the originals back if it was the last.
    pub(super) fn release(&mut self, map: &GrantMap, id: u64) -> Result<(), GrantError> {
        if self.holders.remove(&id).is_none() {
            return Ok(());
        }
        if !self.holders.is_empty() {
            return self.fill(map);
        }
        let result = self.restore();
        // Whatever could not be put back grants nothing: its slot goes with this.
        self.wraps.clear();
        if self.exists() { result } else { Ok(()) }
    }

    fn restore(&self) -> Result<(), GrantError> {
        let attached = bpf::device_programs(self.cgroup.as_fd(), false).map_err(|source| {
            GrantError::Programs { cgroup: self.cgroup.path().to_owned(), source }
        })?;
        for wrap in self.wraps.iter().filter(|wrap| attached.ids.contains(&wrap.entry_id)) {
            let new = wrap.original.as_fd();
            match swap(&self.cgroup, &attached, new, wrap.entry.as_fd(), wrap.entry_id) {
                // Somebody was quicker.
                Err(source) if source.raw_os_error() == Some(libc::ENOENT) => {}
                result => result.map_err(|source| self.error(source))?,
            }
        }
        Ok(())
    }

    /// Keeps other daemons off the cgroup, and tells them that we live.
    fn lock(&mut self) -> Result<(), GrantError> {
        if self.is_locked {
            return Ok(());
        }
        if !self.cgroup.lock().map_err(|source| self.error(source))? {
            return Err(GrantError::OtherDaemon { cgroup: self.cgroup.path().to_owned() });
        }
        self.is_locked = true;
        Ok(())
    }

    fn error(&self, source: io::Error) -> GrantError {
        GrantError::Wrap { cgroup: self.cgroup.path().to_owned(), source }
    }
}

/// Puts the originals back that a daemon wrapped which was killed. They are harmless, but they are ours.
pub(super) fn restore_orphan(cgroup: &Cgroup) -> Result<(), GrantError> {
    let programs = |source| GrantError::Programs { cgroup: cgroup.path().to_owned(), source };
    let error = |source| GrantError::Wrap { cgroup: cgroup.path().to_owned(), source };
    let attached = bpf::device_programs(cgroup.as_fd(), false).map_err(programs)?;
    for &id in &attached.ids {
        let entry = bpf::program_by_id(id).map_err(error)?;
        let info = bpf::program_info(entry.as_fd()).map_err(error)?;
        // Locked: another daemon lives.
        if info.name != NAME || !cgroup.lock().map_err(error)? {
            continue;
        }
        let original = load_original(&info).map_err(error)?;
        swap(cgroup, &attached, original.as_fd(), entry.as_fd(), id).map_err(error)?;
    }
    Ok(())
}

/// What stands behind our part of an entry; nothing when it is none of ours after all.
fn original_of(info: &ProgramInfo) -> Vec<Insn> {
    copied::behind_mark(&info.insns).unwrap_or_default().to_vec()
}

/// The program that one of our entries replaced, loaded again.
fn load_original(info: &ProgramInfo) -> io::Result<OwnedFd> {
    bpf::load_device_program(&original_of(info), "")
}

/// Puts `new` in the place of `old`, whose id is `id`, however that is attached.
fn swap(
    cgroup: &Cgroup,
    attached: &Attached,
    new: BorrowedFd<'_>,
    old: BorrowedFd<'_>,
    id: u32,
) -> io::Result<()> {
    match bpf::replace_device_program(cgroup.as_fd(), attached, new, old) {
        // Gone, or attached by a link.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
            match bpf::device_link(cgroup.id(), id)? {
                Some(link) => bpf::replace_linked_program(link.as_fd(), new, old),
                None => Err(error),
            }
        }
        result => result,
    }
}
