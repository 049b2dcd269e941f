//! Tenants that are deleted: from the word that they are, until nothing of them is left but that.

use chrono::{DateTime, Utc};
use sqlx::{AnyConnection, FromRow};

use super::reading::time;
use super::{Engine, Scope, Store, sql, text};
use crate::{StoreError, TenantId};

/// What `platform_audit` calls the deletion of a tenant. Looks at all tenants, which former versions
/// put there too, are in the platform's chain.
const DELETED: &str = "tenant_deleted";
/// Records of an audit that are removed in one transaction: there may be many millions, and a statement
/// of `PostgreSQL` has its time.
const RECORDS: i64 = 20_000;

/// What stays of a tenant that is deleted. Its id and number are never given out again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// What its data was filed under.
    pub number: u32,
    /// Its id.
    pub id: TenantId,
    /// When it was deleted: from then on it is served no more.
    pub deleted_at: DateTime<Utc>,
    /// When nothing of its data was left; none as long as there may be some.
    pub erased_at: Option<DateTime<Utc>>,
}

/// The erasure of a tenant, under way or done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// When the tenant was deleted.
    pub at: DateTime<Utc>,
    /// By whom: the subject of the token.
    pub actor: String,
    /// Which tenant.
    pub tenant: String,
    /// Events that were erased from history.
    pub events: u64,
    /// Files of history that were rewritten or removed for it.
    pub files: u64,
    /// When it was done; none as long as it is not.
    pub finished_at: Option<DateTime<Utc>>,
}

#[derive(FromRow)]
struct Row {
    number: i64,
    id: String,
    deleted_at: i64,
    erased_at: Option<i64>,
}

/// The beginning of a question for tombstones.
macro_rules! stones {
    () => {
        "SELECT number, id, deleted_at, erased_at FROM tenants WHERE deleted_at IS NOT NULL"
    };
}

impl Store {
    /// Says that a tenant is deleted, and by whom. One that is deleted already stays as it is.
    /// [`StoreError::NotFound`] where there never was one with this id.
    pub async fn delete_tenant(&self, id: &TenantId, actor: &str) -> Result<Tombstone, StoreError> {
        let failed = |source| StoreError::Database { doing: "deleting a tenant", source };
        let now = Utc::now().timestamp_micros();
        let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
        let marked =
            sql::query("UPDATE tenants SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL")
                .bind(id.as_str())
                .bind(now)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        if marked.rows_affected() > 0 {
            sql::query(
                "INSERT INTO platform_audit (at, actor, action, tenant) VALUES ($1, $2, $3, $4)",
            )
            .bind(now)
            .bind(text(actor))
            .bind(DELETED)
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        }
        let stone = stone(&mut transaction, id).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        stone.ok_or_else(|| StoreError::NotFound { id: id.clone() })?.tombstone()
    }

    /// What stays of a tenant, if it is deleted.
    pub async fn tombstone(&self, id: &TenantId) -> Result<Option<Tombstone>, StoreError> {
        let failed =
            |source| StoreError::Database { doing: "looking for a deleted tenant", source };
        let mut transaction = self.read(Scope::Platform).await.map_err(failed)?;
        let stone = stone(&mut transaction, id).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        stone.map(Row::tombstone).transpose()
    }

    /// All tenants that are deleted, in the order of their creation.
    pub async fn tombstones(&self) -> Result<Vec<Tombstone>, StoreError> {
        self.tombstones_since(0).await
    }

    /// Those that were deleted, or whose data is gone, after the change of this number.
    pub async fn tombstones_since(&self, change: u64) -> Result<Vec<Tombstone>, StoreError> {
        let statement =
            sql::query_as(concat!(stones!(), " AND ($1 OR change > $2) ORDER BY number"))
                .bind(change == 0)
                .bind(change as i64);
        let rows: Vec<Row> =
            self.rows(Scope::Platform, "listing deleted tenants", statement).await?;
        rows.into_iter().map(Row::tombstone).collect()
    }

