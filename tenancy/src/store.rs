//! The control store: tenants, and what they have registered and defined, in a file of SQLite or a
//! database of PostgreSQL.
//!
//! There is one set of queries for both, over sqlx's `Any`: `$1` for a parameter, `ON CONFLICT`,
//! `RETURNING`, and no function of one engine only. Every query runs in a transaction that says whose
//! rows it may see ([`scope`]).

/// The columns of a record, in the order in which they are read.
macro_rules! columns {
    () => {
        "number, id, name, timezone, currency, locale, clock, vertical, modules, branding, \
         created_at, template"
    };
}

mod alert_decisions;
mod alert_deliveries;
mod alert_rules;
mod alert_transitions;
mod alerts;
mod audit;
mod changes;
mod checkpoints;
mod custom_fields;
mod dashboards;
mod database;
mod dead_letters;
mod deleted_parts;
mod deletion;
mod event_types;
mod migrations;
mod nodes;
mod own_views;
mod position_marks;
mod queued_runs;
mod reading;
mod report_deliveries;
mod report_jobs;
mod report_runs;
mod reports;
mod revocations;
mod scope;
mod service_tokens;
mod source;
mod sql;
mod templates;
mod writer;

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, FromRow};

pub use self::alert_decisions::{AlertBounds, AlertSubject, Decided, Decision};
pub use self::alert_deliveries::{StoredAlertDelivery, StoredNotice};
pub use self::alert_rules::{RuleState, StoredAlertRule};
pub use self::alert_transitions::{StoredTransition, TransitionKind};
pub use self::alerts::{AlertFilter, AlertState, Fence, StoredAlert};
pub use self::checkpoints::{CommitOutcome, StoredCheckpoint};
pub(crate) use self::dashboards::Change as DashboardChange;
pub use self::database::{Access, Database, Server};
pub use self::dead_letters::{Beyond, DeadLetterLimits, NewDeadLetter, Overflow, StoredDeadLetter};
pub use self::deletion::{Erasure, Tombstone};
pub use self::event_types::StoredEventType;
pub use self::nodes::{Ownership, StoredNode, StoredPartition};
pub use self::own_views::StoredView;
pub use self::position_marks::PositionMark;
pub use self::queued_runs::NewRun;
pub use self::report_deliveries::StoredDelivery;
pub use self::report_jobs::{JobKind, ReportJob};
pub use self::report_runs::{FinishedRun, RunState, StoredRun};
pub use self::reports::{StoredOwner, StoredReport};
pub use self::revocations::StoredRevocation;
use self::scope::Scope;
pub use self::service_tokens::StoredServiceToken;
pub use self::templates::{
    GivenTemplate, RemovedPart, SwitchedModules, TemplateGift, TemplateUpdate, UpdatedDashboard,
};
use self::writer::Writer;
use crate::change::timezone;
use crate::{MODULES, NewTenant, StoreError, TenantChange, TenantId, TenantRecord};

/// How long a statement waits for another's lock in a file. Who waits looks now and then, in no order, so
/// that on a slow disk a busy other process can come first many times.
const LOCK_PATIENCE: Duration = Duration::from_secs(15);
/// How long a connection is waited for. All of a server's may be held by some who wait for a lock.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(15);

/// The control store. Cheap to clone; all clones share one bounded pool of connections. A file is
/// written to by one more, which writers have in turns.
///
/// What a method has answered is on disk (`synchronous=FULL`; in PostgreSQL as its
/// `synchronous_commit` says).
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
    engine: Engine,
}

/// What keeps the store.
#[derive(Clone, Debug)]
enum Engine {
    /// A file; the pool's connections only read it.
    Sqlite(Writer),
    /// As it was opened; its password may be another by now.
    Postgres(Server),
}

