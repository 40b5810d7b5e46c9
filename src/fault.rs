//! Fault points: places where a test can have the daemon killed (docs/recovery.md).
//!
//! Only builds with debug assertions have them, as tests do: so what is tested is the program that everybody builds, and
//! no release can be told to kill itself.

/// All of them, in the order of the steps they stand in.
pub const POINTS: &[&str] = &[
    "add.intended",
    "add.staged",
    "add.shown",
    "add.made",
    "cdi.written",
    "add.cdi",
    "add.ended",
    "attach.claimed",
    "attach.opened",
    "attach.intended",
    "attach.mounted",
    "attach.ended",
    "plug.begin",
    "plug.intended",
    "plug.created",
    "plug.stored",
    "plug.read",
    "plug.granted-one",
    "plug.granted",
    "plug.recorded-one",
    "plug.recorded",
    "plug.placed-one",
    "plug.linked-one",
    "plug.placed",
    "plug.kept",
    "plug.announced-one",
    "plug.announced",
    "plug.verified",
    "plug.ended",
    "unplug.intended",
    "unplug.unlinked-one",
    "unplug.removed-one",
    "unplug.removed",
    "unplug.revoked",
    "unplug.closing",
    "unplug.forgotten",
    "unplug.announced",
    "unplug.ended",
    "host.read",
    "host.granted",
    "host.recorded",
    "host.placed",
    "host.announced",
    "host.revoked",
    "host.removed",
    "host.gone",
    "leave.intended",
    "leave.unplugged",
    "leave.revoked",
    "leave.unmounted",
    "leave.ended",
    "move.intended",
    "move.left",
    "move.opened",
    "move.ended",
    "remove.intended",
    "remove.closed",
    "remove.deleted",
    "remove.ended",
    "journal.write",
    "journal.written",
    "journal.synced",
    "journal.written-anew",
    "journal.synced-anew",
    "journal.renamed",
    "recover.read",
    "recover.taken-over",
    "recover.staged",
    "recover.swept",
    "recover.settled",
    "recover.cleaned",
];

/// A place where the daemon can be killed: where the environment variable `HOTSEAT_FAULT` is `POINT:kill`, or
/// `POINT:kill:N` for the N-th time it is passed; or is `@FILE`, and the file says so.
#[cfg(debug_assertions)]
pub(crate) fn point(name: &'static str) {
    debug_assert!(POINTS.contains(&name), "{name}");
    armed::point(name);
}

/// Nothing, in a release.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn point(_: &'static str) {}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::{env, fs, thread};

    use rustix::process::{Signal, getpid, kill_process};

    /// What is said, and how often its point has been passed since.
    static PASSED: Mutex<(String, u32)> = Mutex::new((String::new(), 0));

    pub(super) fn point(name: &str) {
        static VARIABLE: OnceLock<Option<String>> = OnceLock::new();
        let Some(variable) = VARIABLE.get_or_init(|| env::var("HOTSEAT_FAULT").ok()) else {
            return;
        };
        let said = match variable.strip_prefix('@') {
            Some(file) => fs::read_to_string(file).unwrap_or_default(),
            None => variable.clone(),
        };
        let Some(wanted) = times(&said, name) else { return };
        let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
        if passed.0 != said {
            *passed = (said, 0);
        }
        passed.1 += 1;
        if passed.1 == wanted {
            let _ = kill_process(getpid(), Signal::KILL);
            // Not one step more until it comes.
            loop {
                thread::park();
            }
        }
    }

    /// At which passing of the point to die.
    pub(super) fn times(said: &str, name: &str) -> Option<u32> {
        let rest = said.trim().strip_prefix(name)?.strip_prefix(":kill")?;
        match rest.strip_prefix(':') {
            Some(number) => number.parse().ok(),
            None if rest.is_empty() => Some(1),
            None => None,
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn only_the_point_that_is_named_kills() {
            assert_eq!(times("plug.granted:kill\n", "plug.granted"), Some(1));
            assert_eq!(times("plug.granted:kill:3", "plug.granted"), Some(3));
            for said in
                ["", "plug.granted", "plug.granted-one:kill", "plug.granted:kills", "x:kill"]
            {
                assert_eq!(times(said, "plug.granted"), None, "{said}");
            }
        }
    }
}
