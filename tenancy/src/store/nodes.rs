//! The nodes that are alive, and which partitions each of them owns.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::reading::time;
use super::{Scope, Store, sql};
use crate::StoreError;

/// After how long a node that does not beat any more is taken off the list.
const FORGOTTEN: Duration = Duration::from_hours(24);

/// A node as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNode {
    /// Its name, kept in its data folder.
    pub node: String,
    /// `host:port` at which other nodes reach it.
    pub address: String,
    /// Until when it counts as alive unless it beats again.
    pub alive_until: DateTime<Utc>,
}

/// A partition that somebody owns or has owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPartition {
    /// Its number.
    pub partition: u32,
    /// The node; none if it was released.
    pub owner: Option<String>,
    /// Grows with every owner.
    pub epoch: u64,
}

/// Who owns what, as it stood at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// The nodes by name, dead ones too.
    pub nodes: Vec<StoredNode>,
    /// The partitions by number.
    pub partitions: Vec<StoredPartition>,
}

#[derive(FromRow)]
struct NodeRow {
    node: String,
    address: String,
    alive_until: i64,
}

#[derive(FromRow)]
struct PartitionRow {
    part: i64,
    owner: String,
    epoch: i64,
}

impl Store {
    /// Says that a node is alive, and will be until then.
    pub async fn beat(
        &self,
        node: &str,
        address: &str,
        alive_until: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let failed = |source| StoreError::Database { doing: "saying that a node lives", source };
        let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
        sql::query(
            "INSERT INTO platform_nodes (node, address, alive_until) VALUES ($1, $2, $3) \
             ON CONFLICT (node) DO UPDATE \
             SET address = excluded.address, alive_until = excluded.alive_until",
        )
        .bind(node)
        .bind(address)
        .bind(alive_until.timestamp_micros())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        sql::query("DELETE FROM platform_nodes WHERE alive_until < $1")
            .bind((alive_until - FORGOTTEN).timestamp_micros())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// Takes a node off the list: it has ended in order.
    pub async fn retire(&self, node: &str) -> Result<(), StoreError> {
        let failed = |source| StoreError::Database { doing: "retiring a node", source };
        let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
        sql::query("DELETE FROM platform_nodes WHERE node = $1")
            .bind(node)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// Who owns what, in one reading.
    pub async fn ownership(&self) -> Result<Ownership, StoreError> {
        let failed = |source| StoreError::Database { doing: "reading who owns what", source };
        let mut transaction = self.read(Scope::Platform).await.map_err(failed)?;
        let nodes: Vec<NodeRow> =
            sql::query_as("SELECT node, address, alive_until FROM platform_nodes ORDER BY node")
                .fetch_all(&mut *transaction)
                .await
                .map_err(failed)?;
        let partitions: Vec<PartitionRow> =
            sql::query_as("SELECT part, owner, epoch FROM platform_partitions ORDER BY part")
                .fetch_all(&mut *transaction)
                .await
                .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(Ownership {
            nodes: nodes.into_iter().map(NodeRow::stored).collect(),
            partitions: partitions.into_iter().map(PartitionRow::stored).collect(),
        })
    }

    /// Gives a partition up, if it still has that epoch.
    pub async fn release_partition(&self, partition: u32, epoch: u64) -> Result<(), StoreError> {
        let failed = |source| StoreError::Database { doing: "releasing a partition", source };
        let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
        sql::query("UPDATE platform_partitions SET owner = '' WHERE part = $1 AND epoch = $2")
            .bind(i64::from(partition))
            .bind(epoch as i64)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }
}

impl NodeRow {
    fn stored(self) -> StoredNode {
        let Self { node, address, alive_until } = self;
        StoredNode { node, address, alive_until: time(alive_until) }
    }
}

impl PartitionRow {
    fn stored(self) -> StoredPartition {
        let Self { part, owner, epoch } = self;
        let owner = (!owner.is_empty()).then_some(owner);
        StoredPartition { partition: part as u32, owner, epoch: epoch as u64 }
    }
}

#[cfg(test)]
#[path = "nodes_tests.rs"]
mod tests;
