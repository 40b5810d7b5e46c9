//! Pens of tablets.

use evdev::{AbsoluteAxisCode, EventSummary, KeyCode};
use hotseat_wire::{Change, Pen, pen};

use crate::cli::connect::abilities::Abilities;
use crate::cli::connect::axis::Axis;

/// `BTN_STYLUS3` of include/uapi/linux/input-event-codes.h.
const STYLUS3: u16 = 0x149;

#[derive(Debug)]
pub(super) struct PenTablet {
    x: Axis,
    y: Axis,
    pressure: Axis,
    distance: Axis,
    tilt: [Axis; 2],
    pen: Pen,
    last: Pen,
}

impl PenTablet {
    pub(super) fn new(abilities: &Abilities) -> Self {
        let axis =
            |code: AbsoluteAxisCode| abilities.absolute.get(&code.0).copied().unwrap_or_default();
        Self {
            x: axis(AbsoluteAxisCode::ABS_X),
            y: axis(AbsoluteAxisCode::ABS_Y),
            pressure: axis(AbsoluteAxisCode::ABS_PRESSURE),
            distance: axis(AbsoluteAxisCode::ABS_DISTANCE),
            tilt: [axis(AbsoluteAxisCode::ABS_TILT_X), axis(AbsoluteAxisCode::ABS_TILT_Y)],
            pen: Pen::default(),
            last: Pen::default(),
        }
    }

    pub(super) fn follow(&mut self, event: &EventSummary, changes: &mut Vec<Change>) {
        match *event {
            EventSummary::Key(_, key, value @ (0 | 1)) => self.press(key, value == 1, changes),
            EventSummary::AbsoluteAxis(_, code, value) => self.set(code, value),
            _ => {}
        }
    }

    pub(super) fn finish(&mut self, changes: &mut Vec<Change>) {
        if self.pen != self.last {
            self.last = self.pen;
            changes.push(Change::Pen(self.pen));
        }
    }

    fn press(&mut self, key: KeyCode, down: bool, changes: &mut Vec<Change>) {
        let tool = match key {
            KeyCode::BTN_TOOL_PEN => Some("pen"),
            KeyCode::BTN_TOOL_RUBBER => Some("eraser"),
            KeyCode::BTN_TOOL_BRUSH => Some("brush"),
            KeyCode::BTN_TOOL_PENCIL => Some("pencil"),
            KeyCode::BTN_TOOL_AIRBRUSH => Some("airbrush"),
            _ => None,
        };
        let button = match key {
            KeyCode::BTN_TOUCH => pen::TIP,
            KeyCode::BTN_STYLUS => pen::BUTTON1,
            KeyCode::BTN_STYLUS2 => pen::BUTTON2,
            KeyCode(STYLUS3) => pen::BUTTON3,
            _ if tool.is_some() => pen::NEAR,
            _ => return,
        };
        if down && let Some(tool) = tool {
            let number = pen::TOOLS.iter().position(|known| *known == tool);
            self.pen.tool = number.and_then(|number| u8::try_from(number).ok()).unwrap_or(0);
        }
        changes.push(Change::PenButton { button, down });
    }

    fn set(&mut self, code: AbsoluteAxisCode, value: i32) {
        match code {
            AbsoluteAxisCode::ABS_X => self.pen.place.x = self.x.part(value),
            AbsoluteAxisCode::ABS_Y => self.pen.place.y = self.y.part(value),
            AbsoluteAxisCode::ABS_PRESSURE => self.pen.pressure = self.pressure.part(value),
            AbsoluteAxisCode::ABS_DISTANCE => self.pen.distance = self.distance.part(value),
            AbsoluteAxisCode::ABS_TILT_X => self.pen.tilt[0] = self.tilt[0].degrees(value),
            AbsoluteAxisCode::ABS_TILT_Y => self.pen.tilt[1] = self.tilt[1].degrees(value),
            _ => {}
        }
    }
}
