use super::*;

const BOOT: &str = "one";

struct Place {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/journal.jsonl");
        Self { _directory: directory, path }
    }

    fn with(text: &[u8]) -> Self {
        let place = Self::new();
        fs::create_dir_all(place.path.parent().unwrap()).unwrap();
        fs::write(&place.path, text).unwrap();
        place
    }

    fn start(&self) -> Journal {
        Journal::go_on(&self.path, &self.read()).unwrap()
    }

    fn read(&self) -> Earlier {
        read_in(&self.path, BOOT).unwrap()
    }

    fn goal(&self, session: &str) -> Option<Goal> {
        self.read().sessions().get(session)?.goal()
    }

    /// The names of the files beside the journal.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path.parent().unwrap()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }
}

fn known(profile: &str) -> Known {
    Known { profile: profile.to_owned(), name: None }
}

fn attached(pid: u32) -> Attached {
    Attached {
        reference: format!("pid:{pid}"),
        pid,
        start_time: 7,
        cgroup: "/sys/fs/cgroup/game".into(),
        cgroup_id: 99,
        shares_cgroup: false,
        made: vec!["/dev/input".to_owned()],
    }
}

impl Journal {
    fn add(&self, session: &str) {
        self.intend(session, Intent::Add { grace_ms: None }).unwrap();
        self.end(session, Operation::Add, End::Done).unwrap();
    }

    fn attach(&self, session: &str, pid: u32) {
        self.intend(session, Intent::Attach(attached(pid))).unwrap();
        self.end(session, Operation::Attach, End::Done).unwrap();
    }

    fn plug(&self, session: &str, slot: u8, profile: &str) {
        self.intend(session, Intent::Plug(slot, known(profile))).unwrap();
        self.end(session, Operation::Plug, End::Done).unwrap();
    }

    fn leave(&self, session: &str) {
        self.intend(session, Intent::Leave).unwrap();
        self.end(session, Operation::Leave, End::Done).unwrap();
    }
}

/// A session `s` in container 1 with a pad and a mouse.
fn playing(place: &Place) -> (Journal, Goal) {
    let journal = place.start();
    journal.add("s");
    journal.attach("s", 1);
    journal.plug("s", 0, "xbox-one");
    journal.plug("s", 1, "mouse");
    let slots = [(0, known("xbox-one")), (1, known("mouse"))].into();
    (journal, Goal { container: Some(attached(1)), slots, ..Goal::default() })
}

#[test]
fn what_was_promised_is_read_again() {
    let place = Place::new();
    let (journal, goal) = playing(&place);
    assert_eq!(place.goal("s"), Some(goal.clone()));
    assert!(place.read().interrupted().is_empty());

    // A daemon that goes on from it, and is killed before it does anything, loses nothing.
    drop(journal);
    drop(place.start());
    assert_eq!(place.goal("s"), Some(goal.clone()));

    let journal = place.start();
    journal.withdrawn("s", 0).unwrap();
    assert_eq!(place.goal("s").unwrap().slots.len(), 1, "an unplug that is asked for is to be");
    journal.intend("s", Intent::Unplug(0)).unwrap();
    journal.end("s", Operation::Unplug, End::Done).unwrap();
    journal.intend("s", Intent::Remove).unwrap();
    assert_eq!(place.goal("s"), None);
    assert_eq!(place.read().interrupted(), ["remove in session `s`"]);
    journal.removed("s").unwrap();
    assert!(place.read().sessions().is_empty());
}

#[test]
fn a_sessions_rules_outlive_its_daemon_a_move_and_a_reboot() {
    let place = Place::new();
    let (journal, goal) = playing(&place);
    let rules: BTreeMap<_, _> = [(3, Rule { major: Some(166), ..Rule::default() })].into();
    journal.rules("s", rules.clone(), true).unwrap();
    let goal = Goal { rules: rules.clone(), ..goal };
    assert_eq!(place.goal("s"), Some(goal.clone()));
    journal.intend("s", Intent::Move).unwrap();
    journal.leave("s");
    assert_eq!(place.goal("s"), Some(goal), "as it was before the move");
    let rebooted = read_in(&place.path, "two").unwrap();
    assert_eq!(rebooted.sessions()["s"].goal().unwrap().rules, rules);
    journal.end("s", Operation::Move, End::Done).unwrap();
    journal.rules("s", BTreeMap::new(), false).unwrap();
    assert!(place.goal("s").unwrap().rules.is_empty());
}

