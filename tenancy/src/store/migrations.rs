//! Bringing the schema of a control store up to date, and refusing one that does not fit.
//!
//! In PostgreSQL two roles have a hand in it: the owner of the tables applies the migrations, and
//! then grants the role of the service what it needs, which is no more than reading and writing rows.

use std::fs::{File, OpenOptions};
use std::path::Path;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::LOCK_PATIENCE;
use super::database::Server;
use crate::StoreError;

pub(super) static SQLITE: Migrator = sqlx::migrate!("../migrations/sqlite");
pub(super) static POSTGRES: Migrator = sqlx::migrate!("../migrations/postgres");

/// The lock of PostgreSQL under which one process at a time migrates and grants.
const TURN: i64 = 0x7469_6465_6d61_726b;

/// Makes the file where it is missing (its folder must exist), sets it to WAL, and applies the
/// migrations that it does not have.
pub(super) async fn migrate_file(path: &Path) -> Result<(), StoreError> {
    let _turn = turn(path).await?;
    let opening = |source| StoreError::Open { place: path.display().to_string(), source };
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .foreign_keys(true)
        .busy_timeout(LOCK_PATIENCE)
        .connect()
        .await
        .map_err(opening)?;
    let migrated = migrate_sqlite(&mut connection).await;
    connection.close().await.map_err(opening)?;
    migrated.map_err(|source| refused(&path.display().to_string(), source, FILE))
}

// `run` would not let a task be spawned that waits for it.
async fn migrate_sqlite(connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    SQLITE.run_direct(None, connection, false).await
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
        let place = path.display().to_string();
        locked.map_err(|error| StoreError::Open { place, source: error.into() })
    };
    tokio::task::spawn_blocking(locked).await?
}

/// Applies the migrations as the owner of the tables, and grants the service's role what it needs.
pub(super) async fn migrate_server(owner: &Server, service: &Server) -> Result<(), StoreError> {
    if owner.role() == service.role() {
        return Err(StoreError::Role {
            place: service.to_string(),
            reason: "database_url and database_migrate_url name the same role, and row-level \
                     security needs two: give the service a role that owns nothing"
                .to_owned(),
        });
    }
    let place = owner.to_string();
    let opening = |source| StoreError::Open { place: place.clone(), source };
    let mut connection = owner.options().clone().connect().await.map_err(opening)?;
    let migrated = migrate_postgres(&mut connection, service.role()).await;
    // What the lock was for is done; it ends with the connection in any case.
    connection.close().await.map_err(opening)?;
    migrated.map_err(|source| refused(&place, source, SERVER))
}

async fn migrate_postgres(connection: &mut PgConnection, role: &str) -> Result<(), MigrateError> {
    sqlx::query("SELECT pg_advisory_lock($1)").bind(TURN).execute(&mut *connection).await?;
    POSTGRES.run_direct(None, &mut *connection, false).await?;
    let (schema,): (String,) =
        sqlx::query_as("SELECT quote_ident(current_schema())").fetch_one(&mut *connection).await?;
    let (role,): (String,) =
        sqlx::query_as("SELECT quote_ident($1)").bind(role).fetch_one(&mut *connection).await?;
    let grants = format!(
        "BEGIN; GRANT USAGE ON SCHEMA {schema} TO {role}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}; \
         REVOKE INSERT, UPDATE, DELETE ON _sqlx_migrations FROM {role}; \
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}; COMMIT"
    );
    sqlx::raw_sql(AssertSqlSafe(grants)).execute(connection).await?;
    Ok(())
}

/// Refuses a role that row-level security would not bind, and a schema that is not this version's.
pub(super) async fn check_server(service: &Server) -> Result<(), StoreError> {
    let place = service.to_string();
    let opening = |source| StoreError::Open { place: place.clone(), source };
    let mut connection = service.options().clone().connect().await.map_err(opening)?;
    let checked = check(&mut connection, service).await;
    connection.close().await.map_err(opening)?;
    checked
}

async fn check(connection: &mut PgConnection, service: &Server) -> Result<(), StoreError> {
    let place = service.to_string();
    let failed = |source| StoreError::Database { doing: "checking the schema", source };
    // In one transaction and without a name, as all that may go through a pooler (`sql`).
    let mut transaction = connection.begin().await.map_err(failed)?;
    let (exempt, owning): (bool, bool) = sqlx::query_as(
        "SELECT EXISTS (SELECT 1 FROM pg_roles r WHERE (r.rolsuper OR r.rolbypassrls) \
         AND pg_has_role(current_user, r.oid, 'MEMBER')), \
         EXISTS (SELECT 1 FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace \
         AND c.relkind IN ('r', 'p') AND pg_has_role(current_user, c.relowner, 'MEMBER'))",
    )
    .persistent(false)
    .fetch_one(&mut *transaction)
    .await
    .map_err(failed)?;
    if exempt || owning {
        let what = if exempt { "may bypass row-level security" } else { "owns its tables" };
        return Err(StoreError::Role {
            place,
            reason: format!(
                "its role {what}, and would see the rows of all tenants: let the service connect \
                 as a role of its own, and give the owner's as database_migrate_url"
            ),
        });
    }
    let (known,): (bool,) = sqlx::query_as("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .persistent(false)
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed)?;
    let applied: Vec<(i64, Vec<u8>)> = if known {
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success")
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?
    } else {
        Vec::new()
    };
    transaction.commit().await.map_err(failed)?;
    fits(&applied).map_err(|source| refused(&place, source, SERVER))
}

/// Whether what was applied is what this version has.
fn fits(applied: &[(i64, Vec<u8>)]) -> Result<(), MigrateError> {
    for (version, checksum) in applied {
        let ours = POSTGRES.iter().find(|migration| migration.version == *version);
        let ours = ours.ok_or(MigrateError::VersionMissing(*version))?;
        if *ours.checksum != **checksum {
            return Err(MigrateError::VersionMismatch(*version));
        }
    }
    let missing =
        POSTGRES.iter().find(|m| !applied.iter().any(|(version, _)| *version == m.version));
    missing.map_or(Ok(()), |migration| Err(MigrateError::VersionNotPresent(migration.version)))
}

/// The way out where nothing else is known: of a file, …
const FILE: &str = "restore the file from a backup, or move it away to begin anew";
/// … and of a database.
const SERVER: &str = "see that database_migrate_url names a role that may create tables in the \
                      schema, or restore the database from a backup";

fn refused(place: &str, source: MigrateError, way_out: &str) -> StoreError {
    let reason = match &source {
        MigrateError::VersionMissing(version) => format!(
            "it has the migration {version}, which this version does not know; run the version that made it, or a newer one"
        ),
        MigrateError::VersionMismatch(version) => format!(
            "its migration {version} is not the one of this version; run the version that made it"
        ),
        MigrateError::VersionNotPresent(version) => format!(
            "it lacks the migration {version}; run `tidemark migrate` with database_migrate_url, the owner of the tables"
        ),
        other => format!("{other}; {way_out}"),
    };
    StoreError::Migration { place: place.to_owned(), reason, source }
}
