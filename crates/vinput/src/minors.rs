//! The numbers that the kernel has for nodes of input devices.

use std::fs;
use std::io;
use std::path::Path;

use thiserror::Error;

/// The major number of all of them: `INPUT_MAJOR` (include/uapi/linux/major.h).
const INPUT_MAJOR: u32 = 13;

/// Minor numbers that are for `event*` alone: `EVDEV_MINOR_BASE`, `EVDEV_MINORS` (drivers/input/evdev.c).
const EVENT: std::ops::Range<u32> = 64..96;

/// Minor numbers for whoever has used up its own: `INPUT_FIRST_DYNAMIC_DEV`, `INPUT_MAX_CHAR_DEVICES`
/// (drivers/input/input.c).
const DYNAMIC: std::ops::Range<u32> = 256..1024;

/// Most nodes of a device of ours: `event*` and either `js*` or `mouse*`.
const NODES: usize = 2;

/// Where the kernel lists character devices by number.
const CHAR_DEVICES: &str = "/sys/dev/char";

/// Why there is no room for a device.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MinorError {
    /// The kernel would make the device without an event node, and call that a success.
    #[error(
        "the kernel has minor numbers for {most} more nodes of input devices, and {used} are in use: \
         unplug other devices, or unload joydev where no program needs /dev/input/js*"
    )]
    Exhausted {
        /// How many of the shared numbers and of those for event nodes are free.
        most: usize,
        /// How many of them are in use.
        used: usize,
    },
    /// The numbers that are in use could not be read.
    #[error("cannot read {CHAR_DEVICES}")]
    Read(#[source] io::Error),
}

/// Whether this many input devices of ours would get their event nodes. Another device may come in between,
/// so what was made is looked at as well. A js or mouse node may still be missing: programs that need one are
/// few, and the event node is worth more to them than no device.
pub(crate) fn check(devices: usize) -> Result<(), MinorError> {
    check_in(Path::new(CHAR_DEVICES), devices)
}

fn check_in(directory: &Path, devices: usize) -> Result<(), MinorError> {
    let prefix = format!("{INPUT_MAJOR}:");
    let (mut events, mut dynamic) = (0, 0);
    for entry in fs::read_dir(directory).map_err(MinorError::Read)? {
        let name = entry.map_err(MinorError::Read)?.file_name();
        let minor: Option<u32> =
            name.to_str().and_then(|name| name.strip_prefix(&prefix)?.parse().ok());
        events += usize::from(minor.is_some_and(|minor| EVENT.contains(&minor)));
        dynamic += usize::from(minor.is_some_and(|minor| DYNAMIC.contains(&minor)));
    }
    let free = |range: std::ops::Range<u32>, used| range.len().saturating_sub(used);
    let (event, shared) = (free(EVENT, events), free(DYNAMIC, dynamic));
    // Handlers take their numbers in the order in which they were loaded, so the event node may be last.
    let lacking = devices.saturating_sub(event);
    if shared < lacking * NODES {
        return Err(MinorError::Exhausted { most: shared, used: events + dynamic });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a directory as /sys/dev/char with these minor numbers of input devices in it.
    fn with(minors: impl Iterator<Item = u32>, test: &str) -> Result<(), MinorError> {
        let name = format!("vinput-minors-{}-{test}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        for other in ["1:3", "136:300", "13:63", "garbage"] {
            fs::write(directory.join(other), "").unwrap();
        }
        for minor in minors {
            fs::write(directory.join(format!("{INPUT_MAJOR}:{minor}")), "").unwrap();
        }
        let result = check_in(&directory, 1);
        fs::remove_dir_all(&directory).unwrap();
        result
    }

    #[test]
    fn there_is_room_while_an_event_number_or_two_shared_ones_are_free() {
        with(std::iter::empty(), "none").unwrap();
        with((64..95).chain(256..1024), "event").unwrap();
        with((64..96).chain(256..1022), "shared").unwrap();
    }

    #[test]
    fn a_last_shared_number_is_not_enough() {
        let error = with((64..96).chain(256..1023), "last").unwrap_err();
        assert!(matches!(error, MinorError::Exhausted { most: 1, used: 799 }), "{error:?}");
        let error = with((64..96).chain(256..1024), "full").unwrap_err();
        assert!(matches!(error, MinorError::Exhausted { most: 0, used: 800 }), "{error:?}");
    }
}
