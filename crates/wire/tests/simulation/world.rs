//! A client, a server, and a bad network between them, in virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use hotseat_wire::control::Message;
use hotseat_wire::{Action, Change, ClientCore, Feedback, Kind, MAX_DATAGRAM, ServerCore, State};

/// What the network does to datagrams.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Percent that are lost.
    pub(crate) loss: u32,
    /// Percent that come twice.
    pub(crate) doubled: u32,
    /// How long all of them take at least, in milliseconds.
    pub(crate) delay: u32,
    /// How much longer some take; so they overtake one another.
    pub(crate) jitter: u32,
    /// From, to, and how much longer then: in milliseconds.
    pub(crate) spikes: Vec<(u32, u32, u32)>,
    /// How far the client's clock is ahead, in microseconds.
    pub(crate) skew: u64,
    /// Decides what happens to which datagram.
    pub(crate) seed: u64,
}

impl Network {
    /// One that does nothing but take a millisecond.
    pub(crate) fn perfect() -> Self {
        Self { loss: 0, doubled: 0, delay: 1, jitter: 0, spikes: vec![], skew: 0, seed: 1 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum To {
    Server,
    Client,
}

/// When a datagram arrives, a number that makes the order of equals certain, and where.
type Flight = Reverse<(Duration, u64, To, Vec<u8>)>;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) client: ClientCore,
    pub(crate) server: ServerCore,
    network: Network,
    random: u64,
    flights: BinaryHeap<Flight>,
    sent: u64,
    /// Datagrams of the client that are dropped whatever the network says.
    pub(crate) is_cut: bool,
    pub(crate) devices: BTreeMap<u8, Device>,
    /// What the client heard.
    pub(crate) feedback: Vec<(Duration, u8, Feedback)>,
}

/// What programs see of a device.
#[derive(Debug, Default)]
pub(crate) struct Device {
    pub(crate) state: State,
    /// How often each thing went down, by its kind and number.
    pub(crate) presses: BTreeMap<(Kind, u8), u32>,
    pub(crate) fingers: u32,
    pub(crate) sums: [i64; 4],
    /// What changed since the last report.
    open: Vec<Change>,
    pub(crate) reports: Vec<Vec<Change>>,
}

impl Device {
    pub(crate) fn change(&mut self, change: &Change) {
        match *change {
            Change::Button { button: number, down: true }
            | Change::Key { key: number, down: true }
            | Change::MouseButton { button: number, down: true }
            | Change::PenButton { button: number, down: true }
            | Change::JoystickButton { button: number, down: true }
                if !self.is_held(change.kind(), number) =>
            {
                *self.presses.entry((change.kind(), number)).or_default() += 1;
            }
            Change::Touch(contact) => {
                let is_down = self.state.contacts.iter().any(|other| other.id == contact.id);
                self.fingers += u32::from(!is_down);
            }
            Change::Move { dx, dy } => self.add([dx, dy, 0, 0]),
            Change::Wheel { vertical, horizontal } => self.add([0, 0, vertical, horizontal]),
            _ => {}
        }
        self.state.apply(change);
        self.open.push(*change);
    }

    fn add(&mut self, counts: [i32; 4]) {
        for (sum, count) in self.sums.iter_mut().zip(counts) {
            *sum += i64::from(count);
        }
    }

    fn is_held(&self, kind: Kind, number: u8) -> bool {
        match kind {
            Kind::Gamepad => self.state.buttons.contains(number),
            Kind::Mouse => self.state.mouse_buttons.contains(number),
            Kind::Pen => self.state.pen_buttons.contains(number),
            Kind::Joystick => self.state.joystick_buttons.contains(number),
            _ => self.state.keys.contains(number),
        }
    }
}

impl World {
    /// Both know of the slots.
    pub(crate) fn new(network: Network, slots: &[u8]) -> Self {
        let mut world = Self {
            now: Duration::from_secs(1),
            client: ClientCore::new(Duration::from_millis(4)),
            server: ServerCore::new(),
            random: network.seed | 1,
            network,
            flights: BinaryHeap::new(),
            sent: 0,
            is_cut: false,
            devices: BTreeMap::new(),
            feedback: Vec::new(),
        };
        for slot in slots {
            let epoch = world.server.plug(*slot, Kind::EVERY).unwrap();
            world.client.plugged(*slot, epoch, Kind::EVERY);
            world.devices.insert(*slot, Device::default());
        }
        world
    }

