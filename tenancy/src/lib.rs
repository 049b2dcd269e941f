//! Who may do what, and for whom: tenants, identity, roles, tickets, and the audit of it.
//!
//! **In:** requests of the platform to create and change tenants ([`NewTenant`],
//! [`TenantChange`]), bearer tokens, tickets. **Out:** tenant records ([`Directory`], from memory),
//! who a token speaks for ([`Identity`]), and whether a role may call a route ([`access`]).
//!
//! Tokens are signed with a secret of the service, or by an OIDC issuer ([`Issuer`]) whose keys are
//! asked for over HTTP.
//!
//! What was done is recorded in chains that show what is done to them ([`audit`]). What may be used
//! at a time is counted ([`limits`]).
//!
//! Tenants are kept in the control store ([`Store`]: a file of SQLite or a database of PostgreSQL,
//! through sqlx, migrations embedded).
//!
//! Invariants:
//! - A tenant's number is never given to another tenant, nor ever shown outside.
//! - Reading the [`Directory`] touches no database and no lock that is held during I/O; it holds
//!   what the store holds.
//! - An [`Identity`] exists only through a token that was verified, and speaks either for one tenant
//!   or for the platform, never for both.
//! - A route that [`access::ROUTES`] does not list is granted to nobody.
//! - In PostgreSQL the service's role is bound by row-level security, or the store does not open.
//! - No secret, token or ticket is ever printed, neither by `Debug` nor in an error.

pub mod access;
pub mod audit;
mod branding;
mod change;
mod custom_fields;
pub mod dashboards;
mod directory;
mod error;
mod hex;
mod id;
mod issuer;
pub mod limits;
mod locale;
pub mod modules;
mod revocations;
mod roles;
mod secret;
mod service_tokens;
mod store;
pub mod templates;
mod tenant;
mod tickets;
mod token;

pub use change::{NewTenant, TenantChange, TenantSettings};
pub use custom_fields::{CustomFields, DeclaredField, FieldOrigin, MOST_CUSTOM_FIELDS};
pub use directory::Directory;
pub use error::{Invalid, StoreError};
pub use hex::hex;
pub use id::TenantId;
pub use issuer::{
    Account, ClientSecret, Exchanged, Issuer, IssuerError, IssuerSettings, Pace, PageClient,
    SignIn, SignInError,
};
pub use locale::Locale;
pub use modules::MODULES;
pub use revocations::{RevocationError, Revocations};
pub use roles::{Role, RoleSet, UnknownRole};
pub use secret::{Secret, SecretError};
pub use service_tokens::{NewServiceToken, ServiceTokenError, ServiceTokens, ShownToken};
pub use store::{
    Access, AlertBounds, AlertFilter, AlertState, AlertSubject, Beyond, CommitOutcome, Database,
    DeadLetterLimits, Decided, Decision, Erasure, Fence, FinishedRun, GivenTemplate, JobKind,
    NewDeadLetter, NewRun, Overflow, Ownership, PositionMark, RemovedPart, ReportJob, RuleState,
    RunState, Server, Store, StoredAlert, StoredAlertDelivery, StoredAlertRule, StoredCheckpoint,
    StoredDeadLetter, StoredDelivery, StoredEventType, StoredNode, StoredNotice, StoredOwner,
    StoredPartition, StoredReport, StoredRevocation, StoredRun, StoredServiceToken,
    StoredTransition, StoredView, SwitchedModules, TemplateGift, TemplateUpdate, Tombstone,
    TransitionKind, UpdatedDashboard,
};
pub use tenant::{Clock, Currency, TenantRecord};
pub use tickets::{Ticket, TicketError, TicketLimits, Tickets};
pub use token::{ClaimNames, Claims, Identity, LEEWAY, TokenError, Verifier, mint};
