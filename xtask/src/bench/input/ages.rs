//! How old frames were, in steps of two percent.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// How often each age was seen.
#[derive(Debug, Default)]
pub(super) struct Ages {
    steps: BTreeMap<u64, u64>,
    count: u64,
}

impl Ages {
    /// Reads what a reader says after `frames `: how many, and `NANOSECONDS:COUNT` for each age.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut words = text.split(' ');
        let count = words.next().context("no count")?.parse()?;
        let step = |word: &str| {
            let (age, count) = word.split_once(':')?;
            Some((age.parse().ok()?, count.parse().ok()?))
        };
        let steps = words.map(|word| step(word).with_context(|| format!("`{word}` is no age")));
        Ok(Self { steps: steps.collect::<Result<_>>()?, count })
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (age, count) in &other.steps {
            *self.steps.entry(*age).or_default() += count;
        }
        self.count += other.count;
    }

    /// How many frames arrived.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The age that this part of the frames, of a thousand, do not exceed.
    pub(super) fn at(&self, part: u64) -> Duration {
        let mut left = (self.count * part).div_ceil(1000);
        for (age, count) in &self.steps {
            left = left.saturating_sub(*count);
            if left == 0 {
                return Duration::from_nanos(*age);
            }
        }
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::Ages;

    #[test]
    fn percentiles_are_those_of_all_readers() {
        let mut ages = Ages::parse("3 100:2 900:1").unwrap();
        ages.add(&Ages::parse("1 50:1").unwrap());
        assert_eq!(ages.count(), 4);
        assert_eq!([250, 500, 999].map(|part| ages.at(part).as_nanos()), [50, 100, 900]);
        assert!(Ages::parse("1 x").is_err());
    }
}
