//! Every back-end against a real kernel: the same rules for all of them. Needs root.

mod scratch;
mod versions;

use std::io::Write;
use std::{env, fs};

use rustix::fs::OFlags;

use super::*;
use crate::access::{Device, DeviceKind};
use scratch::may_make;
pub(super) use scratch::{Nodes, Scratch, alone, each_back_end, soon, start_holder};

/// No driver has these numbers; what may be opened fails with another error than what may not.
pub(super) const PAD: Device = Device::char(239, 300);
const OTHER: Device = Device::char(239, 301);
const RW: Access = Access::READ.or(Access::WRITE);

#[test]
fn exactly_the_granted_accesses_are_allowed() {
    let Some(_alone) = alone() else { return };
    let nodes = Nodes::new();
    each_back_end(|back_end, grants| {
        let scratch = Scratch::refusing(back_end, "letters");
        let cgroup = &scratch.0;
        for letters in ["r", "w", "m", "rw", "rm", "rwm"] {
            grants.grant(cgroup, PAD, letters.parse().unwrap()).unwrap();
            let has = |letter| letters.contains(letter);
            assert_eq!(nodes.may(cgroup, PAD, OFlags::RDONLY), has('r'), "{letters}");
            assert_eq!(nodes.may(cgroup, PAD, OFlags::WRONLY), has('w'), "{letters}");
            assert_eq!(nodes.may_use(cgroup, PAD), has('r') && has('w'), "{letters}");
            assert_eq!(may_make(cgroup, &nodes, PAD), has('m'), "{letters}");
            assert!(!nodes.may(cgroup, OTHER, OFlags::RDONLY), "{letters}: another minor");
        }
        grants.revoke(cgroup, PAD).unwrap();
        assert!(!nodes.may(cgroup, PAD, OFlags::RDONLY));
        assert!(!may_make(cgroup, &nodes, PAD));
    });
}

#[test]
fn any_minor_covers_what_is_plugged_in_later() {
    let Some(_alone) = alone() else { return };
    let nodes = Nodes::new();
    each_back_end(|back_end, grants| {
        let scratch = Scratch::refusing(back_end, "any");
        let cgroup = &scratch.0;
        let any = Devices::any_minor(DeviceKind::Char, PAD.major);
        grants.grant(cgroup, any, RW).unwrap();
        for minor in [0, 255, 256, 300, 0xf_ffff] {
            assert!(nodes.may_use(cgroup, Device::char(PAD.major, minor)), "{minor}");
        }
        assert!(!nodes.may_use(cgroup, Device::char(PAD.major - 1, 0)));
        // One of them is a grant of its own.
        grants.grant(cgroup, PAD, RW).unwrap();
        grants.revoke(cgroup, any).unwrap();
        assert!(nodes.may_use(cgroup, PAD));
        assert!(!nodes.may_use(cgroup, OTHER));
        grants.revoke_all(cgroup).unwrap();
        assert!(!nodes.may_use(cgroup, PAD));
    });
}

#[test]
fn what_is_taken_from_all_nobody_has_and_what_else_they_have_stays() {
    let Some(_alone) = alone() else { return };
    let nodes = Nodes::new();
    each_back_end(|back_end, grants| {
        let one = Scratch::refusing(back_end, "one-of-all");
        let other = Scratch::refusing(back_end, "other-of-all");
        grants.grant(&one.0, PAD, RW).unwrap();
        grants.grant(&one.0, OTHER, RW).unwrap();
        grants.grant(&other.0, PAD, RW).unwrap();
        grants.revoke_from_all(PAD).unwrap();
        assert!(!nodes.may_use(&one.0, PAD) && !nodes.may_use(&other.0, PAD));
        assert!(nodes.may_use(&one.0, OTHER));
        // What is granted anew is, and what nobody has is nobody's to take.
        grants.grant(&other.0, PAD, RW).unwrap();
        assert!(nodes.may_use(&other.0, PAD) && !nodes.may_use(&one.0, PAD));
        grants.revoke_from_all(PAD).unwrap();
        grants.revoke_from_all(PAD).unwrap();
        assert!(!nodes.may_use(&other.0, PAD));
        grants.revoke_all(&one.0).unwrap();
    });
}

