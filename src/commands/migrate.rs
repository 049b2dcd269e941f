//! `tidemark migrate`.

use std::path::PathBuf;

use tenancy::{Database, Store};

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
        let access = loaded.config.control_store();
        if let Database::File(file) = &access.database {
            let folder = file.parent().unwrap_or(&loaded.config.data);
            std::fs::create_dir_all(folder).map_err(|error| {
                Failure::Failed(format!("cannot make the folder {}: {error}", folder.display()))
            })?;
        } else if access.owner.is_none() {
            return Err(Failure::Usage(format!(
                "cannot migrate {}: give database_migrate_url, the same database as the role that \
                 owns its tables",
                access.database
            )));
        }
        // Opened to the end, so that what the service would refuse is told now.
        client_runtime()?.block_on(async {
            let store = Store::connect(&access).await.map_err(Failure::failed)?;
            store.close().await;
            Ok::<_, Failure>(())
        })?;
        println!("{} has this version's schema", access.database);
        Ok(())
    }
}
