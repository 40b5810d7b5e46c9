//! The command line. Every command but `serve`, `setup` and the hidden ones asks the daemon.

mod cdi;
mod client;
mod connect;
mod lines;
mod log_lines;
mod logging;
mod messages;
mod notify;
mod output;
mod rule;
mod run;
mod serve;
mod token;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use client::{Client, ClientError};

use crate::cdi::CdiError;
use crate::config::{Config, DEFAULT_SOCKET};
use crate::problem::{self, Problem};
use crate::setup;

/// A hotplug server for virtual input devices: each session's pads appear in its running container and in no
/// other.
#[derive(Debug, Parser)]
#[command(name = "hotseat", version, after_help = EXIT_STATUS)]
struct Cli {
    /// The daemon's socket.
    #[arg(long, global = true, value_name = "PATH", env = "HOTSEAT_SOCKET", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
    #[command(subcommand)]
    command: Command,
}

const EXIT_STATUS: &str = "Exit status: 0 done, 1 failed, 2 usage, 3 the daemon cannot be reached.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon.
    Serve(serve::ServeArgs),
    /// Run a command in the built-in sandbox, as a session.
    Run(run::RunArgs),
    /// Add, list, show, move and remove sessions.
    #[command(subcommand)]
    Session(SessionCommand),
    /// Plug a device into a session's container.
    Plug(PlugArgs),
    /// Unplug a device.
    Unplug {
        /// The session.
        session: String,
        /// The device's slot.
        slot: u8,
    },
    /// Send one frame of events to a device.
    Send {
        /// The session.
        session: String,
        /// The device's slot.
        slot: u8,
        /// CONTROL=VALUE, such as south=1 or lx=-0.5; `hotseat profiles` lists the controls.
        #[arg(required = true, allow_hyphen_values = true)]
        events: Vec<String>,
    },
    /// Be a client of a session, until the end of standard input: read lines `plug SLOT PROFILE [NAME]`, `unplug SLOT`
    /// and `send SLOT EVENT...`. What is held then is released; what was plugged is unplugged after the grace time.
    Client {
        /// The session.
        session: String,
    },
    /// Play in a session of another machine with the devices of this one, which come and go; or with a script or record.
    Connect(connect::ConnectArgs),
    /// Let containers be started ready for their devices: write a CDI specification, for
    /// `--device hotseat.dev/session=NAME` of docker and podman.
    Cdi(cdi::CdiArgs),
    /// Let devices of the host, such as USB serial lines, come into a session's container.
    #[command(subcommand)]
    Rule(rule::RuleCommand),
    /// List the devices of the host that rules mean, and the sessions that have them.
    Devices(rule::DevicesArgs),
    /// List what is plugged.
    Ls(Json),
    /// List the processes that have a device open, in its container or on the host.
    Who {
        /// The session.
        session: String,
        /// The device's slot.
        slot: u8,
        #[command(flatten)]
        json: Json,
    },
    /// Print what happens, as it happens, until the daemon ends.
    Watch {
        /// Only of this session.
        session: Option<String>,
        /// Begin after the event of this id, as --json shows it.
        #[arg(long, value_name = "ID")]
        since: Option<String>,
        #[command(flatten)]
        json: Json,
    },
    /// Make a token with which clients from afar may attach to a session, and show it, this once.
    Token(token::TokenArgs),
    /// List the tokens, or revoke one.
    #[command(args_conflicts_with_subcommands = true)]
    Tokens {
        #[command(subcommand)]
        command: Option<token::TokensCommand>,
        #[command(flatten)]
        json: Json,
    },
    /// List the profiles of devices that can be plugged, or make one.
    #[command(args_conflicts_with_subcommands = true)]
    Profiles {
        #[command(subcommand)]
        command: Option<ProfilesCommand>,
        #[command(flatten)]
        json: Json,
    },
    /// Look at what of the host, and of a container, is ready, what is missing, and how to mend it.
    Doctor {
        /// docker:NAME, podman:NAME, podman:USER/NAME, cri:ID, machine:NAME, lxc:NAME, pid:NUMBER or sandbox:SESSION.
        container: Option<String>,
        #[command(flatten)]
        json: Json,
    },
    /// Let the daemon read its configuration again, and list what has changed in it.
    Reload(Json),
    /// Read the configuration and the profiles as the daemon would, and say what is wrong with them.
    CheckConfig {
        /// The file; /etc/hotseat/hotseat.toml, if there is one, when not given.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Install the udev rules that protect the host's desktop, and load the kernel modules.
    Setup,
    /// Print the API's OpenAPI description.
    #[command(hide = true)]
    Openapi,
    /// The sandbox's first process.
    #[command(hide = true)]
    SandboxInit {
        lifeline: i32,
        cgroup: PathBuf,
        #[arg(last = true)]
        command: Vec<OsString>,
    },
}