#[test]
fn a_grant_is_for_its_cgroup_and_those_below_and_no_other() {
    let Some(_alone) = alone() else { return };
    let nodes = Nodes::new();
    each_back_end(|back_end, grants| {
        // As crun does it: programs on two levels, the lower one inside the container.
        let scratch = Scratch::refusing(back_end, "slice");
        let above = &scratch.0;
        let one = Scratch::below(above, "one");
        let other = Scratch::below(above, "other");
        let below = Scratch::below(&one.0, "container");
        if back_end == BackEnd::CgroupV1 {
            // The parent allows it, or nobody below can have it.
            fs::write(above.path().join("devices.allow"), "c 239:* rw").unwrap();
        } else {
            for scratch in [&one, &other, &below] {
                scratch.refuse();
            }
        }
        grants.grant(&one.0, PAD, RW).unwrap();
        assert!(!nodes.may_use(&other.0, PAD), "a sibling");
        assert!(nodes.may_use(&below.0, PAD) || back_end == BackEnd::InlineWrap);
        grants.revoke_all(&one.0).unwrap();
        assert!(!nodes.may_use(&one.0, PAD));
        assert!(!nodes.may_use(&below.0, PAD));
    });
}

#[test]
fn a_cgroup_made_later_below_has_the_grant_too() {
    let Some(_alone) = alone() else { return };
    let nodes = Nodes::new();
    each_back_end(|back_end, grants| {
        let scratch = Scratch::refusing(back_end, "nested");
        grants.grant(&scratch.0, PAD, RW).unwrap();
        let below = Scratch::below(&scratch.0, "below");
        let deeper = Scratch::below(&below.0, "deeper");
        assert!(nodes.may_use(&deeper.0, PAD));
        grants.revoke(&scratch.0, PAD).unwrap();
        assert!(!nodes.may_use(&deeper.0, PAD));
    });
}

#[test]
fn what_is_behind_a_device_needs_the_word() {
    let Some(_alone) = alone() else { return };
    each_back_end(|back_end, grants| {
        let scratch = Scratch::refusing(back_end, "danger");
        let null = Device::char(1, 3);
        let nodes = Nodes::new();
        let refused = grants.grant(&scratch.0, null, RW).unwrap_err();
        assert!(
            matches!(refused, GrantError::Dangerous { danger: Danger::Memory, .. }),
            "{refused:?}"
        );
        let wrong = grants.grant_despite(Danger::Disk, &scratch.0, null, RW);
        assert!(matches!(wrong, Err(GrantError::Dangerous { .. })), "{wrong:?}");
        assert!(!nodes.may_use(&scratch.0, null));
        grants.grant_despite(Danger::Memory, &scratch.0, null, RW).unwrap();
        assert!(nodes.may_use(&scratch.0, null));
        grants.revoke_all(&scratch.0).unwrap();
    });
}

#[test]
fn nothing_is_granted_to_the_root_or_to_what_is_gone() {
    let Some(_alone) = alone() else { return };
    each_back_end(|back_end, grants| {
        let root = match back_end {
            BackEnd::CgroupV1 => Cgroup::devices_root().unwrap().unwrap(),
            _ => Cgroup::root().unwrap(),
        };
        let refused = grants.grant(&root, PAD, RW);
        assert!(matches!(refused, Err(GrantError::Root { .. })), "{refused:?}");

        let scratch = Scratch::refusing(back_end, "gone");
        grants.grant(&scratch.0, PAD, RW).unwrap();
        fs::remove_dir(scratch.0.path()).unwrap();
        let refused = grants.grant(&scratch.0, OTHER, RW);
        assert!(matches!(refused, Err(GrantError::Path { .. })), "{refused:?}");
        // Nothing to take back is no error: containers end at any time.
        grants.revoke(&scratch.0, PAD).unwrap();
        grants.revoke_all(&scratch.0).unwrap();
    });
}

#[test]
fn what_belonged_to_a_cgroup_that_is_gone_is_collected() {
    let Some(_alone) = alone() else { return };
    for back_end in [BackEnd::RootOverride, BackEnd::CgroupV1] {
        let Ok(grants) = Grants::only(back_end) else { continue };
        let scratch = Scratch::refusing(back_end, "collected");
        grants.grant(&scratch.0, PAD, RW).unwrap();
        grants.grant(&scratch.0, OTHER, RW).unwrap();
        fs::remove_dir(scratch.0.path()).unwrap();
        let next = Scratch::refusing(back_end, "collecting");
        grants.grant(&next.0, PAD, RW).unwrap();
        assert_eq!(grants.count().unwrap(), 1, "{back_end}");
    }
}

