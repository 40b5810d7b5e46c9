//! The command `udev-forge`.

use std::process::ExitCode;

fn main() -> ExitCode {
    udev_forge_cli::main()
}
