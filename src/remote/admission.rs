//! How many may come, and how much they may send: looked at before anything that they say is.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::config::Remote;
use crate::limits::{Count, Rates, Taken, Whose};

/// For how long an address begins no connection after one of its was closed for sending far too much: a bucket is full
/// again with each connection.
const SHUT_OUT: Duration = Duration::from_secs(10);

/// Who is there.
#[derive(Debug, Default)]
pub(super) struct Admission {
    all: Count,
    half_open: Count,
    of_address: Counts<IpAddr>,
    begun: Rates,
    of_session: Counts<String>,
    sessions: Mutex<HashMap<String, Weak<Allowance>>>,
}

/// A connection that has no session yet, in its place.
#[derive(Debug)]
pub(super) struct Place {
    connection: Taken,
    /// Until it has one.
    _half_open: [Taken; 2],
}

impl Admission {
    /// A connection from this address is to be made, if there is room for it.
    pub(super) fn take(&self, address: IpAddr, limits: &Remote) -> Option<Place> {
        let connection = self.all.take(limits.connections)?;
        let half_open = self.half_open.take(limits.half_open)?;
        let of_address = self.of_address.take(network(address), limits.half_open_per_address)?;
        Some(Place { connection, _half_open: [half_open, of_address] })
    }

    /// Whether another connection from this address may begin now. A handshake costs more than anything that a client can
    /// say afterwards, and who is turned away at its end could come back at once. Those that have shown that the address is
    /// theirs are counted by themselves: nobody uses up what is another's.
    pub(super) fn may_begin(
        &self,
        address: IpAddr,
        is_shown: bool,
        limits: &Remote,
        now: Duration,
    ) -> bool {
        let whose = Whose::Address { address: network(address), is_shown };
        self.begun.take(whose, limits.connects_per_address, now).is_ok()
    }

    /// A client from this address has sent far too much, and was closed.
    pub(super) fn shut_out(&self, address: IpAddr, now: Duration) {
        let address = network(address);
        for is_shown in [false, true] {
            self.begun.shut(Whose::Address { address, is_shown }, SHUT_OUT, now);
        }
    }

    /// Whether there are so many that have said nothing yet that new ones have to show that their address is theirs.
    pub(super) fn is_crowded(&self, limits: &Remote) -> bool {
        self.half_open.take(limits.half_open / 4).is_none()
    }

    /// The connection has got a session, if there is room for it there: it is not half open any more.
    pub(super) fn attach(
        &self,
        place: Place,
        session: &str,
        limits: &Remote,
    ) -> Option<[Taken; 2]> {
        let limit = limits.connections_per_session;
        let of_session = self.of_session.take(session.to_owned(), limit)?;
        Some([place.connection, of_session])
    }

    /// What may be sent to a session, by all who are connected to it together.
    pub(super) fn of_session(&self, session: &str) -> Arc<Allowance> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, allowance| allowance.strong_count() > 0);
        if let Some(allowance) = sessions.get(session).and_then(Weak::upgrade) {
            return allowance;
        }
        let allowance = Arc::default();
        sessions.insert(session.to_owned(), Arc::downgrade(&allowance));
        allowance
    }
}

/// Who has an address of IPv6 has all of a /64 (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

/// How many there are of each.
#[derive(Debug)]
struct Counts<K>(Mutex<HashMap<K, Count>>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Counts<K> {
    fn take(&self, key: K, limit: usize) -> Option<Taken> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.retain(|_, count| !count.is_none());
        counts.entry(key).or_default().take(limit)
    }
}

/// How much input may come. Time is since any instant that stays the same.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    datagrams: Bucket,
    bytes: Bucket,
}

impl Allowance {
    /// Whether a datagram may come now.
    pub(super) fn take(
        &self,
        len: usize,
        datagrams: NonZeroU32,
        bytes: NonZeroU32,
        now: Duration,
    ) -> bool {
        // A datagram has no more bytes than fit.
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.datagrams.take(1, datagrams, now) && self.bytes.take(len, bytes, now)
    }
}

/// A token bucket that holds a second's worth, by when it will be full again (as `limits::Rates`, without names or a lock: one
/// is asked for every datagram).
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// Nanoseconds.
    full: AtomicU64,
}

