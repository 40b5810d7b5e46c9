use super::*;
use crate::{Battery, Set};

/// The largest frame: a keyboard with a full log.
fn keyboard(slot: u8) -> Frame {
    let edges = (1..).map(|number| Edge { number, down: true }).take(crate::MAX_EDGES).collect();
    let held: Set = (1..=255).collect();
    Frame { slot, epoch: 1, body: Body::Keyboard { held, log: Log { last: 1000, edges } } }
}

#[test]
fn a_frame_that_does_not_fit_leaves_the_datagram_as_it_was() {
    let mut buffer = [0; MAX_DATAGRAM];
    let mut builder = Builder::new(&mut buffer, 1, 2);
    let mut frames = Vec::new();
    while builder.push(&keyboard(frames.len().try_into().unwrap())) {
        frames.push(keyboard(frames.len().try_into().unwrap()));
    }
    let small = Frame { slot: 63, epoch: 1, body: Body::Battery(Battery::default()) };
    assert!(builder.push(&small));
    frames.push(small);
    let datagram = Datagram::parse(builder.finish()).unwrap();
    assert_eq!(datagram.frames().collect::<Vec<_>>(), frames);
}

#[test]
fn what_is_larger_than_a_datagram_is_refused() {
    let bytes = [1; MAX_DATAGRAM + 1];
    assert_eq!(Datagram::parse(&bytes).unwrap_err(), DecodeError::TooLarge(MAX_DATAGRAM + 1));
}

#[test]
fn every_kind_has_a_number_and_a_place() {
    let mut places = [false; Kind::ALL.len()];
    for kind in Kind::ALL {
        assert_eq!(Kind::from_number(kind as u8), Some(kind));
        places[kind.index()] = true;
    }
    assert!(places.iter().all(|is_taken| *is_taken));
    assert_eq!(Kind::ALL.iter().fold(0, |bits, kind| bits | kind.bit()), Kind::EVERY);
    assert_eq!((Kind::from_number(0), Kind::from_number(10)), (None, None));
}

#[test]
fn there_is_no_key_0() {
    let mut state = crate::State::default();
    assert!(!state.apply(&crate::Change::Key { key: 0, down: true }));
    assert_eq!(state, crate::State::default());
}
