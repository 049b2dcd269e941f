//! The command line: one file a command.
//!
//! In: arguments. Out: what each command prints, and a [`Failure`] that says which exit code fits.

mod audit;
mod check_config;
mod connection;
mod demo;
mod generate;
mod load;
mod logs;
mod migrate;
mod query;
mod serve;
mod sse;
mod table;
mod token;
mod watch;

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::ConfigError;

/// Real-time reporting and projections for software that many firms share.
#[derive(Debug, Parser)]
#[command(name = "tidemark", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(serve::Serve),
    /// Serve a fresh folder with sample firms, a page to open, and events that keep coming
    Demo(demo::Demo),
    /// Send events from files (one CloudEvent a line, plain or .gz) to a service
    Load(load::Load),
    /// Ask a service in SQL
    Query(query::Query),
    /// Follow a view live in the terminal
    Watch(watch::Watch),
    /// Write deterministic synthetic events of all modules to standard output
    Generate(generate::Generate),
    /// Make a development token
    Token(token::Token),
    /// Check the configuration and print what holds
    CheckConfig(check_config::CheckConfig),
    /// Bring the control store to this version's schema
    Migrate(migrate::Migrate),
    /// Look for records of the audit that were removed or altered, or seal it with another key
    #[command(subcommand)]
    Audit(audit::Audit),
}

impl Arguments {
    /// Runs the command.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Serve(command) => command.run(),
            Command::Demo(command) => command.run(),
            Command::Load(command) => command.run(),
            Command::Query(command) => command.run(),
            Command::Watch(command) => command.run(),
            Command::Generate(command) => command.run(),
            Command::Token(command) => command.run(),
            Command::CheckConfig(command) => command.run(),
            Command::Migrate(command) => command.run(),
            Command::Audit(command) => command.run(),
        }
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It was tried and failed.
    #[error("{0}")]
    Failed(String),
    /// Arguments or configuration do not allow to try.
    #[error("{0}")]
    Usage(String),
}

impl Failure {
    /// A failure with the words of an error.
    pub(crate) fn failed(error: impl Display) -> Self {
        Self::Failed(error.to_string())
    }

    /// 1 for what failed, 2 for what was asked wrongly.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Failed(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Whether standard output may go on: a reader that closed the pipe (`| head`) has what it wants,
/// so the command ends well.
fn open_output(written: io::Result<()>) -> Result<bool, Failure> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::Failed(format!("cannot write to standard output: {error}"))),
    }
}

/// The runtime of a command that only calls a service: one thread, to leave the others to it.
fn client_runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("cannot start: {error}")))
}

/// The runtime of the service.
fn service_runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("cannot start: {error}")))
}

/// 1234567 as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
