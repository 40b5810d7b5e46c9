//! The programs, interpreted: what they decide, without a kernel.

#![expect(unsafe_code, reason = "helpers get the map key by address")]

use std::cell::RefCell;
use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::access::{Access, Device};
use crate::sys::bpf::GrantKey;

/// What the helpers see and do.
#[derive(Default)]
struct World {
    retval: i32,
    /// Cgroup ids of the caller from level 1 down.
    ancestors: Vec<u64>,
    grants: HashMap<(u64, u32, u32, u32), Box<u32>>,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

fn get_retval(_: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    // As the kernel: an int, whose upper half is not defined.
    WORLD.with_borrow(|world| u64::from(world.retval.cast_unsigned()) | 0xdead_0000_0000_0000)
}

fn set_retval(value: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    WORLD.with_borrow_mut(|world| world.retval = i32::try_from(value).unwrap());
    0
}

fn ancestor(level: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    let index = usize::try_from(level).unwrap() - 1;
    WORLD.with_borrow(|world| world.ancestors.get(index).copied().unwrap_or(0))
}

fn lookup(_map: u64, key: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the program passes the address of a key on its stack.
    let key = unsafe { std::ptr::read_unaligned(key as *const GrantKey) };
    assert_eq!(key.pad, 0, "the kernel compares the padding too");
    WORLD.with_borrow(|world| {
        let found = world.grants.get(&(key.cgroup, key.kind, key.major, key.minor));
        found.map_or(0, |access| std::ptr::from_ref(&**access) as u64)
    })
}

fn bytes(insns: &[Insn]) -> Vec<u8> {
    insns
        .iter()
        .flat_map(|insn| {
            let mut bytes = vec![insn.code, insn.registers];
            bytes.extend(insn.offset.to_le_bytes());
            bytes.extend(insn.immediate.to_le_bytes());
            bytes
        })
        .collect()
}

fn context(device: Device, requested: u32) -> [u8; 12] {
    let mut context = [0; 12];
    let access_type = requested << 16 | device.kind.bpf();
    context[..4].copy_from_slice(&access_type.to_ne_bytes());
    context[4..8].copy_from_slice(&device.major.to_ne_bytes());
    context[8..].copy_from_slice(&device.minor.to_ne_bytes());
    context
}

/// Runs the override in `world`; returns the final decision: `retval` of the world.
fn decide(world: World, device: Device, requested: u32) -> i32 {
    let program = bytes(&override_program(7));
    let mut vm = rbpf::EbpfVmRaw::new(Some(&program)).unwrap();
    vm.register_helper(GET_RETVAL.cast_unsigned(), get_retval).unwrap();
    vm.register_helper(SET_RETVAL.cast_unsigned(), set_retval).unwrap();
    vm.register_helper(GET_CURRENT_ANCESTOR_CGROUP_ID.cast_unsigned(), ancestor).unwrap();
    vm.register_helper(MAP_LOOKUP_ELEM.cast_unsigned(), lookup).unwrap();
    for access in world.grants.values() {
        let address = std::ptr::from_ref(&**access) as u64;
        vm.register_allowed_memory(address..address + 4);
    }
    WORLD.set(world);
    let mut context = context(device, requested);
    assert_eq!(vm.execute_program(&mut context).unwrap(), 1, "the override never refuses itself");
    WORLD.with_borrow(|world| world.retval)
}

const PAD: Device = Device::char(13, 300);
const REFUSED: i32 = -libc::EPERM;

fn grants(entries: &[(u64, Device, Access)]) -> HashMap<(u64, u32, u32, u32), Box<u32>> {
    let entry = |&(cgroup, device, access): &(u64, Device, Access)| {
        ((cgroup, device.kind.bpf(), device.major, device.minor), Box::new(access.bits()))
    };
    entries.iter().map(entry).collect()
}

#[test]
fn a_grant_to_any_ancestor_turns_a_refusal_into_yes() {
    for cgroup in [10, 20, 30] {
        let world = World {
            retval: REFUSED,
            ancestors: vec![10, 20, 30],
            grants: grants(&[(cgroup, PAD, Access::READ | Access::WRITE)]),
        };
        assert_eq!(decide(world, PAD, Access::READ.bits()), 0, "granted to {cgroup}");
    }
}

#[test]
fn the_deepest_level_looked_at_is_max_depth() {
    let depth = u64::try_from(MAX_DEPTH).unwrap();
    for (levels, decision) in [(depth, 0), (depth + 1, REFUSED)] {
        let world = World {
            retval: REFUSED,
            ancestors: (1..=levels).collect(),
            grants: grants(&[(levels, PAD, Access::READ)]),
        };
        assert_eq!(decide(world, PAD, Access::READ.bits()), decision, "{levels} levels");
    }
}

#[test]
fn other_errors_than_a_refusal_are_left_alone() {
    for retval in [0, -libc::EACCES, -libc::ENOMEM] {
        let world =
            World { retval, ancestors: vec![10], grants: grants(&[(10, PAD, Access::READ)]) };
        assert_eq!(decide(world, PAD, Access::READ.bits()), retval);
    }
}

fn any_access() -> impl Strategy<Value = Access> {
    (1..8u32).prop_map(|bits| {
        let all = [Access::MKNOD, Access::READ, Access::WRITE];
        all.into_iter().filter(|access| access.bits() & bits != 0).reduce(|a, b| a | b).unwrap()
    })
}

fn any_device() -> impl Strategy<Value = Device> {
    // Few enough that requests and grants often meet.
    (any::<bool>(), 0..3u32, prop_oneof![0..3u32, Just(256), Just(0xf_ffff)]).prop_map(
        |(char, major, minor)| {
            if char { Device::char(major, minor) } else { Device::block(major, minor) }
        },
    )
}

proptest! {
    /// The program decides as a plain reading of the rule does.
    #[test]
    fn the_override_is_exactly_the_list_of_grants(
        ancestors in proptest::collection::vec(1..6u64, 0..8),
        entries in proptest::collection::vec((1..6u64, any_device(), any_access()), 0..12),
        device in any_device(),
        requested in 0..8u32,
    ) {
        let grants = grants(&entries);
        let allowed = ancestors.iter().any(|&cgroup| {
            grants
                .get(&(cgroup, device.kind.bpf(), device.major, device.minor))
                .is_some_and(|access| requested & !**access == 0)
        });
        let world = World { retval: REFUSED, ancestors, grants };
        prop_assert_eq!(decide(world, device, requested), if allowed { 0 } else { REFUSED });
    }

    /// A policy agrees exactly to what one of its rules covers.
    #[test]
    fn a_policy_is_exactly_the_list_of_rules(
        rules in proptest::collection::vec(
            (any_device(), any::<bool>(), any::<bool>(), any_access()), 0..6),
        device in any_device(),
        requested in 0..8u32,
    ) {
        let rules: Vec<RawRule> = rules
            .into_iter()
            .map(|(rule, any_major, any_minor, access)| {
                let major = (!any_major).then_some(rule.major);
                let minor = (!any_minor).then_some(rule.minor);
                (rule.kind, major, minor, access)
            })
            .collect();
        let allowed = rules.iter().any(|&(kind, major, minor, access)| {
            kind == device.kind
                && major.is_none_or(|major| major == device.major)
                && minor.is_none_or(|minor| minor == device.minor)
                && requested & !access.bits() == 0
        });
        let program = bytes(&policy_program(&rules));
        let vm = rbpf::EbpfVmRaw::new(Some(&program)).unwrap();
        let decision = vm.execute_program(&mut context(device, requested)).unwrap();
        prop_assert_eq!(decision, u64::from(allowed));
    }
}
