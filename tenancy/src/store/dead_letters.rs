//! Dead letters in the control store.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

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
    /// Whether a header says that the value is a CloudEvent in JSON.
    pub is_json: bool,
}

/// How many dead letters are kept one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetterLimits {
    /// Of all tenants and the platform together.
    pub all: usize,
    /// Of one tenant, and of the platform.
    pub share: usize,
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
    /// Where it stands for all that came beyond the limits in its topic and partition; then its own
    /// offset is that of the first, and it has no value.
    pub beyond: Option<Beyond>,
}

/// What came beyond the limits in a topic and partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// How many messages.
    pub missed: u64,
    /// The offset of the last.
    pub last: i64,
}

/// Where dead letters of a tenant came beyond the limits: what an operator needs to read them again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overflow {
    /// The tenant's number.
    pub tenant: u32,
    /// The topic, …
    pub topic: String,
    /// … the partition …
    pub partition: i32,
    /// … and the offset of the first.
    pub first: i64,
    /// How many there are, and the offset of the last.
    pub beyond: Beyond,
}

#[derive(FromRow)]
struct OverflowRow {
    tenant_id: i64,
    topic: String,
    part: i32,
    place: i64,
    missed: i64,
    last_place: Option<i64>,
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
    is_json: i64,
    missed: i64,
    last_place: Option<i64>,
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
            "SELECT id, topic, part, place, reason, key, value, size, received_at, is_json, missed, \
             last_place FROM",
            $after,
            $number
        )
    };
}

impl Store {
    /// Stores dead letters in their order. Those beyond the limits are counted in one letter for each
    /// topic and partition of their sender, so that nobody's keep others from being stored; there are
    /// at most as many of these as of the others. Answers how many of the letters are kept or counted
    /// then: with fewer than all, the next one was too many. One that is there already is left as it
    /// is.
    pub async fn put_dead_letters(
        &self,
        letters: &[NewDeadLetter],
        limits: DeadLetterLimits,
    ) -> Result<usize, StoreError> {
        let failed = |source| StoreError::Database { doing: "storing dead letters", source };
        let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
        take_turns(&mut transaction).await.map_err(failed)?;
        let DeadLetterLimits { all, share } = limits;
        let mut kept = count(&mut transaction, KEPT).await.map_err(failed)?;
        let mut beyond = count(&mut transaction, BEYOND).await.map_err(failed)?;
        let mut shares: HashMap<Option<u32>, i64> = HashMap::new();
        let mut stored = 0;
        for letter in letters {
            if let Some(tenant) = letter.tenant {
                self.enter(&mut transaction, tenant).await.map_err(failed)?;
            }
            if is_there(&mut transaction, letter).await.map_err(failed)? {
                stored += 1;
                continue;
            }
            let own = match shares.entry(letter.tenant) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    let own = share_of(&mut transaction, letter.tenant).await.map_err(failed)?;
                    unknown.insert(own)
                }
            };
            if kept < all as i64 && *own < share as i64 {
                insert(&mut transaction, letter, None).await.map_err(failed)?;
                kept += 1;
                *own += 1;
            } else if !extend(&mut transaction, letter).await.map_err(failed)? {
                if beyond >= all as i64 {
                    break;
                }
                let first = NewDeadLetter {
                    reason: format!(
                        "here begin those that are more than are kept, {share} of one sender and \
                         {all} in all; of the first: {}",
                        letter.reason
                    ),
                    value: None,
                    size: 0,
                    ..letter.clone()
                };
                let one = Beyond { missed: 1, last: letter.offset };
                insert(&mut transaction, &first, Some(one)).await.map_err(failed)?;
                beyond += 1;
            }
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

    /// Where dead letters of tenants came beyond the limits, at most `most` of these places.
    pub async fn dead_letter_overflows(&self, most: u32) -> Result<Vec<Overflow>, StoreError> {
        let statement = sql::query_as(
            "SELECT tenant_id, topic, part, place, missed, last_place FROM dead_letters \
             WHERE missed > 0 ORDER BY tenant_id, topic, part LIMIT $1",
        )
        .bind(i64::from(most));
        let rows: Vec<OverflowRow> =
            self.rows(Scope::Platform, "listing what came beyond the limits", statement).await?;
        Ok(rows.into_iter().map(OverflowRow::overflow).collect())
    }

