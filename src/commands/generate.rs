//! `tidemark generate`.

use std::io::{BufWriter, Write};

use super::{Failure, open_output};
use crate::generate::{Events, Plan};

/// Firms at once: each needs some memory for its story.
const MOST_TENANTS: i64 = 99_999;

#[derive(Debug, clap::Args)]
pub(super) struct Generate {
    /// How many tenants, named t00001 and on
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=MOST_TENANTS))]
    tenants: u32,
    /// How many events
    #[arg(long)]
    events: u64,
    /// Equal seeds give equal bytes
    #[arg(long)]
    seed: u64,
}

impl Generate {
    pub(super) fn run(self) -> Result<(), Failure> {
        let plan = Plan { tenants: self.tenants, events: self.events, seed: self.seed };
        let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
        for event in Events::new(plan) {
            if !open_output(out.write_all(&event.line))? {
                return Ok(());
            }
        }
        open_output(out.flush()).map(|_| ())
    }
}
