//! Whose rows a transaction sees. Every statement of the store runs in a transaction that says so.
//!
//! In PostgreSQL row-level security compares it with every row: the settings are made for one
//! transaction, in the message that begins it, so that they cost no round trip and hold behind a
//! pooler that gives each transaction another connection. SQLite knows nothing of it; there the
//! condition on the tenant, which every statement has anyway, is all.

use sqlx::{Any, AssertSqlSafe, Transaction};

use super::{Engine, Store, sql};

/// Whose rows a transaction sees.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope {
    /// Those of the tenant with this number, and no others.
    Tenant(u32),
    /// What belongs to the platform; and of the tables of tenants those that a policy opens to it
    /// for reading, which are listed in docs/tenants.md.
    Platform,
}

/// Milliseconds for which a transaction of PostgreSQL may do nothing. Then the server ends it and its
/// connection: who is halted or cut off in the middle of one does not keep its locks.
const IDLE_PATIENCE: u32 = 5_000;
/// Milliseconds for which a statement waits for another's lock: longer, so that it gets that of one
/// who is halted, …
const LOCK_PATIENCE: u32 = 2 * IDLE_PATIENCE;
/// … and for which it runs.
const STATEMENT_PATIENCE: u32 = 30_000;
/// Where the turns of tenants begin among the locks that PostgreSQL knows by a number.
const TURNS: i64 = 0x7469_6465 << 32;

impl Store {
    /// Begins a transaction that only reads, all of it at one moment.
    pub(super) async fn read(
        &self,
        scope: Scope,
    ) -> Result<Transaction<'static, Any>, sqlx::Error> {
        if self.is_file() {
            return self.pool.begin().await;
        }
        self.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", scope).await
    }

    /// Begins a transaction that writes.
    pub(super) async fn write(
        &self,
        scope: Scope,
    ) -> Result<Transaction<'static, Any>, sqlx::Error> {
        match &self.engine {
            Engine::Sqlite(writer) => writer.begin().await,
            Engine::Postgres(_) => self.begin("BEGIN", scope).await,
        }
    }

    /// Begins a transaction that writes rows of a tenant, in turns with the others that this begins
    /// for it: what it counts stays so until its end. A file has one writer at a time anyway.
    pub(super) async fn write_in_turn(
        &self,
        tenant: u32,
    ) -> Result<Transaction<'static, Any>, sqlx::Error> {
        let mut transaction = self.write(Scope::Tenant(tenant)).await?;
        if !self.is_file() {
            // What the function answers cannot be read, so it stands where rows come from.
            sql::query("SELECT 1 FROM pg_advisory_xact_lock($1)")
                .bind(TURNS | i64::from(tenant))
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction)
    }

    async fn begin(
        &self,
        begin: &str,
        scope: Scope,
    ) -> Result<Transaction<'static, Any>, sqlx::Error> {
        let (tenant, platform) = match scope {
            Scope::Tenant(tenant) => (tenant.to_string(), ""),
            Scope::Platform => (String::new(), "on"),
        };
        // Of what is put in here one is a number, and the others are from this file.
        let statement = format!(
            "{begin}; SELECT set_config('app.current_tenant', '{tenant}', true), \
             set_config('app.platform', '{platform}', true), \
             set_config('idle_in_transaction_session_timeout', '{IDLE_PATIENCE}', true), \
             set_config('lock_timeout', '{LOCK_PATIENCE}', true), \
             set_config('statement_timeout', '{STATEMENT_PATIENCE}', true)"
        );
        self.pool.begin_with(AssertSqlSafe(statement)).await
    }

    /// Lets a transaction of the platform write rows of this tenant too, and of no other.
    pub(super) async fn enter(
        &self,
        transaction: &mut Transaction<'static, Any>,
        tenant: u32,
    ) -> Result<(), sqlx::Error> {
        if self.is_file() {
            return Ok(());
        }
        sql::query("SELECT set_config('app.current_tenant', $1, true)")
            .bind(tenant.to_string())
            .execute(&mut **transaction)
            .await
            .map(drop)
    }
}

#[cfg(test)]
#[path = "scope_tests.rs"]
mod tests;
