//! Dead letters in the control store.

use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteConnection;
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::Store;
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

const COLUMNS: &str = "id, topic, part, place, reason, key, value, size, received_at";

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
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let mut count = count(&mut transaction).await.map_err(failed)?;
        let mut stored = 0;
        for letter in letters {
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
        let mut query = select(tenant);
        query.push(" AND id > ").push_bind(after.unwrap_or_default());
        query.push(" ORDER BY id LIMIT ").push_bind(most);
        let rows: Vec<Row> =
            query.build_query_as().fetch_all(&self.pool).await.map_err(|source| {
                StoreError::Database { doing: "listing the dead letters", source }
            })?;
        Ok(rows.into_iter().map(|row| row.letter(tenant)).collect())
    }

    /// A dead letter of a tenant, or the platform's, if it is there.
    pub async fn dead_letter(
        &self,
        tenant: Option<u32>,
        id: &str,
    ) -> Result<Option<StoredDeadLetter>, StoreError> {
        let mut query = select(tenant);
        query.push(" AND id = ").push_bind(id);
        let row: Option<Row> =
            query.build_query_as().fetch_optional(&self.pool).await.map_err(|source| {
                StoreError::Database { doing: "reading a dead letter", source }
            })?;
        Ok(row.map(|row| row.letter(tenant)))
    }

    /// Removes a dead letter of a tenant, or the platform's; answers whether it was there.
    pub async fn remove_dead_letter(
        &self,
        tenant: Option<u32>,
        id: &str,
    ) -> Result<bool, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM ");
        of(&mut query, tenant);
        query.push(" AND id = ").push_bind(id);
        let removed = query
            .build()
            .execute(&self.pool)
            .await
            .map_err(|source| StoreError::Database { doing: "removing a dead letter", source })?;
        Ok(removed.rows_affected() > 0)
    }

    /// How many dead letters there are, of all tenants and the platform.
    pub async fn count_dead_letters(&self) -> Result<u64, StoreError> {
        let failed = |source| StoreError::Database { doing: "counting the dead letters", source };
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        count(&mut connection).await.map(i64::cast_unsigned).map_err(failed)
    }

    /// The key of the hashes by which event ids from Kafka are known: drawn once for the store.
    pub async fn id_key(&self) -> Result<[u8; 16], StoreError> {
        let failed = |source| StoreError::Database { doing: "reading the key of ids", source };
        let key: Vec<u8> = sqlx::query_scalar("SELECT id_key FROM platform_id_key")
            .fetch_one(&self.pool)
            .await
            .map_err(failed)?;
        key.try_into().map_err(|_| failed(sqlx::Error::Decode("it has not 16 bytes".into())))
    }
}

/// `… WHERE` the dead letters of a tenant, or the platform's, are.
fn of(query: &mut QueryBuilder<Sqlite>, tenant: Option<u32>) {
    match tenant {
        Some(tenant) => query.push("dead_letters WHERE tenant = ").push_bind(tenant),
        None => query.push("platform_dead_letters WHERE 1"),
    };
}

fn select(tenant: Option<u32>) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT ");
    query.push(COLUMNS).push(" FROM ");
    of(&mut query, tenant);
    query
}

async fn count(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM dead_letters) + (SELECT count(*) FROM platform_dead_letters)",
    )
    .fetch_one(connection)
    .await
}

async fn is_there(
    connection: &mut SqliteConnection,
    letter: &NewDeadLetter,
) -> Result<bool, sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT 1 FROM ");
    of(&mut query, letter.tenant);
    query.push(" AND topic = ").push_bind(&letter.topic);
    query.push(" AND part = ").push_bind(letter.partition);
    query.push(" AND place = ").push_bind(letter.offset);
    let found: Option<i64> = query.build_query_scalar().fetch_optional(connection).await?;
    Ok(found.is_some())
}

async fn insert(
    connection: &mut SqliteConnection,
    letter: &NewDeadLetter,
) -> Result<(), sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO ");
    query.push(match letter.tenant {
        Some(_) => "dead_letters (tenant, ",
        None => "platform_dead_letters (",
    });
    // Ids begin with the time, so that they are listed in the order in which they came.
    query.push(COLUMNS).push(") VALUES (");
    let now = Utc::now().timestamp_micros();
    if let Some(tenant) = letter.tenant {
        query.push_bind(tenant).push(", ");
    }
    query.push("printf('%014x', ").push_bind(now).push(") || lower(hex(randomblob(9))), ");
    let mut values = query.separated(", ");
    values
        .push_bind(&letter.topic)
        .push_bind(letter.partition)
        .push_bind(letter.offset)
        .push_bind(&letter.reason)
        .push_bind(letter.key.as_deref())
        .push_bind(letter.value.as_deref())
        .push_bind(i64::try_from(letter.size).unwrap_or(i64::MAX))
        .push_bind(now);
    query.push(")");
    query.build().execute(connection).await.map(drop)
}

impl Row {
    fn letter(self, tenant: Option<u32>) -> StoredDeadLetter {
        StoredDeadLetter {
            id: self.id,
            received_at: DateTime::from_timestamp_micros(self.received_at).unwrap_or_default(),
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