#[test]
fn what_somebody_has_taken_is_given_again() {
    let Some(_alone) = alone() else { return };
    let nodes = Nodes::new();
    each_back_end(|back_end, grants| {
        let [scratch, gone] = ["taken", "gone"].map(|name| Scratch::refusing(back_end, name));
        for scratch in [&scratch, &gone] {
            grants.grant(&scratch.0, PAD, RW).unwrap();
        }
        fs::remove_dir(gone.0.path()).unwrap();
        // As a runtime or systemd does it: the rules of the start once more.
        scratch.refuse();
        assert_eq!(nodes.may_use(&scratch.0, PAD), !grants.can_be_lost());
        assert_eq!(grants.reapply().unwrap(), grants.can_be_lost());
        assert!(!grants.reapply().unwrap(), "nothing is missing now");
        assert!(nodes.may_use(&scratch.0, PAD) && !nodes.may_use(&scratch.0, OTHER));
        grants.revoke_all(&gone.0).unwrap();
        grants.revoke(&scratch.0, PAD).unwrap();
        assert!(!nodes.may_use(&scratch.0, PAD));
    });
}

#[test]
fn two_daemons_widen_each_only_what_they_grant() {
    let Some(_alone) = alone() else { return };
    let nodes = Nodes::new();
    each_back_end(|back_end, one| {
        let other = Grants::only(back_end).unwrap();
        let ours = Scratch::refusing(back_end, "ours");
        let theirs = Scratch::refusing(back_end, "theirs");
        one.grant(&ours.0, PAD, RW).unwrap();
        other.grant(&theirs.0, OTHER, RW).unwrap();
        assert!(nodes.may_use(&ours.0, PAD) && !nodes.may_use(&ours.0, OTHER));
        assert!(nodes.may_use(&theirs.0, OTHER) && !nodes.may_use(&theirs.0, PAD));
        let both = other.grant(&ours.0, OTHER, RW);
        if back_end == BackEnd::RootOverride {
            both.unwrap();
            assert!(nodes.may_use(&ours.0, OTHER));
        } else {
            // There it is one daemon that changes what is the container's.
            assert!(matches!(both, Err(GrantError::OtherDaemon { .. })), "{both:?}");
        }
        assert!(nodes.may_use(&ours.0, PAD));
        // Neither its start nor its end takes anything from the other.
        drop(other);
        assert!(nodes.may_use(&ours.0, PAD));
        assert!(!nodes.may_use(&theirs.0, OTHER));
        one.revoke_all(&ours.0).unwrap();
    });
}

/// The process that the next test kills: it grants what it is told, says so, and waits.
#[test]
#[ignore = "started by the test below"]
fn holder() {
    let Ok(arguments) = env::var("HOTSEAT_TEST_HOLDER") else { return };
    let (back_end, path) = arguments.split_once(' ').unwrap();
    let back_end = match back_end {
        "override" => BackEnd::RootOverride,
        "wrap" => BackEnd::InlineWrap,
        _ => BackEnd::CgroupV1,
    };
    let grants = Grants::only(back_end).unwrap();
    grants.grant(&Cgroup::open(path.into()).unwrap(), PAD, RW).unwrap();
    println!("\ngranted");
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn a_killed_daemon_leaves_no_grant() {
    let Some(_alone) = alone() else { return };
    let nodes = Nodes::new();
    each_back_end(|back_end, _| {
        let scratch = Scratch::refusing(back_end, "killed");
        let mut holder = start_holder(back_end, &scratch.0);
        assert!(nodes.may_use(&scratch.0, PAD));
        holder.kill().unwrap();
        holder.wait().unwrap();
        if back_end == BackEnd::CgroupV1 {
            // There nothing ends by itself: the next one takes it back before anything else.
            drop(Grants::only(back_end).unwrap());
        }
        soon(|| !nodes.may_use(&scratch.0, PAD));
    });
}