impl Store {
    /// Opens a file, creating it where it is missing (its folder must exist), and applies the
    /// migrations it does not have yet.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::connect(&Access::file(path)).await
    }

    /// Opens a store and applies the migrations it does not have yet: to a file always, to a
    /// database of PostgreSQL where its owner is known; otherwise they must be there. A role of the
    /// service that row-level security would not bind is refused.
    pub async fn connect(access: &Access) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        Self::migrate(access).await?;
        let failed = |source| StoreError::Open { place: access.database.to_string(), source };
        let options = AnyPoolOptions::new()
            .max_connections(access.connections)
            .acquire_timeout(CONNECTION_PATIENCE);
        match &access.database {
            Database::File(path) => {
                let url = database::file_url(path);
                let options = options.after_connect(|connection, _| Box::pin(prepare(connection)));
                let pool = options.clone().connect(&url).await.map_err(failed)?;
                let writer = Writer::new(options, &url).map_err(failed)?;
                Ok(Self { pool, engine: Engine::Sqlite(writer) })
            }
            Database::Server(server) => {
                migrations::check_server(server).await?;
                let pool = options.connect(&server.pooled_url()).await.map_err(failed)?;
                Ok(Self { pool, engine: Engine::Postgres(server.clone()) })
            }
        }
    }

    /// Applies the migrations that a store does not have yet, where it is a file or its owner is
    /// known.
    pub async fn migrate(access: &Access) -> Result<(), StoreError> {
        match (&access.database, &access.owner) {
            (Database::File(path), None) => migrations::migrate_file(path).await,
            (Database::Server(_), None) => Ok(()),
            (Database::Server(service), Some(Database::Server(owner))) => {
                migrations::migrate_server(owner, service).await
            }
            (database, Some(owner)) => Err(StoreError::Role {
                place: database.to_string(),
                reason: format!(
                    "its owner is given as {owner}, but only databases of PostgreSQL have one: \
                     give both URLs, or remove database_migrate_url"
                ),
            }),
        }
    }

    /// Closes the connections, after the statements under way.
    pub async fn close(&self) {
        if let Engine::Sqlite(writer) = &self.engine {
            writer.close().await;
        }
        self.pool.close().await;
    }

    /// Has connections that are made from now on use the password of this address; those that there
    /// are go on. Where it is no other address of the same database for the same role, nothing is
    /// taken, as its password is nobody else's affair: the answer is false then.
    pub fn replace_password(&self, database: &Database) -> Result<bool, StoreError> {
        let (Engine::Postgres(opened), Database::Server(server)) = (&self.engine, database) else {
            return Ok(self.is_file() && matches!(database, Database::File(_)));
        };
        if server.to_string() != opened.to_string() {
            return Ok(false);
        }
        let failed = |source| StoreError::Open { place: server.to_string(), source };
        let options: AnyConnectOptions = server.pooled_url().parse().map_err(failed)?;
        self.pool.set_connect_options(options);
        Ok(true)
    }

    fn is_file(&self) -> bool {
        matches!(self.engine, Engine::Sqlite(_))
    }

    /// Creates a tenant. [`StoreError::Conflict`] where there is one with its id,
    /// [`StoreError::Deleted`] where there was one. Where its vertical has a template, that one's
    /// modules are on unless some are named, and what else it has is still to be given
    /// ([`Store::finish_template`]).
    pub async fn create_tenant(&self, new: NewTenant) -> Result<TenantRecord, StoreError> {
        let new = new.checked()?;
        let template = new.template();
        let modules = new.modules.or_else(|| template.map(|template| template.modules.clone()));
        let failed = |source| StoreError::Database { doing: "creating a tenant", source };
        let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
        // Read to the end: a statement that changes is done only then. The condition keeps PostgreSQL from drawing a number for an id that is taken.
        let rows: Vec<TenantRow> = sql::query_as(concat!(
            "INSERT INTO tenants \
             (id, name, timezone, currency, locale, clock, vertical, modules, branding, \
             created_at, template) \
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 \
             WHERE NOT EXISTS (SELECT 1 FROM tenants WHERE id = $1) \
             ON CONFLICT (id) DO NOTHING RETURNING ",
            columns!()
        ))
        .bind(new.id.as_str())
        .bind(new.name)
        .bind(new.timezone.name())
        .bind(new.currency.as_str())
        .bind(new.locale.as_str())
        .bind(new.clock.to_string())
        .bind(new.vertical)
        .bind(modules.map(json_array))
        .bind(new.branding.map(json_object))
        .bind(Utc::now().timestamp_micros())
        .bind(template.map(|template| template.vertical.as_str()))
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        match rows.into_iter().next() {
            Some(row) => row.record(),
            None if self.tombstone(&new.id).await?.is_some() => {
                Err(StoreError::Deleted { id: new.id })
            }
            None => Err(StoreError::Conflict { id: new.id }),
        }
    }

    /// All tenants that are not deleted, in the order of their creation.
    pub async fn tenants(&self) -> Result<Vec<TenantRecord>, StoreError> {
        let statement = sql::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM tenants WHERE deleted_at IS NULL ORDER BY number"
        ));
        let rows: Vec<TenantRow> =
            self.rows(Scope::Platform, "listing the tenants", statement).await?;
        rows.into_iter().map(TenantRow::record).collect()
    }

    /// The tenant with this id, if there is one.
    pub async fn tenant(&self, id: &TenantId) -> Result<Option<TenantRecord>, StoreError> {
        let statement = sql::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM tenants WHERE id = $1 AND deleted_at IS NULL"
        ))
        .bind(id.as_str());
        let row: Option<TenantRow> =
            self.row(Scope::Platform, "reading a tenant", statement).await?;
        row.map(TenantRow::record).transpose()
    }

    /// Changes a tenant in one step and answers what it is then. [`StoreError::NotFound`] where
    /// there is none with this id.
    pub async fn update_tenant(
        &self,
        id: &TenantId,
        change: TenantChange,
    ) -> Result<TenantRecord, StoreError> {
        let change = change.checked()?;
        let failed = |source| StoreError::Database { doing: "changing a tenant", source };
        let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
        let rows: Vec<TenantRow> = sql::query_as(concat!(
            "UPDATE tenants SET name = coalesce($2, name), timezone = coalesce($3, timezone), \
             currency = coalesce($4, currency), locale = coalesce($5, locale), \
             clock = coalesce($6, clock), \
             vertical = CASE WHEN $7 THEN $8 ELSE vertical END, \
             modules = CASE WHEN $9 THEN $10 ELSE modules END, \
             branding = CASE WHEN $11 THEN $12 ELSE branding END \
             WHERE id = $1 AND deleted_at IS NULL RETURNING ",
            columns!()
        ))
        .bind(id.as_str())
        .bind(change.name)
        .bind(change.timezone.map(chrono_tz::Tz::name))
        .bind(change.currency.map(String::from))
        .bind(change.locale.map(String::from))
        .bind(change.clock.map(String::from))
        .bind(change.vertical.is_some())
        .bind(change.vertical.flatten())
        .bind(change.modules.is_some())
        .bind(change.modules.flatten().map(json_array))
        .bind(change.branding.is_some())
        .bind(change.branding.flatten().map(json_object))
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        match rows.into_iter().next() {
            Some(row) => row.record(),
            None => Err(StoreError::NotFound { id: id.clone() }),
        }
    }
}

