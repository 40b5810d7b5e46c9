//! Which of a device's controls a change is about, and what it is set to.

use hotseat_wire::{Axes, Change, Contact, Kind, Pen, Place, State, joystick, pen};
use vinput::profile::Axis;

use super::names::{DPAD, Index, Named, What, buttons, joystick_buttons, keys};

/// The buttons of triggers, the left one first.
const TRIGGER_BUTTONS: [u8; 2] = [28, 29];

const STICKS: [&[&str]; 4] =
    [&["lx", "wheel", "steering", "x"], &["ly", "y"], &["rx", "twist"], &["ry"]];
const TRIGGERS: [&[&str]; 2] = [&["lt", "brake"], &["rt", "throttle", "accelerator"]];
const MOUSE_BUTTONS: [&[&str]; 5] =
    [&["left", "click"], &["right"], &["middle"], &["side"], &["extra"]];
const PEN_BUTTONS: [&str; 5] = ["", "tip", "stylus", "stylus2", "stylus3"];

/// The controls of a device, by the numbers that changes have for them; and what of them more than one change says.
#[derive(Debug)]
pub(super) struct Controls {
    buttons: [Option<Index>; 32],
    /// Across and down.
    dpad: [Option<Index>; 2],
    sticks: [Option<Index>; 4],
    triggers: [Option<Index>; 2],
    /// Whether that is a pedal, which presses no button.
    pedals: [bool; 2],
    keys: [Option<Index>; 256],
    mouse_buttons: [Option<Index>; 8],
    /// To the right, downwards; the wheels upwards, to the right.
    motion: [Option<Motion>; 4],
    pointer: [Option<Position>; 2],
    fingers: Vec<Finger>,
    tools: [Option<Index>; 5],
    pen_buttons: [Option<Index>; 8],
    pen: [Option<Position>; 2],
    pressure: Option<Index>,
    distance: Option<Index>,
    tilt: [Option<Tilt>; 2],
    joystick_buttons: [Option<Index>; 32],
    /// Pedals, levers, and what turns.
    joystick_axes: [Option<Position>; 8],
    kinds: u32,
    state: State,
}

/// An axis for a place.
#[derive(Debug, Clone, Copy)]
struct Position {
    index: Index,
    lowest: f64,
}

/// An axis for an angle.
#[derive(Debug, Clone, Copy)]
struct Tilt {
    index: Index,
    /// Of the axis' scale, for a degree to either side.
    per_degree: (f64, f64),
}

/// What is relative.
#[derive(Debug, Clone, Copy)]
struct Motion {
    index: Index,
    /// The most steps of a report, one way and the other.
    steps: (i64, i64),
    /// What a step is on the wire.
    step: i64,
    /// What a step is to the device.
    unit: f64,
    /// What the device has not been told yet.
    rest: i64,
}

/// Reports that motion may take that has no room in one. More is more than a hand can move in a frame.
const MOST_REPORTS: i64 = 16;

/// A contact of the device.
#[derive(Debug)]
struct Finger {
    down: Index,
    place: [Option<Position>; 2],
    pressure: Option<Index>,
    /// Which finger it is.
    id: Option<u16>,
    /// Whether it went up in this report: another one would look as if it had moved there.
    went_up: bool,
}

