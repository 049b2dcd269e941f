//! The control store: tenants, and what they have registered and defined, in an SQLite file.

/// The columns of a record, in the order in which they are read.
macro_rules! columns {
    () => {
        "number, id, name, timezone, currency, clock, vertical, modules, branding, created_at"
    };
}

mod changes;
mod checkpoints;
mod dead_letters;
mod deletion;
mod event_types;
mod nodes;
mod own_views;

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::FromRow;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

pub use self::checkpoints::{CommitOutcome, StoredCheckpoint};
pub use self::dead_letters::{NewDeadLetter, StoredDeadLetter};
pub use self::deletion::{AuditRecord, Tombstone};
pub use self::nodes::{Ownership, StoredNode, StoredPartition};
pub use self::own_views::StoredView;
use crate::change::timezone;
use crate::{MODULES, NewTenant, StoreError, TenantChange, TenantId, TenantRecord};

pub use event_types::StoredEventType;

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// Connections at once. SQLite has one writer; the others read.
const CONNECTIONS: u32 = 4;
/// How long a statement waits for another's lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// The control store. Cheap to clone; all clones share one bounded pool of connections.
///
/// What a method has answered is on disk (`synchronous=FULL`).
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
}

/// Waits until no other process opens the file, and has it to itself for as long as what this gives
/// lives: nodes that share it may begin at the same moment, and neither the change to WAL nor the
/// migrations bear that.
async fn turn(path: &Path) -> Result<File, StoreError> {
    let path = path.to_owned();
    let locked = move || {
        let mut name = path.clone().into_os_string();
        name.push(".lock");
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(name);
        let locked = opened.and_then(|file| file.lock().map(|()| file));
        locked.map_err(|error| StoreError::Open { path, source: error.into() })
    };
    tokio::task::spawn_blocking(locked).await?
}

impl Store {
    /// Opens the file, creating it where it is missing (its folder must exist), and applies the
    /// migrations it does not have yet.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let turn = turn(path).await?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(2 * PATIENCE)
            .connect_with(options)
            .await
            .map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
        let migrated = MIGRATIONS.run(&pool).await;
        drop(turn);
        if let Err(source) = migrated {
            pool.close().await;
            let reason = migration_reason(&source);
            return Err(StoreError::Migration { path: path.to_owned(), reason, source });
        }
        Ok(Self { pool })
    }

    /// Closes the file, after the statements under way.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Creates a tenant. [`StoreError::Conflict`] where there is one with its id,
    /// [`StoreError::Deleted`] where there was one.
    pub async fn create_tenant(&self, new: NewTenant) -> Result<TenantRecord, StoreError> {
        let new = new.checked()?;
        // Read to the end: the insertion is committed when the statement is done, not when it has
        // answered its row.
        let rows = sqlx::query_as::<_, TenantRow>(concat!(
            "INSERT INTO tenants (id, name, timezone, currency, clock, vertical, modules, branding, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO NOTHING RETURNING ",
            columns!()
        ))
        .bind(new.id.as_str())
        .bind(new.name)
        .bind(new.timezone.name())
        .bind(new.currency.as_str())
        .bind(new.clock.to_string())
        .bind(new.vertical)
        .bind(new.modules.map(json_array))
        .bind(new.branding.map(json_object))
        .bind(Utc::now().timestamp_micros())
        .fetch_all(&self.pool)
        .await
        .map_err(|source| StoreError::Database { doing: "creating a tenant", source })?;
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
        sqlx::query_as::<_, TenantRow>(concat!(
            "SELECT ",
            columns!(),
            " FROM tenants WHERE deleted_at IS NULL ORDER BY number"
        ))
        .fetch_all(&self.pool)
        .await
        .map_err(|source| StoreError::Database { doing: "listing the tenants", source })?
        .into_iter()
        .map(TenantRow::record)
        .collect()
    }

    /// The tenant with this id, if there is one.
    pub async fn tenant(&self, id: &TenantId) -> Result<Option<TenantRecord>, StoreError> {
        sqlx::query_as::<_, TenantRow>(concat!(
            "SELECT ",
            columns!(),
            " FROM tenants WHERE id = ?1 AND deleted_at IS NULL"
        ))
        .bind(id.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(|source| StoreError::Database { doing: "reading a tenant", source })?
        .map(TenantRow::record)
        .transpose()
    }

    /// Changes a tenant in one step and answers what it is then. [`StoreError::NotFound`] where
    /// there is none with this id.
    pub async fn update_tenant(
        &self,
        id: &TenantId,
        change: TenantChange,
    ) -> Result<TenantRecord, StoreError> {
        let change = change.checked()?;
        let rows = sqlx::query_as::<_, TenantRow>(concat!(
            "UPDATE tenants SET name = coalesce(?2, name), timezone = coalesce(?3, timezone), \
             currency = coalesce(?4, currency), clock = coalesce(?5, clock), \
             vertical = iif(?6, ?7, vertical), modules = iif(?8, ?9, modules), \
             branding = iif(?10, ?11, branding) WHERE id = ?1 AND deleted_at IS NULL RETURNING ",
            columns!()
        ))
        .bind(id.as_str())
        .bind(change.name)
        .bind(change.timezone.map(chrono_tz::Tz::name))
        .bind(change.currency.map(String::from))
        .bind(change.clock.map(String::from))
        .bind(change.vertical.is_some())
        .bind(change.vertical.flatten())
        .bind(change.modules.is_some())
        .bind(change.modules.flatten().map(json_array))
        .bind(change.branding.is_some())
        .bind(change.branding.flatten().map(json_object))
        .fetch_all(&self.pool)
        .await
        .map_err(|source| StoreError::Database { doing: "changing a tenant", source })?;
        match rows.into_iter().next() {
            Some(row) => row.record(),
            None => Err(StoreError::NotFound { id: id.clone() }),
        }
    }
}

fn migration_reason(error: &MigrateError) -> String {
    match error {
        MigrateError::VersionMissing(version) => format!(
            "it has the migration {version}, which this version does not know; run the version that made it, or a newer one"
        ),
        MigrateError::VersionMismatch(version) => format!(
            "its migration {version} is not the one of this version; run the version that made it"
        ),
        other => format!("{other}; restore the file from a backup, or move it away to begin anew"),
    }
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
    clock: String,
    vertical: Option<String>,
    modules: Option<String>,
    branding: Option<String>,
    created_at: i64,
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
            clock: self.clock.parse().map_err(|e: crate::Invalid| damaged("clock", e.message))?,
            vertical: self.vertical,
            modules,
            branding: branding.map_err(|e| damaged("branding", e.to_string()))?,
            created_at: DateTime::from_timestamp_micros(self.created_at)
                .ok_or_else(|| damaged("created_at", "is out of range".to_owned()))?,
        })
    }
}

#[cfg(test)]
mod dead_letters_tests;
#[cfg(test)]
mod tests;