#[test]
fn what_was_only_begun_is_not_to_be() {
    let place = Place::new();
    let (journal, goal) = playing(&place);
    journal.intend("s", Intent::Plug(2, known("keyboard"))).unwrap();
    assert_eq!(place.goal("s"), Some(goal.clone()));
    assert_eq!(place.read().interrupted(), ["plug of slot 2 in session `s`"]);
    journal.end("s", Operation::Plug, End::RolledBack).unwrap();
    assert_eq!(place.goal("s"), Some(goal));

    // A session is there when its container is.
    journal.intend("t", Intent::Add { grace_ms: None }).unwrap();
    journal.intend("t", Intent::Attach(attached(2))).unwrap();
    journal.end("t", Operation::Attach, End::Done).unwrap();
    assert_eq!(place.goal("t"), None);
    let earlier = place.read();
    assert_eq!(earlier.sessions()["t"].touched(), [attached(2)]);
    journal.end("t", Operation::Add, End::Done).unwrap();
    assert_eq!(place.goal("t").unwrap().container, Some(attached(2)));
}

#[test]
fn what_is_declared_is_to_be_whatever_becomes_of_it() {
    let place = Place::new();
    let (journal, goal) = playing(&place);
    let slots = |place: &Place| place.goal("s").unwrap().slots;
    journal.declared("s", 0, known("keyboard"), true).unwrap();
    assert_eq!(place.goal("s").unwrap().clients, [0].into());
    // What it takes the place of is unplugged; it may fail.
    journal.intend("s", Intent::Unplug(0)).unwrap();
    assert_eq!(slots(&place)[&0], known("keyboard"));
    journal.end("s", Operation::Unplug, End::Done).unwrap();
    journal.intend("s", Intent::Plug(0, known("keyboard"))).unwrap();
    journal.end("s", Operation::Plug, End::RolledBack).unwrap();
    assert_eq!(slots(&place)[&0], known("keyboard"));
    journal.declared("s", 0, known("xbox-one"), false).unwrap();
    assert_eq!(place.goal("s"), Some(goal));
    journal.withdrawn("s", 0).unwrap();
    assert_eq!(slots(&place).keys().collect::<Vec<_>>(), [&1]);
}

#[test]
fn what_is_said_while_a_plug_is_under_way_is_what_counts() {
    let place = Place::new();
    let (journal, goal) = playing(&place);
    for slot in [0, 2] {
        journal.withdrawn("s", slot).unwrap();
        journal.intend("s", Intent::Plug(slot, known("mouse"))).unwrap();
        journal.withdrawn("s", slot).unwrap();
        journal.end("s", Operation::Plug, End::Done).unwrap();
        assert!(!place.goal("s").unwrap().slots.contains_key(&slot), "{slot}");
    }
    journal.intend("s", Intent::Plug(0, known("mouse"))).unwrap();
    journal.declared("s", 0, known("xbox-one"), false).unwrap();
    journal.end("s", Operation::Plug, End::Done).unwrap();
    assert_eq!(place.goal("s"), Some(goal));
}

#[test]
fn a_container_that_could_not_be_cleaned_is_remembered() {
    let place = Place::new();
    let (journal, _) = playing(&place);
    journal.intend("s", Intent::Leave).unwrap();
    journal.end("s", Operation::Leave, End::Incomplete).unwrap();
    journal.attach("s", 2);
    journal.leave("s");
    assert_eq!(place.read().sessions()["s"].touched(), [attached(1)]);
}

#[test]
fn a_plug_may_begin_before_its_session_counts_as_added() {
    let place = Place::new();
    let journal = place.start();
    journal.intend("s", Intent::Add { grace_ms: Some(5) }).unwrap();
    journal.intend("s", Intent::Plug(0, known("mouse"))).unwrap();
    journal.end("s", Operation::Add, End::Done).unwrap();
    journal.end("s", Operation::Plug, End::Done).unwrap();
    let goal = place.goal("s").unwrap();
    assert_eq!((goal.grace_ms, &goal.slots[&0]), (Some(5), &known("mouse")));
}

#[test]
fn devices_wait_when_their_container_has_been_left() {
    let place = Place::new();
    let (journal, goal) = playing(&place);
    journal.intend("s", Intent::Leave).unwrap();
    let left = Goal { container: None, ..goal };
    assert_eq!(place.goal("s"), Some(left.clone()));
    assert_eq!(place.read().sessions()["s"].touched(), [attached(1)], "it may have traces");
    journal.end("s", Operation::Leave, End::Done).unwrap();
    assert_eq!(place.goal("s"), Some(left));
    assert!(place.read().sessions()["s"].touched().is_empty());
    journal.withdrawn("s", 1).unwrap();
    assert_eq!(place.goal("s").unwrap().slots.len(), 1);
}

