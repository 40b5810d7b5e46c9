//! What only some machines have: both versions of cgroups, or no back-end.

use std::fs;
use std::os::fd::AsFd;

use super::*;
use crate::program::{EXIT, mov_imm};
use crate::sys::bpf;

#[test]
fn without_a_back_end_only_what_nobody_refuses_is_granted() {
    let Some(_alone) = alone() else { return };
    if Cgroup::root().is_err() {
        return;
    }
    let grants = Grants::only(BackEnd::NotNeeded).unwrap();
    let scratch =
        Scratch::below(&Cgroup::root().unwrap(), &format!("hotseat-{}", std::process::id()));
    grants.grant(&scratch.0, PAD, RW).unwrap();
    // As that of a privileged container.
    let allow_all = [mov_imm(0, 1), EXIT];
    let program = bpf::load_device_program(&allow_all, "").unwrap();
    bpf::attach_device_program(scratch.0.as_fd(), program.as_fd()).unwrap();
    grants.grant(&scratch.0, PAD, RW).unwrap();
    scratch.refuse();
    let refused = grants.grant(&scratch.0, PAD, RW);
    assert!(matches!(refused, Err(GrantError::NoBackEnd { .. })), "{refused:?}");
    grants.revoke_all(&scratch.0).unwrap();
}

/// On a machine with both versions; the gate has one.
#[test]
fn where_both_versions_refuse_a_grant_is_in_both_or_in_none() {
    let Some(_alone) = alone() else { return };
    if Cgroup::root().is_err() || Cgroup::devices_root().is_ok_and(|v1| v1.is_none()) {
        return;
    }
    let grants = Grants::choose().unwrap();
    let nodes = Nodes::new();
    let v2 = Scratch::refusing(BackEnd::RootOverride, "both");
    let v1 = Scratch::refusing(BackEnd::CgroupV1, "both");
    let below = Scratch::below(&v1.0, "below");
    let both = Cgroups::new(&v1.0, Some(&v2.0));
    for only_one in [&v1.0, &v2.0] {
        grants.grant(only_one, PAD, RW).unwrap();
        assert!(!nodes.may_use(both, PAD));
        grants.revoke(only_one, PAD).unwrap();
    }
    grants.grant(both, PAD, RW).unwrap();
    assert!(nodes.may_use(both, PAD) && !nodes.may_use(both, OTHER));
    grants.revoke(both, PAD).unwrap();
    assert!(!nodes.may_use(&v1.0, PAD) && !nodes.may_use(&v2.0, PAD));

    // Version 1 cannot have what the cgroup above has not.
    let refused = grants.grant(Cgroups::new(&v2.0, Some(&below.0)), PAD, RW);
    assert!(matches!(refused, Err(GrantError::ParentRefuses { .. })), "{refused:?}");
    assert!(!nodes.may_use(&v2.0, PAD), "rolled back");
    assert_eq!(grants.count().unwrap(), 0);
}

/// A runtime's own rules are told from ours.
#[test]
fn what_the_runtime_allows_in_version_1_is_not_taken_back_with_a_grant() {
    let Some(_alone) = alone() else { return };
    if Cgroup::devices_root().is_ok_and(|v1| v1.is_none()) {
        return;
    }
    let grants = Grants::only(BackEnd::CgroupV1).unwrap();
    let scratch = Scratch::refusing(BackEnd::CgroupV1, "own");
    let list = || fs::read_to_string(scratch.0.path().join("devices.list")).unwrap();
    for rule in ["c 239:300 r", "c 239:301 rwm", "b 8:0 r"] {
        fs::write(scratch.0.path().join("devices.allow"), rule).unwrap();
    }
    let before = list();
    for device in [PAD, OTHER] {
        grants.grant(&scratch.0, device, RW).unwrap();
        assert!(Nodes::new().may_use(&scratch.0, device));
        grants.revoke(&scratch.0, device).unwrap();
    }
    assert_eq!(list(), before);
}