    pub(crate) fn apply(&mut self, slot: u8, change: &Change) {
        self.client.apply(slot, change);
        self.transmit();
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.transmit();
            let flight = self.flights.peek().map(|Reverse(flight)| flight.0);
            let skew = Duration::from_micros(self.network.skew);
            let client = self.client.next_timeout().map(|next| next.saturating_sub(skew));
            let timers = [flight, client, self.server.next_timeout()];
            let Some(next) = timers.into_iter().flatten().min().filter(|next| *next <= end) else {
                break;
            };
            // A timer that is due already fires at the next microsecond at the earliest.
            self.now = next.max(self.now + Duration::from_micros(1));
            self.arrive();
            let actions = self.server.handle_timeout(self.now).to_vec();
            self.act(&actions);
        }
        self.now = self.now.max(end);
    }

    /// Lets time pass as the network is, and then until all has arrived: what is held is said for ever, and the server
    /// may just have let go of it.
    pub(crate) fn settle(&mut self) {
        self.run(Duration::from_millis(300));
        let skew = self.network.skew;
        self.network = Network { skew, ..Network::perfect() };
        let last = self.flights.iter().map(|Reverse(flight)| flight.0).max();
        self.run(last.unwrap_or_default().saturating_sub(self.now));
        self.run(Duration::from_millis(600));
    }

    /// The connection is lost, with all that is under way.
    pub(crate) fn disconnect(&mut self) {
        self.flights.clear();
        let actions = self.server.disconnected().to_vec();
        self.act(&actions);
    }

    /// The client is back.
    pub(crate) fn reconnect(&mut self) {
        self.client.connected();
        for (slot, epoch) in self.server.plugged().collect::<Vec<_>>() {
            self.client.plugged(slot, epoch, Kind::EVERY);
            for message in self.server.resume(self.now, slot) {
                let Message::Feedback(frame) = message else { panic!("{message:?}") };
                self.client.handle_frame(self.client_now(), &frame);
            }
        }
    }

    pub(crate) fn client_now(&self) -> Duration {
        self.now + Duration::from_micros(self.network.skew)
    }

    fn transmit(&mut self) {
        let mut buffer = [0; MAX_DATAGRAM];
        let client_now = self.client_now();
        while let Some(datagram) = self.client.poll_transmit(client_now, &mut buffer) {
            let datagram = datagram.to_vec();
            if !self.is_cut {
                self.send(To::Server, &datagram);
            }
        }
        while let Some(datagram) = self.server.poll_transmit(self.now, &mut buffer) {
            let datagram = datagram.to_vec();
            self.send(To::Client, &datagram);
        }
        while let Some((slot, feedback)) = self.client.poll_feedback(client_now) {
            self.feedback.push((self.now, slot, feedback));
        }
    }

    fn send(&mut self, to: To, datagram: &[u8]) {
        if self.roll(100) < self.network.loss {
            return;
        }
        let copies = if self.roll(100) < self.network.doubled { 2 } else { 1 };
        for _ in 0..copies {
            let mut delay = self.network.delay + self.roll(self.network.jitter + 1);
            let millis = self.now.as_millis();
            for (from, until, longer) in &self.network.spikes {
                if (u128::from(*from)..u128::from(*until)).contains(&millis) {
                    delay += longer;
                }
            }
            let arrival = self.now + Duration::from_millis(delay.into());
            self.sent += 1;
            self.flights.push(Reverse((arrival, self.sent, to, datagram.to_vec())));
        }
    }

    fn arrive(&mut self) {
        while let Some(Reverse(flight)) = self.flights.peek() {
            if flight.0 > self.now {
                break;
            }
            let Some(Reverse((_, _, to, datagram))) = self.flights.pop() else { break };
            match to {
                To::Server => {
                    let actions = self.server.handle(self.now, &datagram).unwrap().to_vec();
                    self.act(&actions);
                }
                To::Client => self.client.handle(self.client_now(), &datagram).unwrap(),
            }
        }
    }

    fn act(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Change { slot, change } => {
                    self.devices.get_mut(slot).unwrap().change(change);
                }
                Action::Sync { slot } => {
                    let device = self.devices.get_mut(slot).unwrap();
                    let report = std::mem::take(&mut device.open);
                    assert!(!report.is_empty(), "a report says something");
                    device.reports.push(report);
                }
            }
        }
        // Nothing is left for a later report.
        assert!(self.devices.values().all(|device| device.open.is_empty()));
    }

    /// A number below `limit` (xorshift64).
    fn roll(&mut self, limit: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        u32::try_from((self.random >> 32) % u64::from(limit)).unwrap()
    }
}
