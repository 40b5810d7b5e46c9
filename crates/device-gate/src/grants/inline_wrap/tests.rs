//! What the wrap does to others' programs. Needs root.

use std::os::fd::{AsFd, OwnedFd};

use super::*;
use crate::access::DeviceKind;
use crate::grants::BackEnd;
use crate::grants::tests::{Nodes, PAD, Scratch, alone, soon, start_holder};
use crate::program::{EXIT, Insn, RawRule, call, mov_imm, policy_program};
use crate::sys::bpf;

const RW: Access = Access::READ.or(Access::WRITE);
const ELSE: RawRule = (DeviceKind::Char, Some(1), Some(3), RW);

fn start() -> InlineWrap {
    bpf::allow_locked_memory();
    InlineWrap::start(&Cgroup::root().unwrap(), 16).unwrap()
}

fn scratch(name: &str) -> Scratch {
    let name = format!("hotseat-test-{}-{name}", std::process::id());
    Scratch::below(&Cgroup::root().unwrap(), &name)
}

/// As a runtime does it: nothing but null.
fn attach(cgroup: &Cgroup) -> u32 {
    let program = bpf::load_device_program(&policy_program(&[ELSE]), "").unwrap();
    bpf::attach_device_program(cgroup.as_fd(), program.as_fd()).unwrap();
    bpf::program_info(program.as_fd()).unwrap().id
}

fn programs(cgroup: &Cgroup) -> Vec<u32> {
    bpf::device_programs(cgroup.as_fd(), false).unwrap().ids
}

fn names(cgroup: &Cgroup) -> Vec<String> {
    let name = |id| bpf::program_info(bpf::program_by_id(id).unwrap().as_fd()).unwrap().name;
    programs(cgroup).into_iter().map(name).collect()
}

#[test]
fn every_program_is_wrapped_and_the_same_ones_come_back() {
    let Some(_alone) = alone() else { return };
    let wrap = start();
    let nodes = Nodes::new();
    let outer = scratch("levels");
    let inner = Scratch::below(&outer.0, "container");
    // crun has one on the scope and one on the container below it, systemd adds a second one to the scope.
    let before_outer = vec![attach(&outer.0), attach(&outer.0)];
    let before_inner = vec![attach(&inner.0)];
    for holder in [&outer.0, &inner.0] {
        wrap.grant(holder, PAD.into(), RW).unwrap();
        assert!(nodes.may_use(&inner.0, PAD));
        assert_eq!(nodes.may_use(&outer.0, PAD), holder.id() == outer.0.id());
        // What the originals say otherwise still holds.
        assert!(nodes.may_use(&inner.0, crate::Device::char(1, 3)));
        assert!(!nodes.may_use(&inner.0, crate::Device::char(1, 5)));
        assert_eq!(names(&outer.0), ["hotseat_wrap", "hotseat_wrap"]);
        assert_eq!(names(&inner.0), ["hotseat_wrap"]);
        wrap.revoke(holder, PAD.into()).unwrap();
        assert!(!nodes.may_use(&inner.0, PAD));
        assert_eq!(
            (programs(&outer.0), programs(&inner.0)),
            (before_outer.clone(), before_inner.clone())
        );
    }
}

#[test]
fn a_program_above_agrees_only_to_the_cgroup_that_was_granted_the_device() {
    let Some(_alone) = alone() else { return };
    let wrap = start();
    let nodes = Nodes::new();
    let slice = scratch("slice");
    attach(&slice.0);
    let [one, two] = ["one", "two"].map(|name| Scratch::below(&slice.0, name));
    wrap.grant(&one.0, PAD.into(), RW).unwrap();
    assert!(nodes.may_use(&one.0, PAD) && !nodes.may_use(&two.0, PAD));
    let other = crate::Device::char(PAD.major, 1);
    wrap.grant(&two.0, other.into(), RW).unwrap();
    assert!(nodes.may_use(&two.0, other) && !nodes.may_use(&one.0, other));
    // The first one goes: the second still needs the program above.
    wrap.revoke_all(&one.0).unwrap();
    assert!(!nodes.may_use(&one.0, PAD) && nodes.may_use(&two.0, other));
    // Below a container an older kernel does not know whose the caller's cgroup is.
    let below = Scratch::below(&two.0, "below");
    assert!(!nodes.may_use(&below.0, other), "docs/grants.md says so");
    wrap.revoke_all(&two.0).unwrap();
    assert_eq!(names(&slice.0), [""]);
}

