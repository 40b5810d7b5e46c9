//! Times in the sticks of a pad: fifteen bits each, so that no axis is negative.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

const BITS: u32 = 15;
const MASK: u64 = (1 << BITS) - 1;

/// Now, of the clock that all processes share.
pub(super) fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// A time as what comes after the frame's number: it wraps after nine hours.
pub(super) fn axes(number: u64) -> [i16; 4] {
    let time = u64::try_from(now().as_nanos()).unwrap_or_default();
    [number, time, time >> BITS, time >> (2 * BITS)]
        .map(|part| i16::try_from(part & MASK).unwrap_or_default())
}

/// How long ago the time in a frame's axes was; nothing for one that came between the look at the clock and the read.
pub(super) fn age(axes: [i32; 4], now: Duration) -> Duration {
    let [_, low, middle, high] = axes.map(|axis| u64::try_from(axis).unwrap_or_default() & MASK);
    let said = low | middle << BITS | high << (2 * BITS);
    let now = u64::try_from(now.as_nanos()).unwrap_or_default();
    let age = now.wrapping_sub(said) & ((1 << (3 * BITS)) - 1);
    Duration::from_nanos(if age >> (3 * BITS - 1) == 0 { age } else { 0 })
}
