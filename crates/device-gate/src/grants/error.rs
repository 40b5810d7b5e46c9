//! What can go wrong with grants.

use std::io;
use std::path::PathBuf;

use crate::access::{Access, Devices};
use crate::cgroup::CgroupError;
use crate::danger::Danger;
use crate::program::MAX_DEPTH;

/// A grant could not be given or taken back. One that could not be given is not there at all.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// These devices are not granted by default.
    #[error(
        "`{devices}` is not granted without the word `{danger}`: behind it there is more than a device"
    )]
    Dangerous {
        /// The devices.
        devices: Devices,
        /// The word to say.
        danger: Danger,
    },
    /// A grant to the root cgroup would be one to every process.
    #[error(
        "nothing is granted to the root cgroup `{cgroup}`: that would be a grant to every process"
    )]
    Root {
        /// The cgroup.
        cgroup: PathBuf,
    },
    /// The cgroup lies deeper than the override program looks.
    #[error("cgroup `{cgroup}` lies more than {MAX_DEPTH} levels deep, where grants do not reach")]
    TooDeep {
        /// The cgroup.
        cgroup: PathBuf,
    },
    /// There is no room.
    #[error("no room for a grant of `{devices}`: {limit} grants are in use")]
    Full {
        /// The devices.
        devices: Devices,
        /// How many grants there can be.
        limit: u32,
    },
    /// No back-end works on this host, and the cgroup's device programs do not allow everything by themselves.
    #[error(
        "cgroup `{cgroup}` has device programs, and nothing on this host can add to what they allow"
    )]
    NoBackEnd {
        /// The cgroup.
        cgroup: PathBuf,
    },
    /// The entry could not be written.
    #[error("could not grant `{devices} {access}` to cgroup `{cgroup}`")]
    Grant {
        /// The devices.
        devices: Devices,
        /// The accesses.
        access: Access,
        /// The cgroup.
        cgroup: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The entry could not be removed.
    #[error("could not revoke what is granted to cgroup `{cgroup}`")]
    Revoke {
        /// The cgroup.
        cgroup: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The grants could not be listed.
    #[error("could not list the grants")]
    List(#[source] io::Error),
    /// A cgroup on the way could not be opened.
    #[error("could not look at the cgroups around `{cgroup}`")]
    Path {
        /// The cgroup.
        cgroup: PathBuf,
        /// Why.
        #[source]
        source: CgroupError,
    },
    /// The programs of a cgroup could not be asked for.
    #[error("could not ask for the device programs of cgroup `{cgroup}`")]
    Programs {
        /// The cgroup.
        cgroup: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program cannot be copied, so none of ours can take its place.
    #[error("the device program {id} of cgroup `{cgroup}` cannot be copied: {obstacle}")]
    NotCopyable {
        /// The cgroup.
        cgroup: PathBuf,
        /// The program's id, as `bpftool prog show id` knows it.
        id: u32,
        /// What it does.
        obstacle: &'static str,
    },
    /// A program could not be replaced.
    #[error(
        "could not put a program of ours in the place of the device program of cgroup `{cgroup}`"
    )]
    Wrap {
        /// The cgroup.
        cgroup: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another daemon works on the cgroup.
    #[error("another daemon grants devices to cgroup `{cgroup}`")]
    OtherDaemon {
        /// The cgroup.
        cgroup: PathBuf,
    },
    /// A cgroup of version 1 can have only what its parent has.
    #[error(
        "the cgroup above `{cgroup}` does not allow `{devices} {access}`, so that one cannot either"
    )]
    ParentRefuses {
        /// The cgroup.
        cgroup: PathBuf,
        /// The devices.
        devices: Devices,
        /// The accesses.
        access: Access,
    },
    /// A file of a cgroup of version 1 could not be used.
    #[error("could not use `{file}` of cgroup `{cgroup}`")]
    V1 {
        /// The cgroup.
        cgroup: PathBuf,
        /// The file, or the extended attribute.
        file: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Why a back-end cannot be used on this host.
#[derive(Debug, thiserror::Error)]
pub enum BackEndError {
    /// The controller is not in use.
    #[error("the devices controller of cgroup v1 is not in use")]
    NotInUse,
    /// A map could not be made.
    #[error("could not make a map: bpf(2) needs CAP_BPF and a kernel that allows it")]
    CreateMap(#[source] io::Error),
    /// The kernel refused the program.
    #[error(
        "the kernel refused the program; it needs Linux {since}, and CAP_BPF with CAP_PERFMON or CAP_SYS_ADMIN"
    )]
    LoadProgram {
        /// The oldest kernel that can take it.
        since: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program could not be attached at the root.
    #[error("could not attach the override program to the root cgroup `{root}`")]
    Attach {
        /// The root cgroup's path.
        root: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What an earlier daemon left could not be undone.
    #[error("could not undo what a daemon left that was killed")]
    Restore(#[source] GrantError),
    /// It was tried and does not work.
    #[error("it does not work here")]
    SelfTest(#[source] super::SelfTestError),
}
