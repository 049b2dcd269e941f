//! `tidemark serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, logs, service_runtime};
use crate::config::{self, Overrides};
use crate::serve::{self, ServeError};

#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder of everything that is kept [default: data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub(super) fn run(self) -> Result<(), Failure> {
        let overrides = Overrides { listen: self.listen, data: self.data };
        let loaded = config::load(self.config.as_deref(), variables(), overrides)?;
        logs::begin("info")?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        if loaded.config.jwt_secret.is_none() {
            return Err(Failure::Usage(String::from(
                "jwt_secret is not set, so no token could be checked; set TIDEMARK_JWT_SECRET to at \
                 least 32 random bytes (`openssl rand -hex 32` makes some), or `jwt_secret_file` in \
                 the configuration",
            )));
        }
        service_runtime()?.block_on(async {
            let stop = stop_signal()?;
            let running = serve::start(loaded.config).await.map_err(failure)?;
            eprintln!("tidemark serves on http://{}", running.address);
            running.until_shutdown(stop).await.map_err(failure)
        })
    }
}

/// What is wrong with the address or the folder is the caller's to mend.
pub(super) fn failure(error: ServeError) -> Failure {
    match error {
        ServeError::NoSecret => Failure::Usage(error.to_string()),
        _ => Failure::failed(error),
    }
}

/// The environment, as far as it is text.
pub(super) fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Ends when the process is asked to end.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let refused = |error| Failure::Failed(format!("cannot listen for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
