//! A service that runs: how it is reached, what can be replaced in it, and how it is taken down.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ingest::{Log, SchemaRegistry};
use tenancy::Store;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{DRAIN_TIME, Folder, ServeError};
use crate::background::Background;
use crate::config::Config;
use crate::http::{App, Tls};

/// For calls in progress to be answered at shutdown.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// A service that runs.
pub(crate) struct Running {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    pub(super) app: Arc<App>,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) store: Store,
    pub(super) registry: Option<SchemaRegistry>,
    /// Holds the partitions: takes them up, keeps them, and lets go of them at the end. Ends by
    /// itself only with an error.
    pub(super) keeper: JoinHandle<Result<(), ServeError>>,
    pub(super) accepting: JoinHandle<()>,
    pub(super) connections: TaskTracker,
    /// Takes no new connections.
    pub(super) closing: CancellationToken,
    /// Lets go of the partitions.
    pub(super) ending: CancellationToken,
    pub(super) log: Option<Log>,
    /// Writes the audit.
    pub(super) writer: JoinHandle<()>,
    /// Of the tasks above.
    pub(super) _background: Background,
    // Last, so that it is let go of last.
    pub(super) _folder: Folder,
}

/// What can be replaced while the service runs.
pub(crate) struct Keys {
    app: Arc<App>,
    tls: Option<Arc<Tls>>,
    store: Store,
    registry: Option<SchemaRegistry>,
}

impl Keys {
    /// Takes secrets, certificate and key from a configuration; the rest of it stays as it was at
    /// the start. What cannot be used changes nothing. A secret for another place than at the start is
    /// passed over, and named in the log: it is not shown to the place that is in use.
    pub(crate) fn replace(&self, config: &Config) -> Result<(), ServeError> {
        // The issuer is that of the start, whatever the configuration says of one by now.
        if config.jwt_secrets.is_empty() && self.app.verifier().issuer().is_none() {
            return Err(ServeError::NoSecret);
        }
        if let Some(tls) = &self.tls {
            tls.replace(&config.tls)?;
        }
        let is_same_database = self.store.replace_password(&config.control_store().database)?;
        self.app.verifier().replace_secrets(&config.jwt_secrets);
        self.app.reports.replace_smtp(config.reports.smtp.clone());
        let is_same_registry = match (&self.registry, &config.schema_registry) {
            (Some(registry), Some(other)) => registry.replace_user(other),
            (None, None) => true,
            _ => false,
        };
        let is_same_issuer = match self.app.verifier().issuer() {
            Some(issuer) => issuer.replace_secrets(&config.oidc),
            None => config.oidc.issuer.is_empty(),
        };
        for (key, is_same) in [
            ("database_url", is_same_database),
            ("schema_registry_url", is_same_registry),
            ("oidc.*", is_same_issuer),
        ] {
            if !is_same {
                tracing::warn!(key, "it leads elsewhere than at the start, which needs a restart");
            }
        }
        Ok(())
    }
}

impl Running {
    /// What can be replaced while it runs.
    pub(crate) fn keys(&self) -> Keys {
        Keys {
            app: Arc::clone(&self.app),
            tls: self.tls.clone(),
            store: self.store.clone(),
            registry: self.registry.clone(),
        }
    }

    /// How a client reaches it.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves until `signal`, or until a part fails that the rest rests on; then ends all parts in
    /// order.
    pub(crate) async fn until_shutdown(
        mut self,
        signal: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let mut is_kept = true;
        let outcome = tokio::select! {
            () = signal => Ok(()),
            ended = &mut self.keeper => {
                is_kept = false;
                match ended {
                    Ok(Err(error)) => Err(error),
                    Ok(Ok(())) | Err(_) => Err(ServeError::Ended("the keeper of the partitions")),
                }
            }
            _ = &mut self.accepting => Err(ServeError::Ended("the listener")),
        };
        if let Err(error) = &outcome {
            tracing::error!(%error, "stopping");
        } else {
            tracing::info!("stopping");
        }
        outcome.and(self.close(is_kept).await)
    }

    /// No new connections, live streams told, calls answered, what is queued written and applied,
    /// stores closed; each step within its time.
    async fn close(self, is_kept: bool) -> Result<(), ServeError> {
        self.closing.cancel();
        self.app.hub.close();
        self.connections.close();
        let answered = async { tokio::join!(self.connections.wait(), self.app.hub.closed()) };
        if timeout(ANSWER_TIME, answered).await.is_err() {
            let (calls, live) = (self.connections.len(), self.app.hub.connections());
            tracing::warn!(calls, live, "connections were cut off");
        }
        self.app.own_views.close();
        self.ending.cancel();
        let mut outcome = Ok(());
        if is_kept {
            let ended = self.keeper.await;
            outcome = ended.unwrap_or(Err(ServeError::Ended("the keeper of the partitions")));
        }
        if let Some(log) = self.log {
            log.close().await;
        }
        self.app.audit.settle(true);
        self.app.audit.trail.close();
        if timeout(2 * DRAIN_TIME, self.writer).await.is_err() {
            tracing::warn!("the last records of the audit are not written");
        }
        tracing::info!("stopped");
        outcome
    }
}
