//! The programs, interpreted: what they decide, without a kernel.

#![expect(unsafe_code, reason = "helpers get the map key by address")]

use std::cell::RefCell;
use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::access::{Access, Device, Devices};
use crate::sys::bpf::GrantKey;

/// What the helpers see and do.
#[derive(Default)]
struct World {
    retval: i32,
    /// Cgroup ids of the caller from level 1 down.
    ancestors: Vec<u64>,
    grants: Grants,
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

fn own_cgroup(_: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    WORLD.with_borrow(|world| world.ancestors.last().copied().unwrap_or(0))
}

/// A jump into an empty slot: it goes on behind it.
fn tail_call(_: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    u64::MAX
}

/// Runs a program in `world` and returns what it returns.
fn run(program: &[Insn], world: World, device: Device, requested: u32) -> u64 {
    let program = bytes(program);
    let mut vm = rbpf::EbpfVmRaw::new(Some(&program)).unwrap();
    vm.register_helper(GET_RETVAL.cast_unsigned(), get_retval).unwrap();
    vm.register_helper(SET_RETVAL.cast_unsigned(), set_retval).unwrap();
    vm.register_helper(GET_CURRENT_ANCESTOR_CGROUP_ID.cast_unsigned(), ancestor).unwrap();
    vm.register_helper(GET_CURRENT_CGROUP_ID.cast_unsigned(), own_cgroup).unwrap();
    vm.register_helper(MAP_LOOKUP_ELEM.cast_unsigned(), lookup).unwrap();
    vm.register_helper(TAIL_CALL.cast_unsigned(), tail_call).unwrap();
    for access in world.grants.values() {
        let address = std::ptr::from_ref(&**access) as u64;
        vm.register_allowed_memory(address..address + 4);
    }
    WORLD.set(world);
    vm.execute_program(&mut context(device, requested)).unwrap()
}

/// Runs the override in `world`; returns the final decision: `retval` of the world.
fn decide_with(reach: Reach, world: World, device: Device, requested: u32) -> i32 {
    let returned = run(&override_program(7, reach), world, device, requested);
    assert_eq!(returned, 1, "the override never refuses itself");
    WORLD.with_borrow(|world| world.retval)
}

fn decide(world: World, device: Device, requested: u32) -> i32 {
    decide_with(Reach::Ancestors, world, device, requested)
}

const PAD: Device = Device::char(13, 300);
const REFUSED: i32 = -libc::EPERM;

type Grants = HashMap<(u64, u32, u32, u32), Box<u32>>;

fn grants<D: Copy + Into<Devices>>(entries: &[(u64, D, Access)]) -> Grants {
    let entry = |&(cgroup, devices, access): &(u64, D, Access)| {
        let key = GrantKey::new(cgroup, devices.into());
        ((key.cgroup, key.kind, key.major, key.minor), Box::new(access.bits()))
    };
    entries.iter().map(entry).collect()
}

/// The plain rule: one grant to the cgroup covers all of the request.
fn is_granted(grants: &Grants, cgroup: u64, device: Device, requested: u32) -> bool {
    grants.iter().any(|(&(holder, kind, major, minor), access)| {
        holder == cgroup
            && (kind, major) == (device.kind.bpf(), device.major)
            && (minor == device.minor || minor == u32::MAX)
            && requested & !**access == 0
    })
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

fn any_devices() -> impl Strategy<Value = Devices> {
    (any_device(), any::<bool>()).prop_map(|(device, any_minor)| {
        if any_minor { Devices::any_minor(device.kind, device.major) } else { device.into() }
    })
}

/// Rules of a runtime's program; some are for any major or minor.
fn any_rules() -> impl Strategy<Value = Vec<RawRule>> {
    let rule = (any_device(), any::<bool>(), any::<bool>(), any_access()).prop_map(
        |(device, any_major, any_minor, access)| {
            let major = (!any_major).then_some(device.major);
            let minor = (!any_minor).then_some(device.minor);
            (device.kind, major, minor, access)
        },
    );
    proptest::collection::vec(rule, 0..6)
}

/// The plain rule of a runtime's program.
fn allows(rules: &[RawRule], device: Device, requested: u32) -> bool {
    rules.iter().any(|&(kind, major, minor, access)| {
        kind == device.kind
            && major.is_none_or(|major| major == device.major)
            && minor.is_none_or(|minor| minor == device.minor)
            && requested & !access.bits() == 0
    })
}

proptest! {
    /// The program decides as a plain reading of the rule does.
    #[test]
    fn the_override_is_exactly_the_list_of_grants(
        ancestors in proptest::collection::vec(1..6u64, 0..8),
        entries in proptest::collection::vec((1..6u64, any_devices(), any_access()), 0..12),
        device in any_device(),
        requested in 0..8u32,
        is_exact in any::<bool>(),
    ) {
        let grants = grants(&entries);
        let reach = if is_exact { Reach::Exact } else { Reach::Ancestors };
        let looked_at = match (reach, ancestors.last()) {
            (Reach::Exact, Some(own)) => std::slice::from_ref(own),
            _ => &ancestors[..],
        };
        let allowed =
            looked_at.iter().any(|&cgroup| is_granted(&grants, cgroup, device, requested));
        let world = World { retval: REFUSED, ancestors, grants };
        let decision = decide_with(reach, world, device, requested);
        prop_assert_eq!(decision, if allowed { 0 } else { REFUSED });
    }

    /// A wrapped program agrees to what is granted to its holders and to what the original agrees to.
    #[test]
    fn a_wrap_is_exactly_the_grants_and_the_original(
        ancestors in proptest::collection::vec(1..6u64, 1..4),
        entries in proptest::collection::vec((1..6u64, any_devices(), any_access()), 0..12),
        holders in proptest::collection::vec(
            prop_oneof![Just(Holder::Caller), (1..6u64).prop_map(Holder::Cgroup)], 0..4),
        rules in any_rules(),
        device in any_device(),
        requested in 0..8u32,
    ) {
        let grants = grants(&entries);
        let own = ancestors.last().copied().unwrap();
        let granted = holders.iter().any(|holder| {
            let cgroup = match *holder {
                Holder::Cgroup(id) => id,
                Holder::Caller => own,
            };
            is_granted(&grants, cgroup, device, requested)
        });
        let allowed = granted || allows(&rules, device, requested);
        let program = wrap_program(7, &holders, &policy_program(&rules));
        let world = World { retval: 0, ancestors, grants };
        prop_assert_eq!(run(&program, world, device, requested), u64::from(allowed));
    }

    /// Where its daemon has ended, an entry decides as the original.
    #[test]
    fn an_entry_with_an_empty_slot_is_the_original(
        rules in any_rules(),
        device in any_device(),
        requested in 0..8u32,
    ) {
        let entry = wrap_entry(7, &policy_program(&rules));
        let allowed = allows(&rules, device, requested);
        let decision = run(&entry, World::default(), device, requested);
        prop_assert_eq!(decision, u64::from(allowed));
    }

    /// A policy agrees exactly to what one of its rules covers.
    #[test]
    fn a_policy_is_exactly_the_list_of_rules(
        rules in any_rules(),
        device in any_device(),
        requested in 0..8u32,
    ) {
        let decision = run(&policy_program(&rules), World::default(), device, requested);
        prop_assert_eq!(decision, u64::from(allows(&rules, device, requested)));
    }
}
