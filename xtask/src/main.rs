//! Development tasks of Hotseat: `cargo xtask demo | test | fuzz | bench | vm`.

mod bench;
mod demo;
mod fuzz;
mod place;
mod report;
mod test;
mod tools;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development tasks of Hotseat.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// The gate: formatting, clippy, unit tests, and the end-to-end tests in the test machine.
    Test(test::Arguments),
    /// Look for inputs that break udev-forge or vinput.
    Fuzz(fuzz::Arguments),
    /// Run a command in the test machine: Debian with a real kernel, systemd, Docker and Podman.
    Vm(vm::Arguments),
    /// Show the product at work, here when this machine has uinput, otherwise in the test machine.
    Demo {
        /// Run on this machine, whatever it is.
        #[arg(long)]
        here: bool,
    },
    /// Measure the product.
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
}

#[derive(Subcommand)]
enum Bench {
    /// How long from the request to a pad that a program in the container can use.
    Plug {
        /// Run on this machine, whatever it is.
        #[arg(long)]
        here: bool,
        /// How many plugs to measure.
        #[arg(long, default_value_t = 9)]
        rounds: u32,
    },
    /// How long udev-forge takes to tell of a pad, against systemd-udevd.
    Udev {
        #[command(flatten)]
        machine: vm::Settings,
        /// How many pads to measure.
        #[arg(long, default_value_t = 21)]
        rounds: u32,
    },
    /// What a grant costs, and what it costs everybody else to open a node.
    Grants {
        /// Run in the test machine, even if this one would do.
        #[arg(long)]
        in_machine: bool,
        #[command(flatten)]
        machine: vm::Settings,
        /// How many turns of each to measure.
        #[arg(long, default_value_t = 101)]
        rounds: u32,
    },
    /// How long a plug takes, and how much memory, next to 399 other pads in 100 sessions.
    Scale {
        /// Run on this machine, whatever it is.
        #[arg(long)]
        here: bool,
        /// How many plugs to measure at a time.
        #[arg(long, default_value_t = 15)]
        rounds: u32,
    },
    /// How many frames per second a device takes, against a bare loop that writes the same bytes.
    Frames {
        /// Run on this machine, whatever it is.
        #[arg(long)]
        here: bool,
        /// How many turns of each to measure.
        #[arg(long, default_value_t = 500)]
        rounds: u32,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Test(arguments) => test::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Vm(arguments) => vm::run(&arguments),
        Task::Demo { here: true } => demo::run_here().map(|()| ExitCode::SUCCESS),
        Task::Demo { here: false } => {
            place::here_or_in_vm(place::Profile::Debug, &["demo"], demo::run_here)
        }
        Task::Bench { what: Bench::Udev { machine, rounds } } => bench::udev(&machine, rounds),
        Task::Bench { what: Bench::Grants { in_machine, machine, rounds } } => {
            bench::grants(&machine, in_machine, rounds)
        }
        Task::Bench { what: Bench::Plug { here: true, rounds } } => {
            bench::run_here(rounds).map(|()| ExitCode::SUCCESS)
        }
        Task::Bench { what: Bench::Plug { here: false, rounds } } => place::here_or_in_vm(
            place::Profile::Release,
            &["bench", "plug", "--rounds", &rounds.to_string()],
            || bench::run_here(rounds),
        ),
        Task::Bench { what: Bench::Scale { here: true, rounds } } => {
            bench::scale::run_here(rounds).map(|()| ExitCode::SUCCESS)
        }
        Task::Bench { what: Bench::Scale { here: false, rounds } } => place::here_or_in_vm(
            place::Profile::Release,
            &["bench", "scale", "--rounds", &rounds.to_string()],
            || bench::scale::run_here(rounds),
        ),
        Task::Bench { what: Bench::Frames { here: true, rounds } } => {
            bench::frames::run_here(rounds).map(|()| ExitCode::SUCCESS)
        }
        Task::Bench { what: Bench::Frames { here: false, rounds } } => place::here_or_in_vm(
            place::Profile::Release,
            &["bench", "frames", "--rounds", &rounds.to_string()],
            || bench::frames::run_here(rounds),
        ),
    };
    done.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        // A failure of the machinery must not look like the exit status of a command that ran in it.
        ExitCode::from(125)
    })
}
