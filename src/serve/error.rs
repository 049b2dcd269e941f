//! Why the service could not start, or had to stop.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The service could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The data folder cannot be used.
    #[error("the data folder {path}: {source}; give a folder that this user may write with --data")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process serves the same folder.
    #[error(
        "the data folder {path} is in use by another process; stop that one, or give another folder with --data"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; give another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The address of the PostgreSQL wire cannot be listened on.
    #[error("cannot listen on {address}: {source}; give another address as postgres.listen")]
    ListenPostgres {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing to check tokens with.
    #[error(
        "jwt_secret is not set; set TIDEMARK_JWT_SECRET to at least 32 random bytes, or jwt_secret_file or oidc.issuer in the configuration"
    )]
    NoSecret,
    /// The issuer cannot be used.
    #[error("oidc.issuer: {0}")]
    Issuer(#[from] tenancy::IssuerError),
    /// Certificate and key cannot be used.
    #[error(transparent)]
    Tls(#[from] crate::http::TlsError),
    /// The templates of the configuration cannot be used.
    #[error(transparent)]
    Templates(#[from] tenancy::templates::TemplateError),
    /// What a template gives is not as it must be.
    #[error("the template `{name}`: {source}")]
    Template {
        /// Its name.
        name: String,
        /// What is not.
        source: Box<crate::onboarding::OnboardingError>,
    },
    /// The control store cannot be used.
    #[error("the control store: {0}")]
    Control(#[from] tenancy::StoreError),
    /// The audit's key cannot be read or made.
    #[error("the audit: {0}")]
    Audit(#[from] tenancy::audit::AuditKeyError),
    /// The audit is sealed with another key than the one that was given.
    #[error(
        "the audit is sealed with the key {sealed}, and {given} was given: what came now could not be told from a forgery; give all nodes the key that it is sealed with (audit_key_file, or audit.key in the data folder), or, if it was changed on purpose, run `tidemark audit reseal --former-key FILE`"
    )]
    AuditKeyChanged {
        /// The id of the key that it is sealed with.
        sealed: String,
        /// The id of the key in the configuration.
        given: String,
    },
    /// A registered event type cannot be read.
    #[error("the control store: {0}")]
    EventType(#[from] crate::event_types::DamagedType),
    /// What other nodes have changed cannot be read.
    #[error("the control store: {0}")]
    Changes(#[from] crate::event_types::RefreshError),
    /// The object store cannot be opened.
    #[error(transparent)]
    Objects(#[from] ingest::objects::ObjectsError),
    /// The checkpoints cannot be used, or the partition belongs to another process.
    #[error("the checkpoints: {0}")]
    Checkpoint(#[from] ingest::checkpoint::CheckpointError),
    /// A checkpoint could not be made, and none can be.
    #[error("the checkpoints: {0}")]
    Checkpointer(#[from] super::checkpointer::CheckpointFailure),
    /// The history cannot be read.
    #[error("the history: {0}")]
    History(#[from] ingest::history::HistoryError),
    /// The log cannot be used or replayed.
    #[error("the log: {0}")]
    Log(#[from] ingest::LogError),
    /// The dates of today cannot be recorded.
    #[error("the log: {0}")]
    Intake(#[from] ingest::IntakeError),
    /// Kafka cannot be read.
    #[error(transparent)]
    Source(#[from] ingest::SourceError),
    /// A built-in view does not compile.
    #[error(transparent)]
    View(#[from] projections::DefineError),
    /// The tenants' own views cannot be loaded or maintained.
    #[error("the own views: {0}")]
    OwnViews(#[from] crate::own_views::OwnViewError),
    /// The query engine cannot be set up.
    #[error("the query engine: {0}")]
    Queries(#[from] query::QueryError),
    /// A part that must run for as long as the service does has ended.
    #[error(
        "{0} ended unexpectedly; the service stops rather than answer from stale figures: see the log above, and start it again"
    )]
    Ended(&'static str),
    /// Something did not end within the time of an ordered shutdown.
    #[error(
        "{0} did not end in time; what was acknowledged is in the log and is replayed at the next start"
    )]
    Slow(&'static str),
    /// The operating system refused a thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}