/// Sets a new connection to a file up.
async fn prepare(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let patience = LOCK_PATIENCE.as_millis();
    // Nothing but a number of this file is put in.
    sqlx::raw_sql(AssertSqlSafe(format!(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = {patience}"
    )))
    .execute(connection)
    .await
    .map(drop)
}

/// Text from outside without NUL, which PostgreSQL cannot keep.
fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn json_array(items: Vec<String>) -> String {
    Value::from(items).to_string()
}

fn json_object(object: Map<String, Value>) -> String {
    Value::Object(object).to_string()
}

/// A row as it is stored.
#[derive(FromRow)]
struct TenantRow {
    number: i64,
    id: String,
    name: String,
    timezone: String,
    currency: String,
    locale: String,
    clock: String,
    vertical: Option<String>,
    modules: Option<String>,
    branding: Option<String>,
    created_at: i64,
    template: Option<String>,
}

impl TenantRow {
    fn record(self) -> Result<TenantRecord, StoreError> {
        let number = self.number;
        let damaged = |field, message: String| StoreError::Damaged { number, field, message };
        let modules = match self.modules {
            None => MODULES.map(str::to_owned).to_vec(),
            Some(json) => {
                serde_json::from_str(&json).map_err(|e| damaged("modules", e.to_string()))?
            }
        };
        let branding = self.branding.map(|json| serde_json::from_str(&json)).transpose();
        Ok(TenantRecord {
            number: u32::try_from(number).map_err(|e| damaged("number", e.to_string()))?,
            id: self.id.try_into().map_err(|e: crate::Invalid| damaged("id", e.message))?,
            name: self.name,
            timezone: timezone(&self.timezone).map_err(|e| damaged("timezone", e.message))?,
            currency: self
                .currency
                .parse()
                .map_err(|e: crate::Invalid| damaged("currency", e.message))?,
            locale: self
                .locale
                .parse()
                .map_err(|e: crate::Invalid| damaged("locale", e.message))?,
            clock: self.clock.parse().map_err(|e: crate::Invalid| damaged("clock", e.message))?,
            vertical: self.vertical,
            modules,
            branding: branding.map_err(|e| damaged("branding", e.to_string()))?,
            created_at: DateTime::from_timestamp_micros(self.created_at)
                .ok_or_else(|| damaged("created_at", "is out of range".to_owned()))?,
            template: self.template,
        })
    }
}

#[cfg(test)]
mod audit_tests;
#[cfg(test)]
mod dead_letters_tests;
#[cfg(test)]
pub(crate) mod places;
#[cfg(test)]
mod pooler_tests;
#[cfg(test)]
mod security_tests;
#[cfg(test)]
mod tests;
