use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn start() -> Instant {
    Instant::now()
}

/// A plan with a container.
fn open() -> Plan<&'static str> {
    let mut plan = Plan::new();
    plan.opened();
    plan
}

/// Carries out the next action, which must be a plug, and returns its slot and what was plugged.
fn plug(plan: &mut Plan<&'static str>, outcome: Outcome, now: Instant) -> (u8, &'static str) {
    let Some(Action::Plug { slot, wanted, .. }) = plan.next(now) else { panic!("{plan:?}") };
    assert_eq!(plan.next(now), None, "one action at a time");
    plan.plugged(outcome, now);
    (slot, wanted)
}

fn unplug(plan: &mut Plan<&'static str>) -> u8 {
    let Some(Action::Unplug { slot }) = plan.next(start()) else { panic!("{plan:?}") };
    assert_eq!(plan.next(start()), None, "one action at a time");
    plan.unplugged();
    slot
}

#[test]
fn what_is_wanted_is_plugged_in_the_order_of_its_declaration() {
    let mut plan = open();
    plan.want(3, "pad", None);
    plan.want(1, "mouse", None);
    assert_eq!(plug(&mut plan, Outcome::Plugged, start()), (3, "pad"));
    assert_eq!(plug(&mut plan, Outcome::Plugged, start()), (1, "mouse"));
    assert_eq!(plan.next(start()), None);
    assert_eq!(plan.condition(3), Condition::Plugged);
}

#[test]
fn a_declaration_that_says_the_same_again_is_the_same() {
    let mut plan = open();
    let first = plan.want(0, "pad", None);
    assert_eq!(plan.want(0, "pad", None), first);
    plug(&mut plan, Outcome::Plugged, start());
    assert_eq!(plan.want(0, "pad", None), first);
    assert_eq!(plan.next(start()), None);
    assert_eq!(plan.verdict(0, first), Some(Verdict::Plugged));
}

#[test]
fn a_plug_and_an_unplug_that_nobody_has_begun_cancel_each_other_out() {
    let mut plan = open();
    let number = plan.want(0, "pad", None);
    assert!(plan.unwant(0));
    assert_eq!(plan.next(start()), None);
    assert_eq!(plan.verdict(0, number), Some(Verdict::Withdrawn));
    assert!(!plan.unwant(0), "there is nothing any more");

    let number = plan.want(0, "pad", None);
    plug(&mut plan, Outcome::Plugged, start());
    plan.unwant(0);
    assert_ne!(plan.want(0, "pad", None), number, "it was to go, so it is a new one");
}

#[test]
fn another_profile_in_a_slot_is_an_unplug_and_a_plug() {
    let mut plan = open();
    plan.want(0, "pad", None);
    plug(&mut plan, Outcome::Plugged, start());
    plan.want(0, "mouse", None);
    assert_eq!(plan.condition(0), Condition::Changing);
    assert_eq!(unplug(&mut plan), 0);
    assert_eq!(plug(&mut plan, Outcome::Plugged, start()), (0, "mouse"));
}

#[test]
fn what_is_withdrawn_while_it_is_plugged_is_unplugged_after() {
    let mut plan = open();
    plan.want(0, "pad", None);
    let Some(Action::Plug { number, .. }) = plan.next(start()) else { panic!() };
    assert!(plan.unwant(0));
    assert!(plan.unwant(0), "it is still being plugged");
    plan.plugged(Outcome::Plugged, start());
    assert_eq!(plan.verdict(0, number), Some(Verdict::Withdrawn));
    assert_eq!(unplug(&mut plan), 0);
    assert_eq!(plan.condition(0), Condition::Empty);
}

#[test]
fn a_passing_failure_is_tried_again_with_growing_waits_and_then_no_more() {
    let mut plan = open();
    let number = plan.want(0, "pad", None);
    let mut now = start();
    let mut waits = Vec::new();
    while plan.verdict(0, number).is_none() {
        plug(&mut plan, Outcome::Passing, now);
        if let Some(timeout) = plan.timeout() {
            assert_eq!(plan.next(timeout - Duration::from_nanos(1)), None);
            waits.push((timeout - now).as_millis());
            now = timeout;
        }
    }
    assert_eq!(waits, [100, 400, 1600]);
    assert_eq!(plan.verdict(0, number), Some(Verdict::Failed));
    assert_eq!((plan.next(now), plan.timeout()), (None, None));
    // Whoever asks again is served again.
    assert_ne!(plan.want(0, "pad", None), number);
    plug(&mut plan, Outcome::Plugged, now);
}