    /// How many dead letters each tenant has that has any, by the tenant's number; those that are
    /// only counted among them.
    pub async fn dead_letters_by_tenant(&self) -> Result<HashMap<u32, u64>, StoreError> {
        let statement = sql::query_as(
            "SELECT tenant_id, CAST(sum(CASE WHEN missed > 0 THEN missed ELSE 1 END) AS BIGINT) \
                 FROM dead_letters GROUP BY tenant_id",
        );
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
        let kept = count(&mut transaction, KEPT).await.map_err(failed)?;
        let beyond = count(&mut transaction, BEYOND).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok((kept + beyond).cast_unsigned())
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

/// How many letters are kept one by one, …
const KEPT: &str = "SELECT (SELECT count(*) FROM dead_letters WHERE missed = 0) \
                    + (SELECT count(*) FROM platform_dead_letters WHERE missed = 0)";
/// … and how many stand for others.
const BEYOND: &str = "SELECT (SELECT count(*) FROM dead_letters WHERE missed > 0) \
                      + (SELECT count(*) FROM platform_dead_letters WHERE missed > 0)";

async fn count(connection: &mut AnyConnection, what: &'static str) -> Result<i64, sqlx::Error> {
    sql::query_scalar(what).fetch_one(connection).await
}

/// How many letters of a tenant, or of the platform, are kept one by one.
async fn share_of(connection: &mut AnyConnection, tenant: Option<u32>) -> Result<i64, sqlx::Error> {
    let query = sql::query_scalar(either!(tenant, "SELECT count(*) FROM", "missed = 0", "$1"));
    of(query, tenant).fetch_one(connection).await
}

/// Counts a letter in the one that stands for others of its topic and partition, if there is one.
async fn extend(
    connection: &mut AnyConnection,
    letter: &NewDeadLetter,
) -> Result<bool, sqlx::Error> {
    let statement = match letter.tenant {
        Some(_) => {
            "UPDATE dead_letters SET missed = missed + 1, last_place = $3 \
             WHERE topic = $1 AND part = $2 AND missed > 0 AND tenant_id = $4"
        }
        None => {
            "UPDATE platform_dead_letters SET missed = missed + 1, last_place = $3 \
             WHERE topic = $1 AND part = $2 AND missed > 0"
        }
    };
    let query =
        sql::query(statement).bind(text(&letter.topic)).bind(letter.partition).bind(letter.offset);
    let done = of(query, letter.tenant).execute(connection).await?;
    Ok(done.rows_affected() > 0)
}

/// Whether a letter is kept, or counted in one that stands for others: the offsets of a partition come
/// in their order, so that what is read again lies between the first and the last of those.
async fn is_there(
    connection: &mut AnyConnection,
    letter: &NewDeadLetter,
) -> Result<bool, sqlx::Error> {
    let after = either!(
        letter.tenant,
        "SELECT count(*) FROM",
        "topic = $1 AND part = $2 AND (place = $3 \
         OR (missed > 0 AND place <= $3 AND last_place >= $3))",
        "$4"
    );
    let query = sql::query_scalar(after)
        .bind(text(&letter.topic))
        .bind(letter.partition)
        .bind(letter.offset);
    let found: i64 = of(query, letter.tenant).fetch_one(connection).await?;
    Ok(found > 0)
}

async fn insert(
    connection: &mut AnyConnection,
    letter: &NewDeadLetter,
    beyond: Option<Beyond>,
) -> Result<(), sqlx::Error> {
    let statement = match letter.tenant {
        Some(_) => {
            "INSERT INTO dead_letters \
             (id, topic, part, place, reason, key, value, size, received_at, is_json, missed, \
             last_place, tenant_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
        }
        None => {
            "INSERT INTO platform_dead_letters \
             (id, topic, part, place, reason, key, value, size, received_at, is_json, missed, \
             last_place) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
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
        .bind(now)
        .bind(i64::from(letter.is_json))
        .bind(beyond.map_or(0, |beyond| i64::try_from(beyond.missed).unwrap_or(i64::MAX)))
        .bind(beyond.map(|beyond| beyond.last));
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
            beyond: beyond(self.missed, self.last_place, self.place),
            letter: NewDeadLetter {
                tenant,
                topic: self.topic,
                partition: self.part,
                offset: self.place,
                reason: self.reason,
                key: self.key,
                value: self.value,
                size: self.size.cast_unsigned(),
                is_json: self.is_json != 0,
            },
        }
    }
}

impl OverflowRow {
    fn overflow(self) -> Overflow {
        Overflow {
            tenant: self.tenant_id as u32,
            topic: self.topic,
            partition: self.part,
            first: self.place,
            beyond: Beyond {
                missed: self.missed.cast_unsigned(),
                last: self.last_place.unwrap_or(self.place),
            },
        }
    }
}

fn beyond(missed: i64, last: Option<i64>, first: i64) -> Option<Beyond> {
    let missed = u64::try_from(missed).ok().filter(|missed| *missed > 0)?;
    Some(Beyond { missed, last: last.unwrap_or(first) })
}
