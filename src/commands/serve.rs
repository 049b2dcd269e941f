//! `tidemark serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, logs, service_runtime};
use crate::config::{self, Overrides};
use crate::serve::{self, Keys, ServeError};

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
        let loaded = config::load(self.config.as_deref(), variables(), overrides.clone())?;
        logs::begin("info")?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        if loaded.config.jwt_secrets.is_empty() && loaded.config.oidc.issuer.is_empty() {
            return Err(Failure::Usage(String::from(
                "jwt_secret is not set, so no token could be checked; set TIDEMARK_JWT_SECRET to at \
                 least 32 random bytes (`openssl rand -hex 32` makes some), or `jwt_secret_file` or \
                 `oidc.issuer` in the configuration",
            )));
        }
        service_runtime()?.block_on(async {
            let stop = stop_signal()?;
            let hangups = signal(SignalKind::hangup()).map_err(|error| signals(&error))?;
            let running = serve::start(loaded.config).await.map_err(failure)?;
            eprintln!("tidemark serves on {}", running.url());
            let reloading = tokio::spawn(reload(hangups, running.keys(), self.config, overrides));
            let served = running.until_shutdown(stop).await.map_err(failure);
            reloading.abort();
            served
        })
    }
}

/// At every `SIGHUP` reads the configuration anew and takes secrets and certificates from it. What
/// cannot be read or used leaves those that are in use.
async fn reload(mut hangups: Signal, keys: Keys, file: Option<PathBuf>, overrides: Overrides) {
    while hangups.recv().await.is_some() {
        let loaded = config::load(file.as_deref(), variables(), overrides.clone());
        let taken = loaded
            .map_err(|error| error.to_string())
            .and_then(|loaded| keys.replace(&loaded.config).map_err(|error| error.to_string()));
        match taken {
            Ok(()) => tracing::info!("secrets and certificates were read anew"),
            Err(error) => {
                tracing::error!(%error, "secrets and certificates stay as they were");
            }
        }
    }
}

/// What is wrong with the address or the folder is the caller's to mend.
pub(super) fn failure(error: ServeError) -> Failure {
    match error {
        ServeError::NoSecret
        | ServeError::Tls(_)
        | ServeError::Issuer(_)
        | ServeError::Templates(_)
        | ServeError::Template { .. } => Failure::Usage(error.to_string()),
        _ => Failure::failed(error),
    }
}

/// The environment, as far as it is text.
pub(super) fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn signals(error: &std::io::Error) -> Failure {
    Failure::Failed(format!("cannot listen for signals: {error}"))
}

/// Ends when the process is asked to end.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| signals(&error))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| signals(&error))?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
