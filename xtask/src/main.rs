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

use anyhow::Result;
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
    Plug(Rounds<9>),
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
    Scale(Rounds<15>),
    /// How many frames per second a device takes, against a bare loop that writes the same bytes.
    Frames(Rounds<500>),
    /// How long from a far-away player's change to the event that a program can read, against plain UDP and TCP.
    Input(Rounds<5>),
    /// How long from the kernel's event of a dongle to its being open in a container, against mdev and a script that polls.
    HostDevices(Rounds<21>),
    /// How much later a player's change comes while somebody attacks the server, in another session.
    Hostile(Rounds<9>),
}

/// A bench that needs virtual input devices, and how often it measures unless told.
#[derive(clap::Args)]
struct Rounds<const DEFAULT: u32> {
    /// Run on this machine, whatever it is.
    #[arg(long)]
    here: bool,
    /// How many turns to measure.
    #[arg(long, default_value_t = DEFAULT)]
    rounds: u32,
}

impl<const DEFAULT: u32> Rounds<DEFAULT> {
    fn run(&self, name: &str, bench: fn(u32) -> Result<()>) -> Result<ExitCode> {
        let rounds = self.rounds;
        if self.here {
            return bench(rounds).map(|()| ExitCode::SUCCESS);
        }
        let task = ["bench", name, "--rounds", &rounds.to_string()];
        place::here_or_in_vm(place::Profile::Release, &task, || bench(rounds))
    }
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
        Task::Bench { what: Bench::Plug(arguments) } => arguments.run("plug", bench::run_here),
        Task::Bench { what: Bench::Scale(arguments) } => {
            arguments.run("scale", bench::scale::run_here)
        }
        Task::Bench { what: Bench::Frames(arguments) } => {
            arguments.run("frames", bench::frames::run_here)
        }
        Task::Bench { what: Bench::Input(arguments) } => {
            arguments.run("input", bench::input::run_here)
        }
        Task::Bench { what: Bench::HostDevices(arguments) } => {
            arguments.run("host-devices", bench::host_devices::run_here)
        }
        Task::Bench { what: Bench::Hostile(arguments) } => {
            arguments.run("hostile", bench::hostile::run_here)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        // A failure of the machinery must not look like the exit status of a command that ran in it.
        ExitCode::from(125)
    })
}
