//! Partitions, their owners, and the checkpoints that are committed for them.

use chrono::Utc;
use sqlx::FromRow;

use super::{Scope, Store, sql};
use crate::StoreError;

/// A committed checkpoint as it is listed. What it is made of stands in its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// The partition.
    pub partition: u32,
    /// The epoch of the owner who committed it.
    pub epoch: u64,
    /// One more than that of the one before.
    pub number: u64,
    /// The object that lists its files.
    pub manifest: String,
    /// The checksum of that.
    pub checksum: String,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It is listed.
    Committed,
    /// The partition has another epoch, or another checkpoint has the number: nothing was done.
    Refused {
        /// The epoch that holds; 0 where nobody has acquired the partition.
        epoch: u64,
    },
}

#[derive(FromRow)]
struct CheckpointRow {
    part: i64,
    epoch: i64,
    number: i64,
    manifest: String,
    checksum: String,
}

impl Store {
    /// Makes `owner` the owner of a partition; answers the new epoch. `from` is the epoch that the
    /// partition must have for that, 0 if nobody ever had it; none: whatever it has. The second
    /// value says whether it was done; if not, the first is the epoch that holds.
    pub async fn acquire_partition(
        &self,
        partition: u32,
        owner: &str,
        from: Option<u64>,
    ) -> Result<(u64, bool), StoreError> {
        let failed = |source| StoreError::Database { doing: "acquiring a partition", source };
        let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
        let rows: Vec<i64> = sql::query_scalar(
            "INSERT INTO platform_partitions (part, owner, epoch, number, acquired_at) \
             VALUES ($1, $2, 1, 0, $3) ON CONFLICT (part) DO UPDATE SET owner = excluded.owner, \
             epoch = platform_partitions.epoch + 1, acquired_at = excluded.acquired_at \
             WHERE $4 IS NULL OR platform_partitions.epoch = $4 \
             RETURNING epoch",
        )
        .bind(i64::from(partition))
        .bind(owner)
        .bind(Utc::now().timestamp_micros())
        .bind(from.map(|epoch| epoch as i64))
        // Read to the end: only then is the statement done.
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed)?;
        if let Some(epoch) = rows.first() {
            transaction.commit().await.map_err(failed)?;
            return Ok((*epoch as u64, true));
        }
        let holds: Option<i64> =
            sql::query_scalar("SELECT epoch FROM platform_partitions WHERE part = $1")
                .bind(i64::from(partition))
                .fetch_optional(&mut *transaction)
                .await
                .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok((holds.unwrap_or(0) as u64, false))
    }

    /// The checkpoints of a partition that are kept, newest first.
    pub async fn checkpoints(&self, partition: u32) -> Result<Vec<StoredCheckpoint>, StoreError> {
        let statement = sql::query_as(
            "SELECT part, epoch, number, manifest, checksum FROM platform_checkpoints \
             WHERE part = $1 ORDER BY number DESC",
        )
        .bind(i64::from(partition));
        let rows: Vec<CheckpointRow> =
            self.rows(Scope::Platform, "listing the checkpoints", statement).await?;
        Ok(rows.into_iter().map(CheckpointRow::stored).collect())
    }

    /// Lists a checkpoint if its epoch is the partition's and the number before is the newest, and
    /// takes off the list what is not among the `keep` newest; one transaction. A checkpoint that is
    /// listed already is [`CommitOutcome::Committed`] again.
    pub async fn commit_checkpoint(
        &self,
        checkpoint: &StoredCheckpoint,
        keep: u64,
    ) -> Result<CommitOutcome, StoreError> {
        let failed = |source| StoreError::Database { doing: "committing a checkpoint", source };
        let StoredCheckpoint { partition, epoch, number, manifest, checksum } = checkpoint;
        let partition = i64::from(*partition);
        let (epoch, number) = (*epoch as i64, *number as i64);
        let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
        let moved = sql::query(
            "UPDATE platform_partitions SET number = $3 \
             WHERE part = $1 AND epoch = $2 AND number = $3 - 1",
        )
        .bind(partition)
        .bind(epoch)
        .bind(number)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if moved.rows_affected() == 0 {
            let holds: Option<i64> =
                sql::query_scalar("SELECT epoch FROM platform_partitions WHERE part = $1")
                    .bind(partition)
                    .fetch_optional(&mut *transaction)
                    .await
                    .map_err(failed)?;
            let listed: Option<i64> = sql::query_scalar(
                "SELECT number FROM platform_checkpoints \
                 WHERE part = $1 AND number = $2 AND manifest = $3 AND checksum = $4",
            )
            .bind(partition)
            .bind(number)
            .bind(manifest)
            .bind(checksum)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed)?;
            let refused = CommitOutcome::Refused { epoch: holds.unwrap_or(0) as u64 };
            return Ok(if listed.is_some() { CommitOutcome::Committed } else { refused });
        }
        sql::query(
            "INSERT INTO platform_checkpoints \
             (part, number, epoch, manifest, checksum, committed_at) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(partition)
        .bind(number)
        .bind(epoch)
        .bind(manifest)
        .bind(checksum)
        .bind(Utc::now().timestamp_micros())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        sql::query("DELETE FROM platform_checkpoints WHERE part = $1 AND number <= $2")
            .bind(partition)
            .bind(number.saturating_sub_unsigned(keep))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(CommitOutcome::Committed)
    }
}

impl CheckpointRow {
    fn stored(self) -> StoredCheckpoint {
        let Self { part, epoch, number, manifest, checksum } = self;
        let (epoch, number) = (epoch as u64, number as u64);
        StoredCheckpoint { partition: part as u32, epoch, number, manifest, checksum }
    }
}

#[cfg(test)]
#[path = "checkpoints_tests.rs"]
mod tests;
