//! Figures for Prometheus, at `/metrics` of the API's socket.
//!
//! No label has a session's or a container's name: there may be any number of them over the years, and each would
//! stay in the memory of whoever collects the figures.

use std::time::Duration;

use metrics::{
    Counter, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::engine::Engine;
use crate::session::view::Session;

const PLUG_SECONDS: &str = "hotseat_plug_seconds";
const UNPLUG_SECONDS: &str = "hotseat_unplug_seconds";
const FAILURES: &str = "hotseat_failures_total";
const FRAMES: &str = "hotseat_frames_total";
const FEEDBACK: &str = "hotseat_feedback_total";
const INTERRUPTED: &str = "hotseat_recovery_interrupted_total";
const CLEANED: &str = "hotseat_recovery_cleaned_total";
const BROUGHT_BACK: &str = "hotseat_recovery_sessions_total";
const REPLUGGED: &str = "hotseat_recovery_devices_total";
const CORRUPT: &str = "hotseat_recovery_corrupt_journals_total";
const SESSIONS: &str = "hotseat_sessions";
const DEVICES: &str = "hotseat_devices";
const GRANTS: &str = "hotseat_grants";

const REMOTE_CONNECTIONS: &str = "hotseat_remote_connections";
const REMOTE_ATTACHED: &str = "hotseat_remote_attached_total";
const REMOTE_REFUSED: &str = "hotseat_remote_refused_total";
const REMOTE_DATAGRAMS: &str = "hotseat_remote_datagrams_total";
const REMOTE_LET_GO: &str = "hotseat_remote_let_go_total";
const REMOTE_KEYS: &str = "hotseat_remote_keys_refused_total";
const REMOTE_RTT: &str = "hotseat_remote_rtt_seconds";

/// Upper bounds in seconds. A step takes from tens of microseconds (a grant) to ten seconds (a pad whose driver has to
/// be loaded).
const BUCKETS: [f64; 12] =
    [0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0];

/// Collects from now on, for the whole process.
///
/// # Errors
///
/// When somebody else in this process collects already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
        .install_recorder()?;
    describe_histogram!(
        PLUG_SECONDS,
        Unit::Seconds,
        "Time of each step of a plug, and of all of them (step=\"all\"), by container runtime"
    );
    describe_histogram!(
        UNPLUG_SECONDS,
        Unit::Seconds,
        "Time until an unplugged device is gone from its container"
    );
    describe_counter!(FAILURES, "Requests to a session that failed, by the problem's code");
    describe_counter!(FRAMES, "Frames of input written to devices");
    describe_counter!(FEEDBACK, "Times a program told a device to do something");
    describe_counter!(INTERRUPTED, "What an earlier daemon had begun and not ended");
    describe_counter!(CLEANED, "What an earlier daemon had left behind");
    describe_counter!(
        BROUGHT_BACK,
        "Sessions of an earlier daemon, by whether their container is theirs again"
    );
    describe_counter!(REPLUGGED, "Devices of an earlier daemon, by whether they are plugged again");
    describe_counter!(CORRUPT, "Journals that made no sense");
    describe_gauge!(SESSIONS, "Sessions, with and without a container");
    describe_gauge!(DEVICES, "Plugged devices");
    describe_gauge!(GRANTS, "Device numbers granted to containers");
    describe_gauge!(REMOTE_CONNECTIONS, "Clients from afar that are attached to a session");
    describe_counter!(REMOTE_ATTACHED, "Connections of clients from afar that got their session");
    describe_counter!(REMOTE_REFUSED, "Clients from afar, or their wishes, that were refused");
    describe_counter!(REMOTE_DATAGRAMS, "Datagrams of clients from afar, by what became of them");
    describe_counter!(
        REMOTE_LET_GO,
        "Times a client from afar was silent for so long that what it held was let go of"
    );
    describe_counter!(REMOTE_KEYS, "Presses of keys that the client's token does not allow");
    describe_histogram!(REMOTE_RTT, Unit::Seconds, "Round trip times of clients from afar");
    Ok(handle)
}

