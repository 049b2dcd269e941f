//! Dead letters in the control store.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sqlx::any::AnyArguments;
use sqlx::query::{Query, QueryAs, QueryScalar};
use sqlx::{Any, AnyConnection, FromRow, Transaction};

use super::reading::time;
use super::{Scope, Store, sql, text};
use crate::StoreError;

/// A message that is no event, as it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDeadLetter {
    /// The number of the tenant whose it is; none for one that only the platform may see.
    pub tenant: Option<u32>,
    /// The topic, …
    pub topic: String,
    /// … the partition …
    pub partition: i32,
    /// … and the offset it came by; together they tell it apart from all others.
    pub offset: i64,
    /// What is wrong with it.
    pub reason: String,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value, or the beginning of it.
    pub value: Option<Vec<u8>>,
    /// The bytes of its whole value.
    pub size: u64,
}

/// A dead letter as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDeadLetter {
    /// What it is called by outside.
    pub id: String,
    /// What came.
    pub letter: NewDeadLetter,
    /// When it was stored first.
    pub received_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    topic: String,
    part: i32,
    place: i64,
    reason: String,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    size: i64,
    received_at: i64,
}

/// A statement about the dead letters of a tenant, or the platform's. Its parameters are numbered
/// alike, and the tenant's number comes last where there is one.
macro_rules! either {
    ($tenant:expr, $before:literal, $after:literal, $number:literal) => {
        match $tenant {
            Some(_) => {
                concat!($before, " dead_letters WHERE tenant_id = ", $number, " AND ", $after)
            }
            None => concat!($before, " platform_dead_letters WHERE ", $after),
        }
    };
}

/// What is read of a dead letter, …
macro_rules! select {
    ($tenant:expr, $after:literal, $number:literal) => {
        either!(
            $tenant,
            "SELECT id, topic, part, place, reason, key, value, size, received_at FROM",
            $after,
            $number
        )
    };
}

impl Store {
    /// Stores dead letters in their order, until there are `limit` of all tenants and the platform
    /// together; answers how many of these are there then. One that is there already is left as
    /// it is.
    pub async fn put_dead_letters(
        &self,
        letters: &[NewDeadLetter],
        limit: usize,
    ) -> Result<usize, StoreError> {
        let failed = |source| StoreError::Database { doing: "storing dead letters", source };
        let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
        take_turns(&mut transaction).await.map_err(failed)?;
        let mut count = count(&mut transaction).await.map_err(failed)?;
        let mut stored = 0;
        for letter in letters {
            if let Some(tenant) = letter.tenant {
                self.enter(&mut transaction, tenant).await.map_err(failed)?;
            }
            if is_there(&mut transaction, letter).await.map_err(failed)? {
                stored += 1;
                continue;
            }
            if count >= limit as i64 {
                break;
            }
            insert(&mut transaction, letter).await.map_err(failed)?;
            count += 1;
            stored += 1;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(stored)
    }

    /// The dead letters of a tenant, or the platform's, from the one with the id `after` on, by id.
    pub async fn dead_letters(
        &self,
        tenant: Option<u32>,
        after: Option<&str>,
        most: u32,
    ) -> Result<Vec<StoredDeadLetter>, StoreError> {
        let statement = sql::query_as(select!(tenant, "id > $1 ORDER BY id LIMIT $2", "$3"))
            .bind(text(after.unwrap_or_default()))
            .bind(i64::from(most));
        let statement = of(statement, tenant);
        let rows: Vec<Row> =
            self.rows(scope(tenant), "listing the dead letters", statement).await?;
        Ok(rows.into_iter().map(|row| row.letter(tenant)).collect())
    }

    /// How many dead letters each tenant has that has any, by the tenant's number.
    pub async fn dead_letters_by_tenant(&self) -> Result<HashMap<u32, u64>, StoreError> {
        let statement =
            sql::query_as("SELECT tenant_id, count(*) FROM dead_letters GROUP BY tenant_id");
        let rows: Vec<(i64, i64)> =
            self.rows(Scope::Platform, "counting the dead letters", statement).await?;
        let counted = rows.into_iter();
        Ok(counted.map(|(tenant, count)| (tenant as u32, count.cast_unsigned())).collect())
    }

    /// A dead letter of a tenant, or the platform's, if it is there.
    pub async fn dead_letter(
        &self,
        tenant: Option<u32>,
        id: &str,
    ) -> Result<Option<StoredDeadLetter>, StoreError> {
        let statement = sql::query_as(select!(tenant, "id = $1", "$2")).bind(text(id));
        let statement = of(statement, tenant);
        let row: Option<Row> = self.row(scope(tenant), "reading a dead letter", statement).await?;
        Ok(row.map(|row| row.letter(tenant)))
    }

    /// Removes a dead letter of a tenant, or the platform's; answers whether it was there.
    pub async fn remove_dead_letter(
        &self,
        tenant: Option<u32>,
        id: &str,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "removing a dead letter", source };
        let mut transaction = self.write(scope(tenant)).await.map_err(failed)?;
        let query = sql::query(either!(tenant, "DELETE FROM", "id = $1", "$2")).bind(id);
        let removed = of(query, tenant).execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(removed.rows_affected() > 0)
    }