#[derive(Debug, Subcommand)]
enum SessionCommand {
    /// Add a session.
    Add {
        /// 1 to 32 lower-case letters, digits and `-`.
        session: String,
        /// docker:NAME, podman:NAME, podman:USER/NAME, cri:ID, machine:NAME, lxc:NAME, pid:NUMBER or
        /// sandbox:SESSION; without one, the session waits for `hotseat run`, or a container with its label.
        #[arg(long, value_name = "REF")]
        container: Option<String>,
        /// How long a device outlives the client that plugged it; as configured if not given.
        #[arg(long, value_name = "SECONDS")]
        grace: Option<u32>,
    },
    /// Attach a session that has no container to one.
    Attach {
        /// The session.
        session: String,
        /// docker:NAME, podman:NAME, podman:USER/NAME, cri:ID, machine:NAME, lxc:NAME, pid:NUMBER or sandbox:SESSION.
        #[arg(value_name = "REF")]
        container: String,
    },
    /// List the sessions.
    Ls(Json),
    /// Show one session.
    Show {
        /// The session.
        session: String,
        /// Print only the options with which `docker run` and `podman run` start a container that is ready for its
        /// devices; attach the session to it then.
        #[arg(long, conflicts_with = "json")]
        flags: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Move a session, with its devices, to another container.
    Move {
        /// The session.
        session: String,
        /// docker:NAME, podman:NAME, podman:USER/NAME, cri:ID, machine:NAME, lxc:NAME, pid:NUMBER or sandbox:SESSION.
        #[arg(value_name = "REF")]
        container: String,
    },
    /// Unplug all devices of a session and remove it.
    Rm {
        /// The session.
        session: String,
    },
}

#[derive(Debug, Subcommand)]
enum ProfilesCommand {
    /// Print a profile of a device of this machine, as TOML. Leave the device alone meanwhile.
    Capture {
        /// Its event node, such as /dev/input/event0, or hidraw node, such as /dev/hidraw0.
        node: PathBuf,
        /// The profile's name: a-z, 0-9 and -.
        #[arg(long, default_value = "captured")]
        name: String,
    },
}

#[derive(Debug, Args)]
struct PlugArgs {
    /// The session.
    session: String,
    /// The device's profile; `hotseat profiles` lists them.
    profile: String,
    /// The slot; the lowest free one if not given.
    #[arg(long)]
    slot: Option<u8>,
    /// The name that programs show; the profile's if not given.
    #[arg(long)]
    name: Option<String>,
    /// Declare what the slot has: nothing happens if it has that already, another device makes place, and without a
    /// container it waits for the next one.
    #[arg(long, requires = "slot")]
    declare: bool,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, Args)]
struct Json {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Serve(args) => serve::serve(&args, &cli.socket),
        Command::Run(args) => run::run(&args, Client::new(&cli.socket)),
        Command::Cdi(args) => cdi::run(args, &Client::new(&cli.socket)),
        Command::Connect(args) => connect::run(args),
        Command::Setup => setup::run(output::line).map(|()| ExitCode::SUCCESS).map_err(Into::into),
        Command::CheckConfig { config } => check_config(config.as_deref()),
        Command::Profiles { command: Some(ProfilesCommand::Capture { node, name }), .. } => {
            vinput::capture(&node, &name)
                .map(|profile| {
                    output::text(&profile);
                    ExitCode::SUCCESS
                })
                .map_err(Into::into)
        }
        Command::Openapi => {
            output::text(&crate::api::description());
            Ok(ExitCode::SUCCESS)
        }
        Command::SandboxInit { lifeline, cgroup, command } => {
            run::sandbox_init(lifeline, &cgroup, &command)
        }
        command => ask(command, &Client::new(&cli.socket)),
    };
    outcome.unwrap_or_else(|error| report(&error))
}

/// The commands that are a request and its answer.
fn ask(command: Command, client: &Client) -> Result<ExitCode> {
    let runtime = runtime()?;
    let asked = runtime.block_on(ask_for(command, client));
    // A read of standard input that is under way is not waited for.
    runtime.shutdown_background();
    asked
}

