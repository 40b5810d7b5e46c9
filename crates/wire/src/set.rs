//! What is held.

use std::fmt;

/// A set of numbers from 0 to 255: the buttons or keys that are held.
///
/// ```
/// use hotseat_wire::Set;
///
/// let held: Set = [30, 42].into_iter().collect();
/// assert!(held.contains(30) && !held.contains(31));
/// assert!(held.iter().eq([30, 42]));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Set([u64; 4]);

impl Set {
    /// Nothing is held.
    pub const NONE: Self = Self([0; 4]);

    /// Whether a number is in the set.
    #[must_use]
    pub const fn contains(&self, number: u8) -> bool {
        self.0[number as usize / 64] & (1 << (number % 64)) != 0
    }

    /// Puts a number into the set or takes it out. Returns whether that changed the set.
    pub fn set(&mut self, number: u8, held: bool) -> bool {
        let was = self.contains(number);
        let bit = 1 << (number % 64);
        if held {
            self.0[usize::from(number) / 64] |= bit;
        } else {
            self.0[usize::from(number) / 64] &= !bit;
        }
        was != held
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// Those that are held, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u8> + use<> {
        let words = self.0;
        (0..4_u8).flat_map(move |index| {
            let mut word = words[usize::from(index)];
            std::iter::from_fn(move || {
                let bit = u8::try_from(word.trailing_zeros()).ok().filter(|bit| *bit < 64)?;
                word &= word - 1;
                Some(index * 64 + bit)
            })
        })
    }

    /// Those that are in exactly one of two sets.
    #[must_use]
    pub(crate) fn differences(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|index| self.0[index] ^ other.0[index]))
    }

    pub(crate) const fn from_words(words: [u64; 4]) -> Self {
        Self(words)
    }

    pub(crate) const fn words(&self) -> [u64; 4] {
        self.0
    }
}

impl From<u32> for Set {
    /// The bits that are set.
    fn from(bits: u32) -> Self {
        Self([u64::from(bits), 0, 0, 0])
    }
}

impl FromIterator<u8> for Set {
    fn from_iter<I: IntoIterator<Item = u8>>(numbers: I) -> Self {
        let mut set = Self::NONE;
        for number in numbers {
            set.set(number, true);
        }
        set
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_can_be_put_in_and_taken_out() {
        for number in 0..=255 {
            let mut set = Set::NONE;
            assert!(set.set(number, true) && !set.set(number, true));
            assert!(set.iter().eq([number]));
            assert!(set.set(number, false) && set.is_empty());
        }
        let all: Set = (0..=255).collect();
        assert!(all.iter().eq(0..=255));
    }
}