impl Controls {
    pub(super) fn new(named: &[Named<'_>]) -> Self {
        let find = |name: &str| named.iter().find(|control| control.name == name);
        let button = |name: &str| {
            find(name).filter(|control| control.what == What::Button).map(|it| it.index)
        };
        let axis_of = |name: &str| match find(name)?.what {
            What::Axis(axis) => Some(axis),
            _ => None,
        };
        let axis = |name: &str| {
            let is_axis = |it: &&Named<'_>| matches!(it.what, What::Axis(_) | What::Hat);
            find(name).filter(is_axis).map(|it| it.index)
        };
        let position =
            |name: &str| Some(Position { index: axis(name)?, lowest: axis_of(name)?.lowest() });
        let tools = std::array::from_fn(|tool| button(pen::TOOLS[tool]));
        let is_pen = tools.iter().any(Option::is_some) || button("tip").is_some();
        let is_place = |name: &str| axis_of(name).is_some_and(|axis| axis.position);
        // What says where something is on a surface is no stick.
        let stick = |name: &&&str| !(is_pen || is_place(name)) && axis(name).is_some();
        // A stick's throttle is no trigger: let go of, that would be full.
        let trigger = |name: &&&str| !is_place(name) && axis(name).is_some();
        let place = |is: bool, name: &str| position(name).filter(|_| is);
        let buttons = buttons(named);
        let mut controls = Self {
            dpad: [["dpad_x", "hat_x"], ["dpad_y", "hat_y"]]
                .map(|names| names.into_iter().find_map(axis)),
            sticks: STICKS.map(|names| axis(names.iter().find(stick)?)),
            triggers: TRIGGERS.map(|names| axis(names.iter().find(trigger)?)),
            pedals: TRIGGERS
                .map(|names| names.iter().find(trigger).is_some_and(|name| *name != names[0])),
            keys: keys(named, &buttons),
            mouse_buttons: std::array::from_fn(|number| {
                MOUSE_BUTTONS.get(number)?.iter().find_map(|name| button(name))
            }),
            motion: [("dx", false), ("dy", false), ("wheel", true), ("hwheel", true)]
                .map(|(name, is_wheel)| Motion::new(find(name)?, is_wheel)),
            pointer: ["x", "y"].map(|name| place(!is_pen && is_place(name), name)),
            fingers: (0..).map_while(|number| Finger::new(number, find, position)).collect(),
            tools,
            pen_buttons: std::array::from_fn(|number| button(PEN_BUTTONS.get(number)?)),
            pen: ["x", "y"].map(|name| place(is_pen, name)),
            pressure: axis("pressure").filter(|_| is_pen),
            distance: axis("distance").filter(|_| is_pen),
            joystick_buttons: joystick_buttons(named),
            joystick_axes: std::array::from_fn(|number| {
                let name = joystick::AXES.get(number)?;
                // Where it is no lever, it is the pedal that is a trigger.
                position(name).filter(|_| number != joystick::THROTTLE || is_place(name))
            }),
            tilt: ["tilt_x", "tilt_y"].map(|name| Some(Tilt::new(axis(name)?, axis_of(name)?))),
            buttons,
            kinds: 0,
            state: State::default(),
        };
        controls.kinds = controls.count_kinds();
        controls
    }

    fn count_kinds(&self) -> u32 {
        let any = |controls: &[Option<Index>]| controls.iter().any(Option::is_some);
        let pad = any(&self.buttons) || any(&self.dpad) || any(&self.sticks) || any(&self.triggers);
        let mouse = any(&self.mouse_buttons) || self.motion.iter().any(Option::is_some);
        let joystick_axes = self.joystick_axes.iter().any(Option::is_some);
        let kinds = [
            (Kind::Gamepad, pad),
            (Kind::Keyboard, any(&self.keys)),
            (Kind::Mouse, mouse),
            (Kind::Pointer, self.pointer.iter().any(Option::is_some)),
            (Kind::Touch, !self.fingers.is_empty()),
            (Kind::Joystick, any(&self.joystick_buttons) || joystick_axes),
            (Kind::Pen, any(&self.tools) || any(&self.pen_buttons)),
        ];
        kinds.into_iter().filter(|(_, has)| *has).map(|(kind, _)| kind.bit()).sum()
    }

    /// Bits of the kinds of frame that the device takes.
    pub(super) fn kinds(&self) -> u32 {
        self.kinds
    }

    /// Tells `set` which controls a change sets, and to what: the scale of each control.
    pub(super) fn apply(&mut self, change: &Change, set: &mut impl FnMut(Index, f64)) {
        let before = self.state.pen;
        self.state.apply(change);
        let mut put = |control: Option<Index>, value: f64| {
            if let Some(index) = control {
                set(index, value);
            }
        };
        match *change {
            Change::Button { button, down } => self.button(button, down, &mut put),
            Change::Axes(axes) => self.axes(axes, &mut put),
            Change::Key { key, down } => put(self.keys[usize::from(key)], on(down)),
            Change::MouseButton { button, down } => {
                put(self.mouse_buttons.get(usize::from(button)).copied().flatten(), on(down));
            }
            Change::Move { dx, dy } => self.add(0, [dx, dy]),
            Change::Wheel { vertical, horizontal } => self.add(2, [vertical, horizontal]),
            Change::Place(place) => put_place(&self.pointer, place, &mut put),
            Change::Touch(contact) => self.touch(contact, &mut put),
            Change::Lift { id } => {
                let finger = self.fingers.iter_mut().find(|finger| finger.id == Some(id));
                if let Some(finger) = finger {
                    (finger.id, finger.went_up) = (None, true);
                    put(Some(finger.down), 0.0);
                }
            }
            Change::PenButton { button: pen::NEAR, down } => {
                put(self.tool(self.state.pen.tool), on(down));
            }
            Change::PenButton { button, down } => {
                put(self.pen_buttons.get(usize::from(button)).copied().flatten(), on(down));
            }
            Change::Pen(pen) => self.pen(before, pen, &mut put),
            Change::JoystickButton { button, down } => {
                put(self.joystick_buttons.get(usize::from(button)).copied().flatten(), on(down));
            }
            Change::JoystickAxes(axes) => {
                for (axis, value) in self.joystick_axes.iter().zip(axes) {
                    if let Some(Position { index, lowest }) = *axis {
                        put(Some(index), (f64::from(value) / f64::from(i16::MAX)).max(lowest));
                    }
                }
            }
            // No device with named controls has them.
            _ => {}
        }
    }

    /// Ends a report with the motion that it has room for.
    pub(super) fn take_motion(&mut self, set: &mut impl FnMut(Index, f64)) {
        for motion in self.motion.iter_mut().flatten() {
            let steps = motion.next();
            if steps != 0 {
                motion.rest -= steps * motion.step;
                #[expect(clippy::cast_precision_loss, reason = "no more than 32 bits")]
                set(motion.index, steps as f64 * motion.unit);
            }
        }
        self.fingers.iter_mut().for_each(|finger| finger.went_up = false);
    }

    /// Whether there is motion for another report.
    pub(super) fn has_motion(&self) -> bool {
        self.motion.iter().flatten().any(|motion| motion.next() != 0)
    }

    /// All was let go of.
    pub(super) fn release(&mut self) {
        self.state = State::default();
        self.fingers.iter_mut().for_each(|finger| finger.id = None);
        self.motion.iter_mut().flatten().for_each(|motion| motion.rest = 0);
    }

    fn button(&self, button: u8, down: bool, put: &mut impl FnMut(Option<Index>, f64)) {
        if let Some(side) = TRIGGER_BUTTONS.iter().position(|trigger| *trigger == button) {
            self.trigger(side, put);
            return;
        }
        put(self.buttons.get(usize::from(button)).copied().flatten(), on(down));
        if DPAD.contains(&button) {
            let is_held = |number| on(self.state.buttons.contains(number));
            put(self.dpad[0], is_held(7) - is_held(6));
            put(self.dpad[1], is_held(5) - is_held(4));
        }
    }

    fn axes(&self, axes: Axes, put: &mut impl FnMut(Option<Index>, f64)) {
        let [[lx, ly], [rx, ry]] = [axes.left_stick, axes.right_stick];
        for (stick, value) in self.sticks.into_iter().zip([lx, ly, rx, ry]) {
            put(stick, f64::from(value) / f64::from(i16::MAX));
        }
        (0..2).for_each(|side| self.trigger(side, put));
    }

    /// A trigger that is an axis, a button, or both: then the button is down as soon as the trigger leaves its rest, as
    /// with Sony's pads. Where there is one of them only, either way of the client works it, as with Nintendo's
    /// (`uhid::State`: from half of the way on). A wheel's pedals are no triggers of its buttons.
    fn trigger(&self, side: usize, put: &mut impl FnMut(Option<Index>, f64)) {
        let axes = &self.state.axes;
        let way = part([axes.left_trigger, axes.right_trigger][side]);
        let is_held = self.state.buttons.contains(TRIGGER_BUTTONS[side]);
        let (axis, button) = (self.triggers[side], self.buttons[28 + side]);
        put(axis, if is_held && button.is_none() { 1.0 } else { way });
        let is_pulled = if axis.is_some() { way > 0.0 && !self.pedals[side] } else { way >= 0.5 };
        put(button, on(is_held || is_pulled));
    }

    fn add(&mut self, first: usize, amounts: [i32; 2]) {
        for (motion, amount) in self.motion[first..].iter_mut().zip(amounts) {
            if let Some(motion) = motion {
                motion.add(amount);
            }
        }
    }

    fn touch(&mut self, contact: Contact, put: &mut impl FnMut(Option<Index>, f64)) {
        let is_it = |finger: &Finger| finger.id == Some(contact.id);
        let is_free = |finger: &Finger| finger.id.is_none() && !finger.went_up;
        let place = self.fingers.iter().position(is_it);
        let Some(place) = place.or_else(|| self.fingers.iter().position(is_free)) else { return };
        let finger = &mut self.fingers[place];
        finger.id = Some(contact.id);
        put(Some(finger.down), 1.0);
        put_place(&finger.place, contact.place, put);
        // Half, where it is not known: it does touch.
        let pressure = if contact.pressure == 0 { 0.5 } else { part(contact.pressure) };
        put(finger.pressure, pressure);
    }

    fn pen(&self, before: Pen, pen: Pen, put: &mut impl FnMut(Option<Index>, f64)) {
        let (old, new) = (self.tool(before.tool), self.tool(pen.tool));
        if old != new && self.state.pen_buttons.contains(pen::NEAR) {
            put(old, 0.0);
            put(new, 1.0);
        }
        put_place(&self.pen, pen.place, put);
        put(self.pressure, part(pen.pressure));
        put(self.distance, part(pen.distance));
        for (axis, degrees) in self.tilt.iter().zip(pen.tilt) {
            if let Some(Tilt { index, per_degree: (negative, positive) }) = *axis {
                let per_degree = if degrees < 0 { negative } else { positive };
                put(Some(index), f64::from(degrees) * per_degree);
            }
        }
    }

    /// A tool that the device does not have is its pen.
    fn tool(&self, number: u8) -> Option<Index> {
        self.tools.get(usize::from(number)).copied().flatten().or(self.tools[0])
    }
}

impl Motion {
    fn new(control: &Named<'_>, is_wheel: bool) -> Option<Self> {
        let What::Motion { steps: (least, most), step } = control.what else { return None };
        let steps = (i64::from(least), i64::from(most));
        // What is fine is set in detents all the same.
        let (step, unit) = match (is_wheel, step) {
            (true, 1) => (1, 1.0 / 120.0),
            (true, step) => (i64::from(step), 1.0),
            (false, _) => (1, 1.0),
        };
        Some(Self { index: control.index, steps, step, unit, rest: 0 })
    }

