//! `tidemark`: events in, live figures out. The one binary: the service and the commands around it.
//!
//! In: a command line, a configuration file, `TIDEMARK_*` variables. Out: answers on standard
//! output, logs and errors on standard error, and an exit code: 0 done, 1 failed, 2 wrong usage
//! or configuration.

mod alerts;
mod background;
mod changes;
mod commands;
mod config;
mod custom_fields;
mod dead_letters;
mod event_types;
mod exports;
mod forward;
mod generate;
mod holding;
mod http;
mod live_queries;
mod onboarding;
mod own_views;
mod rank;
mod reports;
mod schemas;
mod serve;
mod shown;
mod template_versions;
mod wire;

use std::process::ExitCode;

use clap::Parser;

/// The service allocates many short-lived buffers from several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = commands::Arguments::parse();
    match arguments.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tidemark: {failure}");
            failure.exit_code()
        }
    }
}
