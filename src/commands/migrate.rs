//! `tidemark migrate`.

use std::path::PathBuf;

use tenancy::Store;

use super::serve::variables;
use super::{Failure, client_runtime};
use crate::config::{self, Overrides};

#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder of everything that is kept [default: data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Migrate {
    pub(super) fn run(self) -> Result<(), Failure> {
        let overrides = Overrides { listen: None, data: self.data };
        let loaded = config::load(self.config.as_deref(), variables(), overrides)?;
        let folder = &loaded.config.data;
        std::fs::create_dir_all(folder).map_err(|error| {
            Failure::Failed(format!("cannot make the data folder {}: {error}", folder.display()))
        })?;
        let file = loaded.config.control_store();
        client_runtime()?.block_on(async {
            let store = Store::open(&file).await.map_err(Failure::failed)?;
            store.close().await;
            Ok::<_, Failure>(())
        })?;
        println!("{} has this version's schema", file.display());
        Ok(())
    }
}
