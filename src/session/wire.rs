//! What a client says in the protocol's words, as what a device is set to. What a device does not have is ignored.
//!
//! A change comes a thousand times a second for each pad, so which of a device's controls it is about is looked up when
//! the device is made ([`names`]), and kept as numbers ([`controls`]). Whole pads know the same words ([`pad`]).

mod controls;
mod names;
mod pad;

use hotseat_wire::Change;

use self::controls::Controls;
pub(crate) use self::names::button_named;
pub(crate) use self::pad::Pad;

/// Controls that the changes of one report set, as a rule: all edges of a frame, with sticks and triggers. A report that
/// sets more makes room for more, once.
const ROOM: usize = 128;

/// The way of changes to a device whose controls have names.
#[derive(Debug)]
pub(crate) struct Named<F> {
    controls: Controls,
    /// Used again each time: it keeps its memory.
    frame: F,
}

impl Named<vinput::Frame> {
    pub(super) fn of_uinput(profile: &vinput::Profile) -> Self {
        let controls = Controls::new(&names::of_uinput(profile));
        Self { controls, frame: vinput::Frame::with_capacity(ROOM) }
    }

    /// Has `write` write what the changes set, all at once.
    pub(super) fn change<E>(
        &mut self,
        profile: &vinput::Profile,
        changes: &[Change],
        mut write: impl FnMut(&vinput::Frame) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { controls, frame } = self;
        frame.clear();
        let mut set = |index, value| {
            if let Some(control) = profile.controls().get(usize::from(index)) {
                frame.set_nearest(control, value);
            }
        };
        changes.iter().for_each(|change| controls.apply(change, &mut set));
        controls.take_motion(&mut set);
        write(frame)
    }
}

impl Named<vinput::hid::Frame> {
    pub(super) fn of_hid(profile: &vinput::hid::Profile) -> Self {
        let controls = Controls::new(&names::of_hid(profile));
        Self { controls, frame: vinput::hid::Frame::with_capacity(ROOM) }
    }

    /// Has `write` write what the changes set, all at once; but motion for which a report has no room goes on in the next.
    pub(super) fn change<E>(
        &mut self,
        profile: &vinput::hid::Profile,
        changes: &[Change],
        mut write: impl FnMut(&vinput::hid::Frame) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { controls, frame } = self;
        frame.clear();
        let set = |frame: &mut vinput::hid::Frame, index, value| {
            if let Some(control) = profile.controls().get(usize::from(index)) {
                frame.set_nearest(control, value);
            }
        };
        changes
            .iter()
            .for_each(|change| controls.apply(change, &mut |at, value| set(frame, at, value)));
        loop {
            controls.take_motion(&mut |at, value| set(frame, at, value));
            write(frame)?;
            if !controls.has_motion() {
                return Ok(());
            }
            frame.clear();
        }
    }
}

impl<F> Named<F> {
    /// Bits of the kinds of frame that the device takes ([`hotseat_wire::Kind::bit`]).
    pub(super) fn kinds(&self) -> u32 {
        self.controls.kinds()
    }

    /// All was let go of.
    pub(super) fn release(&mut self) {
        self.controls.release();
    }
}

#[cfg(test)]
mod hot_path;
#[cfg(test)]
mod tests;
