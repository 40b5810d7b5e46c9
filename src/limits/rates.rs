//! Requests in a second, by token bucket: a bucket holds one second's requests and fills again evenly.
//!
//! Of each bucket only one thing is kept, when it will be full again (as in ITU-T I.371's generic cell rate algorithm).
//! A bucket that is full says nothing, and is forgotten.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    /// Those of one user.
    User(u32),
    /// Those about one session, which there need not be.
    Session(String),
    /// Connections from one address, or network.
    Address {
        /// The address.
        address: IpAddr,
        /// Whether it was shown to be theirs.
        is_shown: bool,
    },
}

/// The time that one second's requests take.
const SECOND: Duration = Duration::from_secs(1);

/// How many buckets there are before the full ones are looked for, so that names of sessions that nobody has do not pile
/// up.
const KEPT: usize = 1024;

/// When each bucket will be full, on a clock that the caller has.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<Whose, Duration>>);

impl Rates {
    /// Takes one request from a bucket of `rate` requests a second. Without one, says how long it takes until there is.
    pub(crate) fn take(
        &self,
        whose: Whose,
        rate: NonZeroU32,
        now: Duration,
    ) -> Result<(), Duration> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= KEPT {
            buckets.retain(|_, full| *full > now);
        }
        let full = buckets.get(&whose).map_or(now, |&full| full.max(now));
        let full = full + SECOND / rate.get();
        match full.checked_sub(now + SECOND) {
            Some(wait) if wait > Duration::ZERO => Err(wait),
            _ => {
                buckets.insert(whose, full);
                Ok(())
            }
        }
    }

    /// Gives nothing from a bucket for some time.
    pub(crate) fn shut(&self, whose: Whose, time: Duration, now: Duration) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.insert(whose, now + SECOND + time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(rate: u32) -> NonZeroU32 {
        NonZeroU32::new(rate).unwrap()
    }

    fn session(name: &str) -> Whose {
        Whose::Session(name.to_owned())
    }

    const START: Duration = Duration::from_secs(1000);

    /// How many requests there can be at this instant.
    fn available(rates: &Rates, whose: &Whose, of: u32, now: Duration) -> usize {
        std::iter::from_fn(|| rates.take(whose.clone(), rate(of), now).ok()).take(100_000).count()
    }

    #[test]
    fn a_bucket_holds_a_second_and_fills_again_evenly() {
        let rates = Rates::default();
        let alice = session("alice");
        assert_eq!(available(&rates, &alice, 100, START), 100);
        assert_eq!(available(&rates, &alice, 100, START + Duration::from_millis(9)), 0);
        assert_eq!(available(&rates, &alice, 100, START + Duration::from_millis(50)), 5);
        assert_eq!(available(&rates, &alice, 100, START + Duration::from_secs(3600)), 100);
    }

    #[test]
    fn who_waits_as_long_as_was_said_is_served_and_not_before() {
        let rates = Rates::default();
        let user = Whose::User(1000);
        assert_eq!(available(&rates, &user, 4, START), 4);
        let wait = rates.take(user.clone(), rate(4), START).unwrap_err();
        assert_eq!(wait, Duration::from_millis(250));
        let before = START + wait - Duration::from_nanos(1);
        assert_eq!(rates.take(user.clone(), rate(4), before), Err(Duration::from_nanos(1)));
        // To be refused costs nothing.
        assert_eq!(rates.take(user, rate(4), START + wait), Ok(()));
    }

    #[test]
    fn in_the_long_run_it_is_the_rate_whatever_the_pattern() {
        for step in [1, 7, 40, 333] {
            let rates = Rates::default();
            let served: usize = (0..10_000 / step)
                .map(|n| START + Duration::from_millis(n * step))
                .map(|now| available(&rates, &session("s"), 250, now))
                .sum();
            assert!((2500..=2750).contains(&served), "{served} in ten seconds, every {step} ms");
        }
    }

    #[test]
    fn buckets_have_nothing_to_do_with_each_other() {
        let rates = Rates::default();
        available(&rates, &session("greedy"), 10, START);
        assert_eq!(available(&rates, &session("modest"), 10, START), 10);
        assert_eq!(available(&rates, &Whose::User(0), 10, START), 10);
    }

    #[test]
    fn a_changed_rate_counts_at_once() {
        let rates = Rates::default();
        let user = Whose::User(0);
        assert_eq!(available(&rates, &user, 10, START), 10);
        let later = START + Duration::from_millis(500);
        assert_eq!(available(&rates, &user, 1000, later), 500);
    }

    #[test]
    fn names_that_nobody_has_do_not_pile_up() {
        let rates = Rates::default();
        for n in 0..100_000_u64 {
            let now = START + Duration::from_millis(n);
            rates.take(session(&format!("nobody-{n}")), rate(100), now).unwrap();
        }
        assert!(rates.0.lock().unwrap().len() <= KEPT);
    }

    #[test]
    fn a_bucket_that_was_shut_gives_nothing_until_the_time_is_over() {
        let rates = Rates::default();
        let (alice, time) = (session("alice"), Duration::from_secs(10));
        rates.shut(alice.clone(), time, START);
        assert_eq!(available(&rates, &alice, 10, START + time), 0);
        assert_eq!(available(&rates, &alice, 10, START + time + SECOND / 10), 1);
        assert_eq!(available(&rates, &session("bob"), 10, START), 10);
    }
}
