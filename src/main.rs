//! The `hotseat` binary: daemon and command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    hotseat::cli::main()
}
