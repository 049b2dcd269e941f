//! Logs of the service, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::Failure;

/// The variable that says what is logged, as in `info,stream=debug`.
const VARIABLE: &str = "TIDEMARK_LOG";

/// Begins to log, with `level` unless the variable says otherwise.
pub(super) fn begin(level: &str) -> Result<(), Failure> {
    let wanted = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    let filter = EnvFilter::try_new(wanted.as_deref().unwrap_or(level)).map_err(|error| {
        Failure::Usage(format!("{VARIABLE}: {error}; expected something like `info,stream=debug`"))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init()
        .map_err(Failure::failed)
}