async fn ask_for(command: Command, client: &Client) -> Result<ExitCode> {
    match command {
        Command::Session(SessionCommand::Add { session, container, grace }) => {
            output::session_added(&client.add_session(&session, container, grace).await?);
        }
        Command::Session(SessionCommand::Ls(json)) => {
            output::sessions(&client.sessions().await?, json.json)?;
        }
        Command::Session(SessionCommand::Attach { session, container }) => {
            output::session_added(&client.attach(&session, container).await?);
        }
        Command::Session(SessionCommand::Show { session, flags: true, .. }) => {
            output::line(&output::flags(&client.session(&session).await?));
        }
        Command::Session(SessionCommand::Show { session, json, .. }) => {
            output::session(&client.session(&session).await?, json.json)?;
        }
        Command::Session(SessionCommand::Move { session, container }) => {
            output::session_added(&client.move_session(&session, &container).await?);
        }
        Command::Session(SessionCommand::Rm { session }) => {
            client.remove_session(&session).await?;
        }
        Command::Plug(PlugArgs {
            session,
            profile,
            slot: Some(slot),
            name,
            declare: true,
            json,
        }) => {
            let declared = client.declare(&session, slot, &profile, name).await?;
            output::declared(&session, &declared, json.json)?;
        }
        Command::Client { session } => {
            client.be_client(&session, lines::of_standard_input()).await?;
        }
        Command::Plug(args) => {
            let device = client.plug(&args.session, &args.profile, args.slot, args.name).await?;
            output::plugged(&args.session, &device, args.json.json)?;
        }
        Command::Unplug { session, slot } => client.unplug(&session, slot).await?,
        Command::Send { session, slot, events } => client.send(&session, slot, events).await?,
        Command::Who { session, slot, json } => {
            output::holders(&client.holders(&session, slot).await?, json.json)?;
        }
        Command::Watch { session, since, json } => {
            let show = |event: &str, id: Option<&str>, data: &str| {
                output::event(event, id, data, json.json);
            };
            client.watch(session.as_deref(), since.as_deref(), show).await?;
        }
        Command::Reload(json) => output::changes(&client.reload().await?, json.json)?,
        Command::Token(args) => token::make(args, client).await?,
        Command::Tokens { command, json } => token::tokens(command, &json, client).await?,
        Command::Ls(json) => output::devices(&client.sessions().await?, json.json)?,
        Command::Profiles { json, .. } => {
            output::profiles(&client.profiles().await?, json.json)?;
        }
        Command::Doctor { container, json } => {
            let checks = client.doctor(container.as_deref()).await?;
            return output::doctor(&checks, json.json);
        }
        Command::Rule(command) => return rule::run(command, client).await,
        Command::Devices(args) => return rule::devices(&args, client).await,
        Command::Serve(_)
        | Command::Run(_)
        | Command::Cdi(_)
        | Command::Connect(_)
        | Command::Setup
        | Command::CheckConfig { .. }
        | Command::Openapi
        | Command::SandboxInit { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Fails at the first error of the configuration; of the profiles it names every one.
fn check_config(path: Option<&Path>) -> Result<ExitCode> {
    let config = Config::load(path)?;
    let (profiles, wrong) = crate::profiles::list(&config.profiles)?;
    for error in &wrong {
        output::error(&crate::engine::chain(error), "");
    }
    if !wrong.is_empty() {
        return Ok(ExitCode::from(1));
    }
    for (at, rule) in config.rule.iter().enumerate().filter(|(_, rule)| !rule.danger.is_empty()) {
        let session = rule.session.as_deref().unwrap_or_default();
        let words: Vec<_> = rule.danger.iter().map(ToString::to_string).collect();
        let words = words.join(", ");
        output::warning(&format!(
            "rule config{at} gives session `{session}` what is dangerous: {words}"
        ));
    }
    output::line(&format!(
        "the configuration is valid; {} profiles can be plugged",
        profiles.len()
    ));
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start the async runtime")
}

/// Prints an error, with its hint where there is one, and gives the exit status.
fn report(error: &anyhow::Error) -> ExitCode {
    if let Some(error) = error.downcast_ref::<CdiError>() {
        output::error(&crate::engine::chain(error), &problem::cdi(error).2);
        return ExitCode::from(1);
    }
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Problem(Problem { detail, hint, .. })) => {
            output::error(detail, hint);
            ExitCode::from(1)
        }
        Some(unreachable @ ClientError::Unreachable { .. }) => {
            let hint = "start it with `hotseat serve`, or name its socket with --socket";
            output::error(&crate::engine::chain(unreachable), hint);
            ExitCode::from(3)
        }
        Some(not_allowed @ ClientError::NotAllowed { .. }) => {
            let hint = "call it as root, or add your user to `allow_uids` in its configuration";
            output::error(&crate::engine::chain(not_allowed), hint);
            ExitCode::from(1)
        }
        _ => {
            output::error(&format!("{error:#}"), connect::hint(error));
            ExitCode::from(1)
        }
    }
}
