//! System calls that neither rustix nor std has. The only `unsafe` code of the crate.

pub(crate) mod bpf;
pub(crate) mod fs;
pub(crate) mod probe;
