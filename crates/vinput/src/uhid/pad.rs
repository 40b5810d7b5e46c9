//! A pad of any model, as the event loop sees it.

use std::time::Duration;

use super::dualsense::DualSense;
use super::dualshock4::DualShock4;
use super::feedback::Feedback;
use super::mac::Mac;
use super::state::State;
use super::switch::{Kind, Switch};

/// What a pad remembers: its current report and its part of a dialogue.
#[derive(Debug)]
pub(super) enum Pad {
    DualSense(DualSense),
    DualShock4(DualShock4),
    Switch(Switch),
}

impl Pad {
    pub(super) fn switch(kind: Kind, mac: Mac) -> Self {
        Self::Switch(Switch::new(kind, mac))
    }

    /// Goes on where the process before stopped: the driver has had its answers, and will not ask again.
    pub(super) fn resume(&mut self, feedback: &[Feedback]) {
        if let Self::Switch(pad) = self {
            pad.resume(feedback);
        }
    }

    /// Takes over a state; whether it is to be reported at once. Switch pads report at their own pace
    /// only, by which the driver times what it sends.
    pub(super) fn set(&mut self, state: &State) -> bool {
        match self {
            Self::DualSense(pad) => pad.set(state),
            Self::DualShock4(pad) => pad.set(state),
            Self::Switch(pad) => {
                pad.set(state);
                false
            }
        }
    }

    /// The report as it is to be sent now, if there is to be one. `clock` is the sensors' time.
    pub(super) fn report(&mut self, clock: Duration) -> Option<&[u8]> {
        match self {
            Self::DualSense(pad) => Some(pad.report(clock)),
            Self::DualShock4(pad) => Some(pad.report(clock)),
            Self::Switch(pad) => pad.report(clock),
        }
    }

    /// Takes an output report, number first; gives the input report that answers it, if there is one.
    pub(super) fn output(
        &mut self,
        report: &[u8],
        clock: Duration,
        sink: impl FnMut(Feedback),
    ) -> Option<&[u8]> {
        match self {
            Self::DualSense(pad) => pad.output(report, sink),
            Self::DualShock4(pad) => pad.output(report, sink),
            Self::Switch(pad) => return pad.output(report, clock, sink),
        }
        None
    }
}