    /// How many dead letters there are, of all tenants and the platform.
    pub async fn count_dead_letters(&self) -> Result<u64, StoreError> {
        let failed = |source| StoreError::Database { doing: "counting the dead letters", source };
        let mut transaction = self.read(Scope::Platform).await.map_err(failed)?;
        let count = count(&mut transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(count.cast_unsigned())
    }

    /// The key of the hashes by which event ids from Kafka are known: drawn once for the store.
    pub async fn id_key(&self) -> Result<[u8; 16], StoreError> {
        let failed = |source| StoreError::Database { doing: "reading the key of ids", source };
        let mut transaction = self.read(Scope::Platform).await.map_err(failed)?;
        let key: Vec<u8> = sql::query_scalar("SELECT id_key FROM platform_id_key")
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        key.try_into().map_err(|_| failed(sqlx::Error::Decode("it has not 16 bytes".into())))
    }
}

fn scope(tenant: Option<u32>) -> Scope {
    tenant.map_or(Scope::Platform, Scope::Tenant)
}

/// Binds the number of the tenant, where there is one.
fn of<Q: Bind>(query: Q, tenant: Option<u32>) -> Q {
    match tenant {
        Some(tenant) => query.number(i64::from(tenant)),
        None => query,
    }
}

/// A statement to which a parameter can be added.
trait Bind {
    fn number(self, number: i64) -> Self;
}

impl Bind for Query<'_, Any, AnyArguments> {
    fn number(self, number: i64) -> Self {
        self.bind(number)
    }
}

impl<O> Bind for QueryAs<'_, Any, O, AnyArguments> {
    fn number(self, number: i64) -> Self {
        self.bind(number)
    }
}

impl<O> Bind for QueryScalar<'_, Any, O, AnyArguments> {
    fn number(self, number: i64) -> Self {
        self.bind(number)
    }
}

/// Lets who stores dead letters wait for each other, so that together they keep to the limit: the
/// lock on a row lasts to the end of the transaction.
async fn take_turns(transaction: &mut Transaction<'static, Any>) -> Result<(), sqlx::Error> {
    sql::query("UPDATE platform_id_key SET only_one = 1")
        .execute(&mut **transaction)
        .await
        .map(drop)
}

async fn count(connection: &mut AnyConnection) -> Result<i64, sqlx::Error> {
    sql::query_scalar(
        "SELECT (SELECT count(*) FROM dead_letters) + (SELECT count(*) FROM platform_dead_letters)",
    )
    .fetch_one(connection)
    .await
}

async fn is_there(
    connection: &mut AnyConnection,
    letter: &NewDeadLetter,
) -> Result<bool, sqlx::Error> {
    let after = either!(
        letter.tenant,
        "SELECT count(*) FROM",
        "topic = $1 AND part = $2 AND place = $3",
        "$4"
    );
    let query = sql::query_scalar(after)
        .bind(text(&letter.topic))
        .bind(letter.partition)
        .bind(letter.offset);
    let found: i64 = of(query, letter.tenant).fetch_one(connection).await?;
    Ok(found > 0)
}

async fn insert(connection: &mut AnyConnection, letter: &NewDeadLetter) -> Result<(), sqlx::Error> {
    let statement = match letter.tenant {
        Some(_) => {
            "INSERT INTO dead_letters \
             (id, topic, part, place, reason, key, value, size, received_at, tenant_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        }
        None => {
            "INSERT INTO platform_dead_letters \
             (id, topic, part, place, reason, key, value, size, received_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        }
    };
    let now = Utc::now().timestamp_micros();
    let query = sql::query(statement)
        .bind(drawn_id(now)?)
        .bind(text(&letter.topic))
        .bind(letter.partition)
        .bind(letter.offset)
        .bind(text(&letter.reason))
        .bind(letter.key.as_deref())
        .bind(letter.value.as_deref())
        .bind(i64::try_from(letter.size).unwrap_or(i64::MAX))
        .bind(now);
    of(query, letter.tenant).execute(connection).await.map(drop)
}

/// An id that begins with the time, so that letters are listed in the order in which they came.
fn drawn_id(now: i64) -> Result<String, sqlx::Error> {
    let mut bits = [0; 9];
    OsRng.try_fill_bytes(&mut bits).map_err(|error| sqlx::Error::Encode(error.into()))?;
    Ok(format!("{now:014x}{}", crate::hex(&bits)))
}

impl Row {
    fn letter(self, tenant: Option<u32>) -> StoredDeadLetter {
        StoredDeadLetter {
            id: self.id,
            received_at: time(self.received_at),
            letter: NewDeadLetter {
                tenant,
                topic: self.topic,
                partition: self.part,
                offset: self.place,
                reason: self.reason,
                key: self.key,
                value: self.value,
                size: self.size.cast_unsigned(),
            },
        }
    }
}