#[test]
fn a_failed_device_holds_no_other_up() {
    let mut plan = open();
    plan.want(0, "pad", None);
    plan.want(1, "mouse", None);
    assert_eq!(plug(&mut plan, Outcome::Passing, start()).0, 0);
    assert_eq!(plug(&mut plan, Outcome::Plugged, start()).0, 1);
}

#[test]
fn devices_come_back_with_the_next_container() {
    let mut plan = open();
    plan.want(0, "pad", None);
    let broken = plan.want(1, "broken", None);
    plug(&mut plan, Outcome::Plugged, start());
    plug(&mut plan, Outcome::Final, start());
    assert_eq!(plan.verdict(1, broken), Some(Verdict::Failed));
    plan.closed();
    assert_eq!(plan.condition(0), Condition::Waiting);
    assert_eq!((plan.next(start()), plan.timeout()), (None, None));
    plan.opened();
    assert_eq!(plug(&mut plan, Outcome::Plugged, start()), (0, "pad"));
    assert_eq!(plug(&mut plan, Outcome::Plugged, start()), (1, "broken"));
}

#[test]
fn what_a_client_declared_outlives_it_for_the_grace_time() {
    let (client, now) = (ClientId(1), start());
    let until = now + Duration::from_secs(15);
    let mut plan = open();
    let pad = plan.want(0, "pad", Some(client));
    plan.want(1, "mouse", None);
    plan.want(1, "mouse", Some(client));
    plug(&mut plan, Outcome::Plugged, now);
    plug(&mut plan, Outcome::Plugged, now);
    plan.client_lost(client, until);
    assert_eq!((plan.next(now), plan.timeout()), (None, Some(until)));
    // The next client is another, and finds the same device.
    let back = ClientId(2);
    assert_eq!(plan.want(0, "pad", Some(back)), pad);
    assert_eq!(plan.timeout(), None);
    plan.client_lost(back, until);
    assert_eq!(plan.expire(until - Duration::from_nanos(1)), Vec::<u8>::new());
    assert_eq!(plan.expire(until), [0]);
    assert_eq!(unplug(&mut plan), 0);
    assert_eq!(plan.condition(1), Condition::Plugged, "it was declared for good");
    assert!(plan.is_settled());
}

/// What may happen to a session.
#[derive(Debug, Clone)]
enum Step {
    Want(u8, u8, Option<ClientId>),
    Unwant(u8),
    Lose(ClientId),
    Open,
    Close,
    Begin,
    End(Outcome),
    Wait(u16),
}

/// A history. It is made of one number, because a hundred thousand lists of a strategy's own take minutes to draw; the
/// length shrinks by itself.
fn steps(seed: u64, length: usize) -> Vec<Step> {
    let mut state = seed;
    // SplitMix64 (Steele, Lea, Flood 2014).
    let mut draw = move |below: u8| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u8::try_from((mixed ^ (mixed >> 31)) % u64::from(below)).unwrap()
    };
    let outcomes = [Outcome::Plugged, Outcome::Plugged, Outcome::Passing, Outcome::Final];
    let mut step = || match draw(24) {
        0..4 => Step::Want(draw(3), draw(2), [None, Some(ClientId(0))][usize::from(draw(2))]),
        4 => Step::Want(draw(3), draw(2), Some(ClientId(draw(2).into()))),
        5..8 => Step::Unwant(draw(3)),
        8 => Step::Open,
        9 => Step::Close,
        10..16 => Step::Begin,
        16..22 => Step::End(outcomes[usize::from(draw(4))]),
        22 => Step::Lose(ClientId(draw(2).into())),
        _ => Step::Wait(u16::from(draw(250)) * 2),
    };
    (0..length).map(|_| step()).collect()
}

/// A session as its container would see it: slots with what is plugged in them.
struct World {
    plan: Plan<u8>,
    now: Instant,
    is_open: bool,
    plugged: BTreeMap<u8, u8>,
    under_way: Option<Action<u8>>,
    wanted: BTreeMap<u8, (u8, Owner)>,
}

/// The grace time of these sessions.
const GRACE: Duration = Duration::from_millis(300);

