//! Reports and rules of a template that a tenant has deleted. Where one is brought back its versions go on
//! from the last, so that who holds one of those holds nothing of what it is now.

use sqlx::{Any, Transaction};

use super::sql;
use crate::templates::is_part_id;

/// What was deleted.
#[derive(Clone, Copy)]
pub(super) enum DeletedKind {
    Report,
    AlertRule,
}

impl DeletedKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::AlertRule => "alert_rule",
        }
    }
}

/// Notes the last version of what was deleted, if it may come back.
pub(super) async fn note(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    kind: DeletedKind,
    id: &str,
    last: i64,
) -> Result<(), sqlx::Error> {
    // Any other id is drawn, and never again.
    if !is_part_id(id) {
        return Ok(());
    }
    sql::query(
        "INSERT INTO deleted_parts (tenant_id, kind, id, version) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant_id, kind, id) DO UPDATE SET version = excluded.version",
    )
    .bind(i64::from(tenant))
    .bind(kind.as_str())
    .bind(id)
    .bind(last)
    .execute(&mut **transaction)
    .await
    .map(drop)
}

/// The version that follows the last one of what comes back; none if it was not deleted before.
pub(super) async fn next(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    kind: DeletedKind,
    id: &str,
) -> Result<Option<u64>, sqlx::Error> {
    // Read to the end: a statement that changes is done only then.
    let deleted: Vec<i64> = sql::query_scalar(
        "DELETE FROM deleted_parts WHERE tenant_id = $1 AND kind = $2 AND id = $3 \
         RETURNING version",
    )
    .bind(i64::from(tenant))
    .bind(kind.as_str())
    .bind(id)
    .fetch_all(&mut **transaction)
    .await?;
    Ok(deleted.first().map(|last| last.cast_unsigned() + 1))
}
