//! `tidemark check-config`.

use std::io::Write as _;
use std::path::PathBuf;

use super::serve::variables;
use super::{Failure, open_output};
use crate::config::{self, Overrides};

#[derive(Debug, clap::Args)]
pub(super) struct CheckConfig {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl CheckConfig {
    pub(super) fn run(self) -> Result<(), Failure> {
        let loaded = config::load(self.config.as_deref(), variables(), Overrides::default())?;
        for warning in &loaded.warnings {
            eprintln!("tidemark: {warning}");
        }
        let line = |(key, value, origin)| format!("{key:<36} {value:<24} {origin}\n");
        let out: String = loaded.lines().map(line).collect();
        open_output(std::io::stdout().write_all(out.as_bytes())).map(|_| ())
    }
}