/// The figures as text (Prometheus' text format, version 0.0.4).
pub(crate) fn render(handle: &PrometheusHandle, engine: &Engine, sessions: &[Session]) -> String {
    let with_container = sessions.iter().filter(|session| session.container.is_some()).count();
    let without = sessions.len() - with_container;
    gauge!(SESSIONS, "container" => "yes").set(count(with_container));
    gauge!(SESSIONS, "container" => "no").set(count(without));
    gauge!(DEVICES).set(count(sessions.iter().map(|session| session.devices.len()).sum()));
    if let Ok(Ok(grants)) = engine.grants().map(device_gate::Grants::count) {
        gauge!(GRANTS).set(count(grants));
    }
    handle.run_upkeep();
    handle.render()
}

/// Exact up to 2^53.
fn count(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// A device was plugged into a container of this runtime; each step by the time from the start to its end.
pub(crate) fn plugged(runtime: &'static str, steps: &[(&'static str, Duration)]) {
    let record = |step: &'static str, took: Duration| {
        histogram!(PLUG_SECONDS, "step" => step, "runtime" => runtime).record(took);
    };
    let mut before = Duration::ZERO;
    for &(step, end) in steps {
        record(step, end.saturating_sub(before));
        before = end;
    }
    record("all", before);
}

/// A device is gone from its container.
pub(crate) fn unplugged(took: Duration) {
    histogram!(UNPLUG_SECONDS).record(took);
}

/// A request to a session failed.
pub(crate) fn failed(operation: &'static str, code: &'static str) {
    counter!(FAILURES, "operation" => operation, "code" => code).increment(1);
}

/// Frames that are written to devices. To ask for the counter allocates, to count does not.
pub(crate) fn frames() -> Counter {
    counter!(FRAMES)
}

/// A program told a device something.
pub(crate) fn feedback() {
    counter!(FEEDBACK).increment(1);
}

/// What an earlier daemon left: so much was under way, and its journal could be read or not.
pub(crate) fn found(interrupted: usize, is_corrupt: bool) {
    counter!(INTERRUPTED).increment(interrupted as u64);
    counter!(CORRUPT).increment(u64::from(is_corrupt));
}

/// So much of a kind of thing was taken away that an earlier daemon had left.
pub(crate) fn cleaned(what: &'static str, count: usize) {
    counter!(CLEANED, "what" => what).increment(count as u64);
}

/// A session of an earlier daemon is back.
pub(crate) fn brought_back(session: &Session) {
    let container = if session.container.is_some() { "yes" } else { "no" };
    counter!(BROUGHT_BACK, "container" => container).increment(1);
    counter!(REPLUGGED, "plugged" => "yes").increment(session.devices.len() as u64);
    counter!(REPLUGGED, "plugged" => "no").increment(session.waiting.len() as u64);
}

/// A client from afar is attached, until this is dropped. What its datagrams become is counted here: one look for each kind of
/// outcome, not for each datagram.
#[derive(Debug)]
pub(crate) struct RemoteClient {
    pub(crate) taken: Counter,
    pub(crate) malformed: Counter,
    pub(crate) dropped: Counter,
}

impl RemoteClient {
    pub(crate) fn new() -> Self {
        gauge!(REMOTE_CONNECTIONS).increment(1.0);
        counter!(REMOTE_ATTACHED).increment(1);
        Self {
            taken: counter!(REMOTE_DATAGRAMS, "outcome" => "taken"),
            malformed: counter!(REMOTE_DATAGRAMS, "outcome" => "malformed"),
            dropped: counter!(REMOTE_DATAGRAMS, "outcome" => "over-rate"),
        }
    }
}

impl Drop for RemoteClient {
    fn drop(&mut self) {
        gauge!(REMOTE_CONNECTIONS).decrement(1.0);
    }
}

/// A client from afar, or a wish of one, was refused.
pub(crate) fn remote_refused(code: &'static str) {
    counter!(REMOTE_REFUSED, "code" => code).increment(1);
}

/// A client from afar was silent for too long while it held something.
pub(crate) fn remote_let_go() {
    counter!(REMOTE_LET_GO).increment(1);
}

/// A client from afar has pressed a key that it may not.
pub(crate) fn remote_key_refused() {
    counter!(REMOTE_KEYS).increment(1);
}

/// How long a round trip to a client from afar took.
pub(crate) fn remote_rtt(rtt: Duration) {
    histogram!(REMOTE_RTT).record(rtt);
}