    fn add(&mut self, amount: i32) {
        let (least, most) = self.steps;
        let reports = MOST_REPORTS * self.step;
        self.rest = (self.rest + i64::from(amount)).clamp(least * reports, most * reports);
    }

    /// The steps of the next report.
    fn next(&self) -> i64 {
        (self.rest / self.step).clamp(self.steps.0, self.steps.1)
    }
}

impl Finger {
    fn new<'a>(
        number: u8,
        find: impl Fn(&str) -> Option<&'a Named<'a>>,
        position: impl Fn(&str) -> Option<Position>,
    ) -> Option<Self> {
        let contact = find(&format!("touch{number}"))?;
        let axis = |name| position(&format!("touch{number}_{name}"));
        (contact.what == What::Contact).then(|| Self {
            down: contact.index,
            place: ["x", "y"].map(axis),
            pressure: axis("pressure").map(|pressure| pressure.index),
            id: None,
            went_up: false,
        })
    }
}

impl Tilt {
    /// Units per radian, where the axis says so (Documentation/input/event-codes.rst); or else a quarter of a turn to the
    /// end.
    fn new(index: Index, axis: Axis) -> Self {
        let per_degree = |end: i32| {
            let units = f64::from(end).abs();
            match axis.resolution {
                0 => 1.0 / 90.0,
                resolution => f64::from(resolution).to_radians() / units,
            }
        };
        Self { index, per_degree: (per_degree(axis.min), per_degree(axis.max)) }
    }
}

fn put_place(axes: &[Option<Position>; 2], place: Place, put: &mut impl FnMut(Option<Index>, f64)) {
    for (axis, place) in axes.iter().zip([place.x, place.y]) {
        if let Some(Position { index, lowest }) = *axis {
            put(Some(index), lowest + part(place) * (1.0 - lowest));
        }
    }
}

/// Of the whole way.
fn part(value: u16) -> f64 {
    f64::from(value) / f64::from(u16::MAX)
}

fn on(down: bool) -> f64 {
    f64::from(u8::from(down))
}