#[test]
fn a_move_counts_when_it_is_over() {
    let place = Place::new();
    let (journal, goal) = playing(&place);
    journal.intend("s", Intent::Move).unwrap();
    journal.leave("s");
    journal.attach("s", 2);
    journal.intend("s", Intent::Plug(0, known("xbox-one"))).unwrap();
    let earlier = place.read();
    let kept = &earlier.sessions()["s"];
    assert_eq!(kept.goal(), Some(goal.clone()), "back where it was");
    assert_eq!(kept.touched(), [attached(2)]);
    assert_eq!(earlier.interrupted(), ["move, plug of slot 0 in session `s`"]);
    journal.end("s", Operation::Plug, End::Done).unwrap();
    journal.end("s", Operation::Move, End::Done).unwrap();
    assert_eq!(place.goal("s"), Some(Goal { container: Some(attached(2)), ..goal }));
}

#[test]
fn an_attach_that_was_undone_leaves_nothing() {
    let place = Place::new();
    let journal = place.start();
    journal.add("s");
    journal.intend("s", Intent::Attach(attached(1))).unwrap();
    assert_eq!(place.read().sessions()["s"].touched(), [attached(1)]);
    journal.end("s", Operation::Attach, End::RolledBack).unwrap();
    assert_eq!(place.goal("s"), Some(Goal::default()));
    assert!(place.read().sessions()["s"].touched().is_empty());
}

#[test]
fn directories_that_an_earlier_daemon_made_are_remembered() {
    let place = Place::new();
    let (journal, _) = playing(&place);
    drop(journal);
    let journal = place.start();
    let reference = "pid:1".parse().unwrap();
    let again = |identity| journal.attached("s", &reference, &identity, ["/run/udev".to_owned()]);
    assert_eq!(again(attached(1).identity()).made, ["/dev/input", "/run/udev"]);
    let another = Identity { start_time: 8, ..attached(1).identity() };
    assert_eq!(again(another).made, ["/run/udev"]);
}

#[test]
fn a_step_that_panicked_is_no_longer_under_way() {
    let place = Place::new();
    let (journal, goal) = playing(&place);
    journal.intend("s", Intent::Move).unwrap();
    journal.lost("s").unwrap();
    assert!(place.read().interrupted().is_empty());
    assert_eq!(place.goal("s"), Some(goal));
}

#[test]
fn it_stays_small_and_loses_nothing() {
    let place = Place::new();
    let (journal, goal) = playing(&place);
    journal.intend("t", Intent::Add { grace_ms: None }).unwrap();
    for _ in 0..2000 {
        journal.intend("s", Intent::Plug(7, known("xbox-one"))).unwrap();
        journal.end("s", Operation::Plug, End::RolledBack).unwrap();
    }
    let length = fs::metadata(&place.path).unwrap().len();
    assert!(length < 80 * 1024, "{length}");
    assert_eq!(place.goal("s"), Some(goal));
    assert_eq!(place.read().interrupted(), ["add in session `t`"]);
    assert_eq!(place.files(), ["journal.jsonl"]);
}

#[test]
fn after_a_reboot_sessions_have_no_containers() {
    let place = Place::new();
    let (journal, goal) = playing(&place);
    journal.intend("half", Intent::Add { grace_ms: None }).unwrap();
    let earlier = read_in(&place.path, "two").unwrap();
    assert!(earlier.is_of_another_boot());
    let sessions = earlier.sessions();
    assert_eq!(sessions.keys().collect::<Vec<_>>(), ["s"]);
    assert_eq!(sessions["s"].goal(), Some(Goal { container: None, ..goal }));
    assert!(sessions["s"].touched().is_empty());
    // Which is then what is known in this boot.
    drop(Journal::go_on(&place.path, &earlier).unwrap());
    let earlier = read_in(&place.path, "two").unwrap();
    assert!(!earlier.is_of_another_boot());
    assert!(earlier.sessions()["s"].goal().unwrap().container.is_none());
}

#[test]
fn version_1_is_read() {
    let text = concat!(
        r#"{"v":1,"operation":"plug","session":"alice","slot":0}"#,
        "\n",
        r#"{"v":1,"operation":"plug","session":"alice","slot":0,"end":"done"}"#,
        "\n",
        r#"{"v":1,"operation":"plug","session":"alice","slot":1}"#,
        "\n",
        r#"{"v":1,"operation":"plug","session":"alice","slot":1,"end":"rolled-back"}"#,
        "\ngarbage\n",
        r#"{"v":1,"operation":"unplug","session":"alice","slot":0}"#,
        "\n",
        r#"{"v":1,"oper"#,
    );
    let place = Place::with(text.as_bytes());
    let earlier = place.read();
    assert_eq!(earlier.interrupted(), ["unplug of slot 0 in session `alice`"]);
    assert!(earlier.sessions().is_empty() && earlier.corrupt().is_none());
    drop(Journal::go_on(&place.path, &earlier).unwrap());
    assert!(fs::read_to_string(&place.path).unwrap().starts_with("hotseat-journal 3\n"));
    assert!(place.read().interrupted().is_empty(), "told once");
}

