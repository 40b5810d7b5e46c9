use super::*;

fn plugged(slot: u8) -> What {
    What::Plugged { slot, profile: "xbox-one".into(), us: 1 }
}

fn slot(next: &Option<Next>) -> u8 {
    match next {
        Some(Next::Event(event, Some(_))) => match event.what {
            What::Plugged { slot, .. } => slot,
            ref other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_watcher_sees_what_happens_from_then_on() {
    let events = Arc::new(Events::new());
    events.publish("alice", plugged(0));
    let mut watcher = events.watch(None);
    events.publish("alice", plugged(1));
    events.publish("alice", plugged(2));
    assert_eq!(slot(&watcher.next().await), 1);
    assert_eq!(slot(&watcher.next().await), 2);
    assert_eq!(watcher.kept(), None);
}

#[tokio::test]
async fn a_watcher_that_was_away_is_told_what_it_missed() {
    let events = Arc::new(Events::new());
    let mut watcher = events.watch(None);
    events.publish("alice", plugged(0));
    let Some(Next::Event(_, Some(last))) = watcher.next().await else { panic!() };
    drop(watcher);
    events.publish("alice", plugged(1));
    events.publish("alice", plugged(2));

    let last: Position = last.to_string().parse().unwrap();
    let mut watcher = events.watch(Some(last));
    assert_eq!(slot(&watcher.next().await), 1);
    assert_eq!(slot(&watcher.next().await), 2);
}

#[tokio::test]
async fn a_watcher_that_was_away_too_long_is_told_so() {
    let events = Arc::new(Events::new());
    let start = events.watch(None).position();
    for _ in 0..=KEPT {
        events.publish("alice", plugged(7));
    }
    let mut watcher = events.watch(Some(start));
    assert!(matches!(watcher.next().await, Some(Next::Missed(_))));
    for _ in 0..KEPT {
        assert_eq!(slot(&watcher.next().await), 7);
    }
    assert_eq!(watcher.kept(), None);
}

#[tokio::test]
async fn a_watcher_of_an_earlier_daemon_is_told_so_and_then_everything() {
    let events = Arc::new(Events::new());
    events.publish("alice", plugged(3));
    let earlier = Position { life: events.life - 1, number: 0 };
    let mut watcher = events.watch(Some(earlier));
    assert!(matches!(watcher.next().await, Some(Next::Missed(Position { number: 0, .. }))));
    assert_eq!(slot(&watcher.next().await), 3);
}

#[tokio::test]
async fn feedback_reaches_who_is_there_and_moves_nobody() {
    let events = Arc::new(Events::new());
    let rumble = Feedback::Rumble { strong: 1.0, weak: 0.0 };
    events.feedback("alice", 0, rumble.clone());
    let mut watcher = events.watch(None);
    for _ in 0..2 * FEEDBACK {
        events.feedback("alice", 0, rumble.clone());
    }
    events.publish("alice", plugged(0));
    assert_eq!(slot(&watcher.next().await), 0, "no feedback delays it");
    let before = watcher.position();
    let Some(Next::Event(event, None)) = watcher.next().await else { panic!() };
    assert_eq!(event.what, What::Feedback { slot: 0, feedback: rumble });
    assert_eq!(watcher.position(), before);
}

#[tokio::test]
async fn at_the_end_watchers_see_the_rest_and_are_let_go() {
    let events = Arc::new(Events::new());
    let mut watcher = events.watch(None);
    events.publish("alice", plugged(0));
    events.end();
    assert_eq!(slot(&watcher.next().await), 0);
    assert_eq!(watcher.next().await, None);
}

#[test]
fn an_event_is_flat_json_that_can_be_read_back() {
    let event = Event { time_ms: 5, session: "alice".into(), what: plugged(1) };
    let json = serde_json::to_value(&event).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "time_ms": 5, "session": "alice", "event": "plugged", "slot": 1, "profile": "xbox-one", "us": 1
        })
    );
    assert_eq!(json["event"], event.what.name());
    assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
}

#[test]
fn an_id_is_a_life_and_a_number() {
    for text in ["", "7", "x-1", "1-x", "1-", "-1", "1-2-3"] {
        assert!(text.parse::<Position>().is_err(), "{text}");
    }
    let position = Position { life: 0x1f, number: 12 };
    assert_eq!(position.to_string(), "1f-12");
    assert_eq!("1f-12".parse(), Ok(position));
}
