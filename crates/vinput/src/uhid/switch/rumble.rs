//! HD rumble as plain rumble.
//!
//! Each side of a pad has a motor that plays two frequency bands at once, four bytes for both.
//! Amplitudes are coded in 101 steps on a curve that is a different power of two in each third
//! (rumble_data_table.md of the notes; `joycon_rumble_amplitudes` in hid-nintendo.c has it as a table).

use crate::uhid::Feedback;

/// What the motors play now.
#[derive(Debug, Default)]
pub(in crate::uhid) struct Rumble {
    low: f32,
    high: f32,
}

impl Rumble {
    /// Takes the eight bytes of a report, left side first; gives feedback when they change something.
    /// Every report has them, also those that only switch a light.
    pub(super) fn update(&mut self, motors: &[u8; 8]) -> Option<Feedback> {
        let [left, right] = [&motors[..4], &motors[4..]].map(Bands::decode);
        // SDL plays a heavy motor as the low band and a light one as the high band, on both sides alike.
        // hid-nintendo plays a heavy one on the left and a light one on the right, in both bands.
        let (low, high) = if left == right {
            (left.low, left.high)
        } else {
            (left.low.max(left.high), right.low.max(right.high))
        };
        if (low, high) == (self.low, self.high) {
            return None;
        }
        *self = Self { low, high };
        Some(Feedback::Rumble { low, high })
    }
}

/// The amplitudes of one side.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bands {
    low: f32,
    high: f32,
}

impl Bands {
    fn decode(bytes: &[u8]) -> Self {
        let [_, high, low_half, low] = bytes else { return Self { low: 0.0, high: 0.0 } };
        Self {
            // Below it is the ninth bit of the frequency.
            high: amplitude(high >> 1),
            // Whole steps from 0x40, and a half step in the top bit of the frequency.
            low: amplitude(
                (low.saturating_sub(0x40)).saturating_mul(2).saturating_add(low_half >> 7),
            ),
        }
    }
}

/// The amplitude of a step, 0 to 1. Steps above 100 are harmful to a real motor.
fn amplitude(step: u8) -> f32 {
    let exact = f32::from(step);
    let amplitude = match step {
        0 => 0.0,
        1..16 => 0.01 * ((exact - 1.0) / 4.0).exp2(),
        16..32 => (exact / 16.0).exp2() / 17.0,
        32.. => (exact / 32.0).exp2() / 8.7,
    };
    amplitude.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_the_one_of_the_table_in_the_kernel() {
        // Steps and amplitudes of 1003 in `joycon_rumble_amplitudes`.
        let table = [(0, 0), (1, 10), (5, 20), (9, 40), (15, 112), (16, 117), (24, 166), (31, 225)];
        let table =
            table.into_iter().chain([(32, 230), (48, 325), (64, 460), (80, 650), (100, 1003)]);
        for (step, expected) in table {
            let expected = expected as f32 / 1003.0;
            assert!((amplitude(step) - expected).abs() < 0.004, "{step}: {}", amplitude(step));
        }
        assert_eq!(amplitude(127), 1.0);
    }

    #[test]
    fn neutral_is_off_and_no_news() {
        let neutral = [0x00, 0x01, 0x40, 0x40, 0x00, 0x01, 0x40, 0x40];
        assert_eq!(Rumble::default().update(&neutral), None);
        assert_eq!(Rumble::default().update(&[0; 8]), None);
    }

    #[test]
    fn the_kernels_sides_and_sdls_bands_are_both_low_and_high() {
        // hid-nintendo, strong magnitude 0xffff: 320 Hz and 160 Hz at full amplitude on the left.
        let kernel = [0x00, 0xc9, 0x40, 0x72, 0x00, 0x01, 0x40, 0x40];
        let mut rumble = Rumble::default();
        assert_eq!(rumble.update(&kernel), Some(Feedback::Rumble { low: 1.0, high: 0.0 }));
        assert_eq!(rumble.update(&kernel), None);
        // SDL, high frequency only: the high band on both sides.
        let sdl = [0x74, 0xc8, 0x3d, 0x40, 0x74, 0xc8, 0x3d, 0x40];
        assert_eq!(rumble.update(&sdl), Some(Feedback::Rumble { low: 0.0, high: 1.0 }));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_rumble_between_off_and_full(motors: [u8; 8]) {
            if let Some(Feedback::Rumble { low, high }) = Rumble::default().update(&motors) {
                proptest::prop_assert!((0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high));
            }
        }
    }
}