#[test]
fn version_2_is_read_and_written_anew() {
    let place = Place::new();
    let (journal, goal) = playing(&place);
    drop(journal);
    let text = fs::read_to_string(&place.path).unwrap();
    let older =
        text.replacen("hotseat-journal 3\n", "hotseat-journal 2\n", 1).replace(",\"rules\":{}", "");
    assert_ne!(older, text);
    let place = Place::with(older.as_bytes());
    let earlier = place.read();
    assert!(earlier.corrupt().is_none());
    assert_eq!(earlier.sessions()["s"].goal(), Some(goal));
    drop(Journal::go_on(&place.path, &earlier).unwrap());
    assert!(fs::read_to_string(&place.path).unwrap().starts_with("hotseat-journal 3\n"));
}

#[test]
fn a_newer_version_is_refused_and_left_as_it_is() {
    let text = "hotseat-journal 4\nwhatever it says\n";
    let place = Place::with(text.as_bytes());
    let error = read_in(&place.path, BOOT).unwrap_err();
    assert!(matches!(error, JournalError::Newer { version: 4, .. }), "{error}");
    assert!(error.to_string().contains("version 4"), "{error}");
    assert_eq!(fs::read_to_string(&place.path).unwrap(), text);
    assert_eq!(place.files(), ["journal.jsonl"]);
}

#[test]
fn every_cut_is_the_journal_of_an_earlier_moment() {
    let place = Place::new();
    let (journal, _) = playing(&place);
    journal.intend("s", Intent::Leave).unwrap();
    let whole = fs::read(&place.path).unwrap();
    for length in 0..whole.len() {
        let cut = Place::with(&whole[..length]);
        let earlier = cut.read();
        assert!(earlier.corrupt().is_none(), "a killed writer leaves a beginning: {length}");
        // Each takes the disk some milliseconds.
        if length % 50 == 0 {
            let journal = Journal::go_on(&cut.path, &earlier).unwrap();
            journal.add("t");
            assert!(cut.goal("t").is_some());
        }
    }
}

#[test]
fn what_makes_no_sense_is_set_aside_and_the_last_of_it_kept() {
    let place = Place::new();
    let (journal, _) = playing(&place);
    drop(journal);
    let whole = fs::read(&place.path).unwrap();
    let newlines: Vec<_> = (0..whole.len()).filter(|&at| whole[at] == b'\n').collect();
    let mut wrong_checksum = whole.clone();
    wrong_checksum[newlines[1] + 1] ^= 1;
    let mut flipped = whole.clone();
    flipped[newlines[2] + 20] ^= 4;
    // As if a block had not been written.
    let mut hole = whole.clone();
    hole[newlines[1] + 5..newlines[3] + 5].fill(0);
    // Two halves of lines joined.
    let joined = [&whole[..newlines[2] + 10], &whole[newlines[3] + 20..]].concat();
    let other_head = [b"hotseat-journal two\n", &whole[..]].concat();
    let wrong =
        [b"garbage\n".to_vec(), vec![0; 100], wrong_checksum, flipped, hole, joined, other_head];
    for (number, bytes) in wrong.iter().enumerate() {
        fs::write(&place.path, bytes).unwrap();
        let earlier = place.read();
        assert!(earlier.corrupt().is_some(), "{number}");
        assert!(earlier.sessions().is_empty());
        let journal = Journal::go_on(&place.path, &earlier).unwrap();
        let aside = format!("journal.jsonl.corrupt-{}", number + 1);
        assert_eq!(place.files(), ["journal.jsonl", &aside]);
        assert_eq!(&fs::read(place.path.with_file_name(aside)).unwrap(), bytes);
        journal.add("s");
        assert_eq!(place.goal("s"), Some(Goal::default()));
    }
}

#[test]
fn what_could_not_be_written_is_written_later() {
    let place = Place::new();
    let (journal, goal) = playing(&place);
    // A directory in the place of the new file, and no file to add to.
    journal.inner().writer.give_up();
    fs::create_dir(place.path.with_extension("new")).unwrap();
    let refused = journal.intend("s", Intent::Plug(2, known("keyboard")));
    assert!(matches!(refused, Err(JournalError::Write { .. })));
    journal.withdrawn("s", 1).unwrap_err();
    journal.end("s", Operation::Unplug, End::Done).unwrap_err();
    assert_eq!(place.goal("s"), Some(goal), "the file is behind");

    fs::remove_dir(place.path.with_extension("new")).unwrap();
    journal.plug("s", 3, "mouse");
    let slots = place.goal("s").unwrap().slots;
    assert_eq!(slots.keys().collect::<Vec<_>>(), [&0, &3]);
    assert!(place.read().interrupted().is_empty());
}