    /// Notes in the audit what is erased from history, before it is. What was noted before, of a
    /// try that was cut off, counts if it is more.
    pub async fn note_erasure(
        &self,
        id: &TenantId,
        events: u64,
        files: u64,
    ) -> Result<(), StoreError> {
        let failed = |source| StoreError::Database { doing: "noting what is erased", source };
        let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
        sql::query(
            "UPDATE platform_audit SET \
             events = CASE WHEN events < $3 THEN $3 ELSE events END, \
             files = CASE WHEN files < $4 THEN $4 ELSE files END \
             WHERE action = $1 AND tenant = $2 AND finished_at IS NULL",
        )
        .bind(DELETED)
        .bind(id.as_str())
        .bind(events as i64)
        .bind(files as i64)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// Removes the records of a deleted tenant's audit, so many in one transaction. Where it ended stays
    /// until all of them are gone, for whoever begins again.
    pub(super) async fn erase_records(&self, tenant: u32, at_once: i64) -> Result<(), StoreError> {
        let failed = |source| StoreError::Database { doing: "erasing an audit", source };
        let mut after = 0;
        loop {
            let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
            self.enter(&mut transaction, tenant).await.map_err(failed)?;
            let first: i64 = sql::query_scalar(
                "SELECT coalesce(min(seq), 0) FROM audit WHERE tenant_id = $1 AND seq > $2",
            )
            .bind(i64::from(tenant))
            .bind(after)
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?;
            if first == 0 {
                return transaction.rollback().await.map_err(failed);
            }
            let last = first.saturating_add(at_once - 1);
            sql::query("DELETE FROM audit WHERE tenant_id = $1 AND seq BETWEEN $2 AND $3")
                .bind(i64::from(tenant))
                .bind(first)
                .bind(last)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
            transaction.commit().await.map_err(failed)?;
            after = last;
        }
    }

    /// Removes what is stored of a deleted tenant but its tombstone. A file is written anew, so that
    /// none of it can be found there, and others wait meanwhile; `PostgreSQL` does that by itself,
    /// when it vacuums.
    pub async fn erase_tenant(&self, stone: &Tombstone) -> Result<(), StoreError> {
        self.erase_records(stone.number, RECORDS).await?;
        let failed = |source| StoreError::Database { doing: "erasing a tenant", source };
        let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
        self.enter(&mut transaction, stone.number).await.map_err(failed)?;
        for delete in [
            "DELETE FROM own_views WHERE tenant_id = $1",
            "DELETE FROM event_types WHERE tenant_id = $1",
            "DELETE FROM dead_letters WHERE tenant_id = $1",
            "DELETE FROM audit WHERE tenant_id = $1",
            "DELETE FROM audit_heads WHERE tenant_id = $1",
            "DELETE FROM service_tokens WHERE tenant_id = $1",
            "DELETE FROM revocations WHERE tenant_id = $1",
            "DELETE FROM reports WHERE tenant_id = $1",
            "DELETE FROM report_runs WHERE tenant_id = $1",
            "DELETE FROM report_deliveries WHERE tenant_id = $1",
            "DELETE FROM report_jobs WHERE tenant_id = $1",
            "DELETE FROM report_owners WHERE tenant_id = $1",
            "DELETE FROM position_marks WHERE tenant_id = $1",
            "DELETE FROM alert_rules WHERE tenant_id = $1",
            "DELETE FROM alerts WHERE tenant_id = $1",
            "DELETE FROM alert_transitions WHERE tenant_id = $1",
            "DELETE FROM alert_deliveries WHERE tenant_id = $1",
            "DELETE FROM dashboards WHERE tenant_id = $1",
            "DELETE FROM dashboard_versions WHERE tenant_id = $1",
            "DELETE FROM deleted_dashboards WHERE tenant_id = $1",
            "DELETE FROM deleted_parts WHERE tenant_id = $1",
            "DELETE FROM given_templates WHERE tenant_id = $1",
            "DELETE FROM custom_fields WHERE tenant_id = $1",
        ] {
            sql::query(delete)
                .bind(i64::from(stone.number))
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        // Those that came under its key and could not be its own.
        sql::query("DELETE FROM platform_dead_letters WHERE key = $1")
            .bind(stone.id.as_str().as_bytes())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        sql::query(
            "UPDATE tenants SET name = '', timezone = 'UTC', currency = 'XXX', locale = 'en-GB', \
             clock = 'wall', vertical = NULL, modules = NULL, branding = NULL, template = NULL \
             WHERE number = $1 AND deleted_at IS NOT NULL",
        )
        .bind(i64::from(stone.number))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        let Engine::Sqlite(writer) = &self.engine else { return Ok(()) };
        let mut connection = writer.connection().await.map_err(failed)?;
        rewrite(&mut connection).await.map_err(failed)
    }

    /// Says that nothing is left of a deleted tenant.
    pub async fn finish_erasure(&self, stone: &Tombstone) -> Result<Tombstone, StoreError> {
        let failed = |source| StoreError::Database { doing: "finishing an erasure", source };
        let now = Utc::now().timestamp_micros();
        let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
        sql::query("UPDATE tenants SET erased_at = $2 WHERE number = $1 AND erased_at IS NULL")
            .bind(i64::from(stone.number))
            .bind(now)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        sql::query(
            "UPDATE platform_audit SET finished_at = $3 \
             WHERE action = $1 AND tenant = $2 AND finished_at IS NULL",
        )
        .bind(DELETED)
        .bind(stone.id.as_str())
        .bind(now)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        let after = self::stone(&mut transaction, &stone.id).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        after.ok_or_else(|| StoreError::NotFound { id: stone.id.clone() })?.tombstone()
    }

    /// The erasure of a tenant, if it is deleted.
    pub async fn erasure(&self, id: &TenantId) -> Result<Option<Erasure>, StoreError> {
        let statement = sql::query_as(
            "SELECT at, actor, tenant, events, files, finished_at FROM platform_audit \
             WHERE action = $1 AND tenant = $2",
        )
        .bind(DELETED)
        .bind(id.as_str());
        let row: Option<ErasureRow> =
            self.row(Scope::Platform, "reading an erasure", statement).await?;
        Ok(row.map(ErasureRow::erasure))
    }
}

async fn stone(connection: &mut AnyConnection, id: &TenantId) -> Result<Option<Row>, sqlx::Error> {
    sql::query_as(concat!(stones!(), " AND id = $1"))
        .bind(id.as_str())
        .fetch_optional(connection)
        .await
}

/// Writes the file anew and cuts the write-ahead log, which still holds what it was.
async fn rewrite(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("VACUUM").execute(&mut *connection).await?;
    let busy: i64 =
        sql::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(connection).await?;
    match busy {
        0 => Ok(()),
        _ => Err(sqlx::Error::Protocol(String::from("a reader holds the write-ahead log"))),
    }
}

#[derive(FromRow)]
struct ErasureRow {
    at: i64,
    actor: String,
    tenant: String,
    events: i64,
    files: i64,
    finished_at: Option<i64>,
}

impl ErasureRow {
    fn erasure(self) -> Erasure {
        Erasure {
            at: time(self.at),
            actor: self.actor,
            tenant: self.tenant,
            events: self.events.cast_unsigned(),
            files: self.files.cast_unsigned(),
            finished_at: self.finished_at.map(time),
        }
    }
}

impl Row {
    fn tombstone(self) -> Result<Tombstone, StoreError> {
        let number = self.number;
        let damaged = |field, message: String| StoreError::Damaged { number, field, message };
        let time = |field, micros| {
            DateTime::from_timestamp_micros(micros)
                .ok_or_else(|| damaged(field, "is out of range".to_owned()))
        };
        Ok(Tombstone {
            number: u32::try_from(number).map_err(|e| damaged("number", e.to_string()))?,
            id: self.id.try_into().map_err(|e: crate::Invalid| damaged("id", e.message))?,
            deleted_at: time("deleted_at", self.deleted_at)?,
            erased_at: self.erased_at.map(|at| time("erased_at", at)).transpose()?,
        })
    }
}

#[cfg(test)]
#[path = "deletion_tests.rs"]
mod tests;