impl World {
    fn new() -> Self {
        Self {
            plan: Plan::new(),
            now: start(),
            is_open: false,
            plugged: BTreeMap::new(),
            under_way: None,
            wanted: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Want(slot, what, client) => {
                self.plan.want(slot, what, client);
                let owner = match self.wanted.get(&slot) {
                    Some(&(same, Owner::Nobody)) if same == what => Owner::Nobody,
                    _ => client.map_or(Owner::Nobody, Owner::Client),
                };
                self.wanted.insert(slot, (what, owner));
            }
            Step::Lose(client) => {
                let until = self.now + GRACE;
                self.plan.client_lost(client, until);
                for (_, owner) in self.wanted.values_mut() {
                    if *owner == Owner::Client(client) {
                        *owner = Owner::Grace(until);
                    }
                }
            }
            Step::Unwant(slot) => {
                self.plan.unwant(slot);
                self.wanted.remove(&slot);
            }
            Step::Open if self.under_way.is_none() => {
                self.plan.opened();
                self.is_open = true;
            }
            Step::Close if self.under_way.is_none() => {
                self.plan.closed();
                self.is_open = false;
                self.plugged.clear();
            }
            Step::Open | Step::Close => {}
            Step::Begin => self.begin(),
            Step::End(outcome) => self.end(outcome),
            Step::Wait(milliseconds) => self.now += Duration::from_millis(milliseconds.into()),
        }
    }

    fn begin(&mut self) {
        let now = self.now;
        let is_over = |owner: &Owner| matches!(owner, Owner::Grace(until) if *until <= now);
        let over: Vec<u8> = self
            .wanted
            .iter()
            .filter(|(_, (_, owner))| is_over(owner))
            .map(|(&slot, _)| slot)
            .collect();
        assert_eq!(self.plan.expire(now), over);
        self.wanted.retain(|slot, _| !over.contains(slot));
        let Some(action) = self.plan.next(self.now) else { return };
        assert!(self.under_way.is_none(), "one action at a time");
        match &action {
            Action::Plug { slot, wanted, .. } => {
                assert!(self.is_open, "there is a container");
                assert!(!self.plugged.contains_key(slot), "the slot is empty");
                let declared = self.wanted.get(slot).map(|(what, _)| what);
                assert_eq!(declared, Some(wanted), "it is wanted now");
            }
            Action::Unplug { slot } => assert!(self.plugged.contains_key(slot), "there is one"),
        }
        self.under_way = Some(action);
    }

    fn end(&mut self, outcome: Outcome) {
        match self.under_way.take() {
            Some(Action::Plug { slot, wanted, .. }) => {
                if outcome == Outcome::Plugged {
                    self.plugged.insert(slot, wanted);
                }
                self.plan.plugged(outcome, self.now);
            }
            Some(Action::Unplug { slot }) => {
                self.plugged.remove(&slot);
                self.plan.unplugged();
            }
            None => {}
        }
    }

    /// Lets everything go well until there is nothing left to do.
    fn settle(&mut self) {
        for _ in 0..100 {
            self.end(Outcome::Plugged);
            self.begin();
            if self.under_way.is_none() {
                match self.plan.timeout() {
                    Some(timeout) => self.now = timeout,
                    None => return,
                }
            }
        }
        panic!("it never ends: {:?}", self.plan);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100_000))]

    /// Whatever happens in whatever order: never two actions at once, none that is impossible or no longer wanted, and in
    /// the end the container has exactly what is wanted and can be had.
    #[test]
    fn in_the_end_there_is_what_is_wanted(seed: u64, length in 0..60_usize) {
        let mut world = World::new();
        for step in &steps(seed, length) {
            world.step(step);
        }
        world.settle();
        for slot in 0..3 {
            let wanted = world.wanted.get(&slot).map(|(what, _)| what);
            prop_assert_eq!(world.plan.wants(slot), wanted);
            let expected = match world.plan.condition(slot) {
                Condition::Plugged => wanted,
                Condition::Failed | Condition::Waiting | Condition::Empty => None,
                Condition::Changing => panic!("slot {slot} is not settled"),
            };
            prop_assert_eq!(world.plugged.get(&slot), expected);
            let may_be_without = wanted.is_none() || !world.is_open
                || world.plan.condition(slot) == Condition::Failed;
            prop_assert!(expected.is_some() || may_be_without);
        }
    }
}
