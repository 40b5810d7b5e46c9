//! Fingers on a surface: multi-touch protocol B (Documentation/input/multi-touch-protocol.rst).

use super::control::Spec;
use super::{Axis, Control, ControlKind};
use crate::{EventCode, EventType};

/// Codes by which a device reports contacts (include/uapi/linux/input-event-codes.h).
pub(crate) const ABS_MT_SLOT: u16 = 0x2f;
pub(crate) const ABS_MT_POSITION_X: u16 = 0x35;
pub(crate) const ABS_MT_POSITION_Y: u16 = 0x36;
pub(crate) const ABS_MT_TRACKING_ID: u16 = 0x39;
pub(crate) const ABS_MT_PRESSURE: u16 = 0x3a;

/// Codes by which it also reports the oldest contact, for programs that know only one.
pub(crate) const ABS_X: u16 = 0x00;
pub(crate) const ABS_Y: u16 = 0x01;
pub(crate) const ABS_PRESSURE: u16 = 0x18;
pub(crate) const BTN_TOUCH: u16 = 0x14a;

/// The button that is held while there are this many contacts, less one.
pub(crate) const BTN_TOOLS: [u16; 5] = [0x145, 0x14d, 0x14e, 0x14f, 0x148];

/// Most numbers that contacts are told apart by, less one: `TRKID_MAX` (include/linux/input/mt.h).
pub(crate) const LAST_TRACKING_ID: i32 = 0xffff;

/// The contacts that a device tells apart.
///
/// Each is a control `touchN` and a control `touchN_NAME` per axis: `touch0=1` with `touch0_x=0.5` puts a
/// finger down. Tracking numbers, `BTN_TOUCH`, `BTN_TOOL_*` and the axes of single-touch programs follow
/// by themselves, as in drivers that leave them to the kernel (`input_mt_report_pointer_emulation` in
/// drivers/input/input-mt.c).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contacts {
    pub(super) count: u8,
    pub(super) axes: Vec<ContactAxis>,
    pub(super) emulated: Vec<(EventCode, Option<Axis>)>,
}

/// What a device reports of each contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContactAxis {
    pub(crate) name: String,
    pub(crate) code: EventCode,
    pub(crate) axis: Axis,
}

impl Contacts {
    /// `pointer` is for touchpads: they also report how many fingers there are (`INPUT_MT_POINTER`).
    pub(super) fn new(count: u8, axes: Vec<ContactAxis>, pointer: bool) -> Self {
        let key = |code| EventCode { kind: EventType::Key, code };
        let copies = [
            (ABS_X, ABS_MT_POSITION_X),
            (ABS_Y, ABS_MT_POSITION_Y),
            (ABS_PRESSURE, ABS_MT_PRESSURE),
        ];
        let copies = copies.into_iter().filter_map(|(single, multi)| {
            let from = axes.iter().find(|axis| axis.code.code == multi)?;
            Some((EventCode { kind: EventType::Abs, code: single }, Some(from.axis)))
        });
        let tools = if pointer { BTN_TOOLS.len().min(usize::from(count)) } else { 0 };
        let buttons = BTN_TOOLS[..tools].iter().chain([&BTN_TOUCH]);
        let mut emulated: Vec<_> = buttons.map(|code| (key(*code), None)).chain(copies).collect();
        emulated.sort_by_key(|(code, _)| *code);
        Self { count, axes, emulated }
    }

    /// How many contacts there can be at once.
    #[must_use]
    pub fn count(&self) -> u8 {
        self.count
    }

    pub(crate) fn axes(&self) -> &[ContactAxis] {
        &self.axes
    }

    /// What follows from the contacts by itself: buttons, and axes with the range that they copy.
    pub(crate) fn emulated(&self) -> &[(EventCode, Option<Axis>)] {
        &self.emulated
    }

    /// The axes of the device, each once, with those that number the contacts.
    pub(super) fn device_axes(&self) -> impl Iterator<Item = (EventCode, Axis)> {
        let numbers = |code, max| {
            let code = EventCode { kind: EventType::Abs, code };
            let rest = 0;
            let (fuzz, flat, resolution) = (0, 0, 0);
            (code, Axis { min: 0, max, rest, position: true, fuzz, flat, resolution })
        };
        [
            numbers(ABS_MT_SLOT, i32::from(self.count) - 1),
            numbers(ABS_MT_TRACKING_ID, LAST_TRACKING_ID),
        ]
        .into_iter()
        .chain(self.axes.iter().map(|axis| (axis.code, axis.axis)))
        .chain(self.emulated.iter().filter_map(|(code, axis)| Some((*code, (*axis)?))))
    }

    /// The controls of all contacts.
    pub(super) fn controls(&self) -> Vec<Control> {
        let down = EventCode { kind: EventType::Abs, code: ABS_MT_TRACKING_ID };
        let mut controls = Vec::new();
        for slot in 0..self.count {
            let control = |name, code, kind| Control::new(name, Spec { code, kind }, Some(slot));
            controls.push(control(format!("touch{slot}"), down, ControlKind::Contact));
            controls.extend(self.axes.iter().map(|axis| {
                let name = format!("touch{slot}_{}", axis.name);
                control(name, axis.code, ControlKind::Absolute(axis.axis))
            }));
        }
        controls
    }
}