#[test]
fn what_is_attached_again_is_wrapped_at_the_next_grant() {
    let Some(_alone) = alone() else { return };
    let wrap = start();
    let nodes = Nodes::new();
    let scratch = scratch("again");
    let first = attach(&scratch.0);
    wrap.grant(&scratch.0, PAD.into(), RW).unwrap();
    // As systemd does it at `daemon-reload`: its new program stands beside ours.
    let second = attach(&scratch.0);
    assert!(!nodes.may_use(&scratch.0, PAD));
    wrap.grant(&scratch.0, crate::Device::char(PAD.major, 1).into(), RW).unwrap();
    assert!(nodes.may_use(&scratch.0, PAD), "older grants hold again too");
    // As runc does it at an update: its new program in the place of ours.
    let attached = bpf::device_programs(scratch.0.as_fd(), false).unwrap();
    let new = bpf::load_device_program(&policy_program(&[ELSE]), "").unwrap();
    let new_id = bpf::program_info(new.as_fd()).unwrap().id;
    let ours = bpf::program_by_id(attached.ids[0]).unwrap();
    bpf::replace_device_program(scratch.0.as_fd(), &attached, new.as_fd(), ours.as_fd()).unwrap();
    assert!(!nodes.may_use(&scratch.0, PAD));
    wrap.grant(&scratch.0, PAD.into(), RW).unwrap();
    assert!(nodes.may_use(&scratch.0, PAD));
    wrap.revoke_all(&scratch.0).unwrap();
    let mut after = programs(&scratch.0);
    after.sort_unstable();
    let mut expected = vec![second, new_id];
    expected.sort_unstable();
    assert_eq!(after, expected, "{first} was replaced by its owner");
}

#[test]
fn a_program_attached_by_a_link_is_wrapped_in_its_link() {
    let Some(_alone) = alone() else { return };
    let wrap = start();
    let nodes = Nodes::new();
    let scratch = scratch("link");
    let program = bpf::load_device_program(&policy_program(&[ELSE]), "").unwrap();
    let link = bpf::link_device_program(scratch.0.as_fd(), program.as_fd()).unwrap();
    let before = programs(&scratch.0);
    wrap.grant(&scratch.0, PAD.into(), RW).unwrap();
    assert!(nodes.may_use(&scratch.0, PAD));
    wrap.revoke(&scratch.0, PAD.into()).unwrap();
    assert_eq!(programs(&scratch.0), before);
    wrap.grant(&scratch.0, PAD.into(), RW).unwrap();
    // Its owner takes it away: then ours is gone with it.
    drop(link);
    assert!(programs(&scratch.0).is_empty());
    wrap.revoke(&scratch.0, PAD.into()).unwrap();
}

#[test]
fn what_cannot_be_copied_is_refused_and_left_alone() {
    let Some(_alone) = alone() else { return };
    let wrap = start();
    let scratch = scratch("calls");
    let first = attach(&scratch.0);
    // bpf_ktime_get_ns
    let calls: [Insn; 3] = [call(5), mov_imm(0, 0), EXIT];
    let program: OwnedFd = bpf::load_device_program(&calls, "").unwrap();
    bpf::attach_device_program(scratch.0.as_fd(), program.as_fd()).unwrap();
    let before = programs(&scratch.0);
    assert_eq!(before[0], first);
    let refused = wrap.grant(&scratch.0, PAD.into(), RW);
    assert!(matches!(refused, Err(GrantError::NotCopyable { .. })), "{refused:?}");
    assert_eq!(programs(&scratch.0), before, "the one that was wrapped already is back");
    assert_eq!(wrap.count().unwrap(), 0);
}

#[test]
fn a_killed_daemons_wraps_are_put_back_at_the_next_start() {
    let Some(_alone) = alone() else { return };
    let nodes = Nodes::new();
    let scratch = scratch("orphan");
    attach(&scratch.0);
    let mut holder = start_holder(BackEnd::InlineWrap, &scratch.0);
    assert!(nodes.may_use(&scratch.0, PAD));
    // A daemon that starts meanwhile leaves them alone.
    drop(start());
    assert!(nodes.may_use(&scratch.0, PAD));
    holder.kill().unwrap();
    holder.wait().unwrap();
    // Nobody has put anything back, and yet the container has exactly its runtime's rules.
    soon(|| !nodes.may_use(&scratch.0, PAD));
    assert_eq!(names(&scratch.0), ["hotseat_wrap"]);
    assert!(nodes.may_use(&scratch.0, crate::Device::char(1, 3)));
    let wrap = start();
    assert_eq!(names(&scratch.0), [""]);
    assert!(!nodes.may_use(&scratch.0, PAD));
    assert!(nodes.may_use(&scratch.0, crate::Device::char(1, 3)));
    wrap.grant(&scratch.0, PAD.into(), RW).unwrap();
    assert!(nodes.may_use(&scratch.0, PAD));
}

#[test]
fn an_allow_everything_program_and_none_at_all_are_left_alone() {
    let Some(_alone) = alone() else { return };
    let wrap = start();
    let scratch = scratch("privileged");
    wrap.grant(&scratch.0, PAD.into(), RW).unwrap();
    let program = bpf::load_device_program(&[mov_imm(0, 1), EXIT], "").unwrap();
    bpf::attach_device_program(scratch.0.as_fd(), program.as_fd()).unwrap();
    let before = programs(&scratch.0);
    wrap.grant(&scratch.0, PAD.into(), RW).unwrap();
    assert_eq!(programs(&scratch.0), before);
    assert!(Nodes::new().may_use(&scratch.0, PAD));
}