impl Bucket {
    const SECOND: u64 = 1_000_000_000;

    pub(super) fn take(&self, amount: u32, rate: NonZeroU32, now: Duration) -> bool {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX / 4);
        let cost = u64::from(amount) * Self::SECOND / u64::from(rate.get());
        let next = |full: u64| {
            let full = full.max(now) + cost;
            (full <= now + Self::SECOND).then_some(full)
        };
        self.full.fetch_update(Relaxed, Relaxed, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1000);

    fn limits() -> Remote {
        Remote {
            connections: 4,
            half_open: 3,
            half_open_per_address: 2,
            connections_per_session: 1,
            ..Remote::default()
        }
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn one_address_cannot_take_the_places_of_all() {
        let (admission, limits) = (Admission::default(), limits());
        let first: Vec<_> =
            std::iter::from_fn(|| admission.take(address(1), &limits)).take(9).collect();
        assert_eq!(first.len(), 2);
        let _other = admission.take(address(2), &limits).unwrap();
        assert!(admission.take(address(3), &limits).is_none(), "three are half open");
        drop(first);
        admission.take(address(1), &limits).unwrap();
        let v6 = |text: &str| network(text.parse().unwrap());
        assert_eq!(v6("2001:db8::1"), v6("2001:db8::ffff:0:0:1"));
        assert_ne!(v6("2001:db8::1"), v6("2001:db8:0:1::1"));
        assert_eq!(v6("::ffff:192.0.2.1"), address(1));
    }

    #[test]
    fn an_address_begins_only_so_many_connections_in_a_second() {
        let (admission, limits) = (Admission::default(), Remote::default());
        let begun = |last, now| {
            let begin = |_: &i32| admission.may_begin(address(last), true, &limits, now);
            u32::try_from((0..1000).take_while(begin).count()).unwrap()
        };
        let most = limits.connects_per_address.get();
        assert_eq!(begun(1, START), most);
        assert_eq!(begun(1, START + Duration::from_millis(500)), most / 2);
        assert_eq!(begun(2, START), most, "it is not the other one's");
        assert!(admission.may_begin(address(2), false, &limits, START), "nor of who says so");
        admission.shut_out(address(3), START);
        assert_eq!(begun(3, START + SHUT_OUT), 0);
        assert!(!admission.may_begin(address(3), false, &limits, START + SHUT_OUT));
        assert_eq!(begun(3, START + SHUT_OUT + Duration::from_secs(1)), most);
    }

    #[test]
    fn who_is_attached_is_not_half_open_and_counts_for_the_session() {
        let (admission, limits) = (Admission::default(), limits());
        let attach = |session| {
            let place = admission.take(address(1), &limits).unwrap();
            admission.attach(place, session, &limits)
        };
        let attached: Vec<_> = ["a", "b", "c"].map(|name| attach(name).unwrap()).into();
        assert!(attach("a").is_none());
        let _fourth = attach("d").unwrap();
        assert!(admission.take(address(9), &limits).is_none(), "four are connected");
        drop(attached);
        assert!(attach("a").is_some());
    }

    #[test]
    fn a_second_s_datagrams_and_bytes_may_come_at_once_and_no_more() {
        let rate = |rate| NonZeroU32::new(rate).unwrap();
        let taken = |allowance: &Allowance, len, bytes, now| {
            (0..100_000).take_while(|_| allowance.take(len, rate(100), rate(bytes), now)).count()
        };
        let allowance = Allowance::default();
        assert_eq!(taken(&allowance, 10, 100_000, START), 100);
        assert_eq!(taken(&allowance, 10, 100_000, START + Duration::from_millis(100)), 10);
        let allowance = Allowance::default();
        assert_eq!(taken(&allowance, 1000, 50_000, START), 50);
        // More than a second has room for is never let through.
        assert_eq!(taken(&Allowance::default(), 1001, 1000, START), 0);
    }

    #[test]
    fn those_of_a_session_share_what_it_may_get() {
        let admission = Admission::default();
        let (one, two) = (admission.of_session("a"), admission.of_session("a"));
        assert!(Arc::ptr_eq(&one, &two));
        assert!(!Arc::ptr_eq(&one, &admission.of_session("b")));
    }
}
