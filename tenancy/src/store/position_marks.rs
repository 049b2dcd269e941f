//! Positions of tenants at which reports can be made again: those of runs, and the last of each day.

use chrono::NaiveDate;
use sqlx::{Any, FromRow, Transaction};

use super::{Scope, Store, sql};
use crate::StoreError;

/// A position that a report can be made at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionMark {
    /// The number of the tenant's changes up to and with it.
    pub sequence: u64,
    /// The offset up to and with which events were accepted by then.
    pub offset: u64,
    /// The tenant's date at it.
    pub day: Option<NaiveDate>,
    /// Whether it is the last one of that date.
    pub closes: bool,
}

#[derive(FromRow)]
struct MarkRow {
    sequence: i64,
    at_offset: i64,
    day: String,
    closes: i64,
}

impl Store {
    /// Notes a position at which reports can be made again.
    pub async fn put_position_mark(
        &self,
        tenant: u32,
        noted: &PositionMark,
    ) -> Result<(), StoreError> {
        let failed = |source| StoreError::Database { doing: "noting a position", source };
        let mut transaction = self.write(Scope::Tenant(tenant)).await.map_err(failed)?;
        add(&mut transaction, tenant, noted).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// Lets go of what was noted of these tenants beyond an offset: other events will stand there.
    pub async fn forget_positions_beyond(
        &self,
        tenants: &[u32],
        offset: u64,
    ) -> Result<(), StoreError> {
        let failed = |source| StoreError::Database { doing: "letting go of positions", source };
        let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
        for tenant in tenants {
            self.enter(&mut transaction, *tenant).await.map_err(failed)?;
            sql::query("DELETE FROM position_marks WHERE tenant_id = $1 AND at_offset > $2")
                .bind(i64::from(*tenant))
                .bind(offset.cast_signed())
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// What was noted of a position, if it was.
    pub async fn position_mark(
        &self,
        tenant: u32,
        sequence: u64,
    ) -> Result<Option<PositionMark>, StoreError> {
        let statement = sql::query_as(
            "SELECT sequence, at_offset, day, closes FROM position_marks \
             WHERE tenant_id = $1 AND sequence = $2",
        )
        .bind(i64::from(tenant))
        .bind(sequence.cast_signed());
        let row: Option<MarkRow> =
            self.row(Scope::Tenant(tenant), "looking for a position", statement).await?;
        Ok(row.map(MarkRow::mark))
    }

    /// The last position of that day or, where none was noted, of the first later one that has one.
    pub async fn closing_mark(
        &self,
        tenant: u32,
        day: NaiveDate,
    ) -> Result<Option<PositionMark>, StoreError> {
        let statement = sql::query_as(
            "SELECT sequence, at_offset, day, closes FROM position_marks \
             WHERE tenant_id = $1 AND closes = 1 AND day >= $2 ORDER BY day, sequence DESC LIMIT 1",
        )
        .bind(i64::from(tenant))
        .bind(day.to_string());
        let row: Option<MarkRow> =
            self.row(Scope::Tenant(tenant), "looking for a day", statement).await?;
        Ok(row.map(MarkRow::mark))
    }
}

/// Notes a position; one that is noted stays what it was, but that it closes its day.
pub(super) async fn add(
    transaction: &mut Transaction<'static, Any>,
    tenant: u32,
    noted: &PositionMark,
) -> Result<(), sqlx::Error> {
    sql::query(
        "INSERT INTO position_marks (tenant_id, sequence, at_offset, day, closes) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant_id, sequence) DO UPDATE SET closes = \
         CASE WHEN excluded.closes = 1 THEN 1 ELSE position_marks.closes END",
    )
    .bind(i64::from(tenant))
    .bind(noted.sequence.cast_signed())
    .bind(noted.offset.cast_signed())
    .bind(noted.day.map(|day| day.to_string()).unwrap_or_default())
    .bind(i64::from(noted.closes))
    .execute(&mut **transaction)
    .await
    .map(drop)
}

impl MarkRow {
    fn mark(self) -> PositionMark {
        PositionMark {
            sequence: self.sequence.cast_unsigned(),
            offset: self.at_offset.cast_unsigned(),
            day: self.day.parse().ok(),
            closes: self.closes == 1,
        }
    }
}
