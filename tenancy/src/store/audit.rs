//! The chains of the audit: appending, reading, and where they end.

use futures::{Stream, TryStreamExt};
use sqlx::{AnyConnection, AssertSqlSafe, FromRow};

use super::{Scope, Store, sql, text};
use crate::StoreError;
use crate::audit::{AuditEntry, AuditFilter, AuditHead, AuditKey, AuditPage, AuditRecord, Chain};

/// How often an append is tried when others append to the same chain.
const TRIES: u32 = 50;
/// Records that go into one statement: a round trip each would be too slow for a busy service.
const ROWS: usize = 100;

/// A statement for a chain: that of the tenants' tables, with their number as the last parameter,
/// or that of the platform's.
macro_rules! of_chain {
    ($chain:expr, $tenants:expr, $platform:expr) => {
        match $chain {
            Chain::Tenant(_) => $tenants,
            Chain::Platform => $platform,
        }
    };
}

/// A query with the tenant's number as its next parameter, if it is one of a tenant.
macro_rules! bound {
    ($query:expr, $chain:expr) => {
        match $chain {
            Chain::Tenant(number) => $query.bind(i64::from(number)),
            Chain::Platform => $query,
        }
    };
}

macro_rules! columns {
    () => {
        "seq, at, actor, source, action, object, status, detail, hash"
    };
}

#[derive(FromRow)]
struct Row {
    seq: i64,
    at: i64,
    actor: String,
    source: String,
    action: String,
    object: String,
    status: i64,
    detail: String,
    hash: Vec<u8>,
}

#[derive(FromRow)]
struct HeadRow {
    seq: i64,
    hash: Vec<u8>,
    key_id: String,
    seal: Vec<u8>,
}

#[derive(FromRow)]
struct EndRow {
    last_seq: i64,
    seq: Option<i64>,
    hash: Option<Vec<u8>>,
    key_id: Option<String>,
    seal: Option<Vec<u8>>,
}

/// Where a chain ends: what says so, and the place of the last record, at one moment.
struct End {
    head: Option<AuditHead>,
    last: u64,
}

impl Store {
    /// Appends entries to their chains, all or none. Those of a tenant that is deleted go with it.
    pub async fn append_audit(
        &self,
        key: &AuditKey,
        entries: &[AuditEntry],
    ) -> Result<(), StoreError> {
        let failed = |source| StoreError::Database { doing: "writing the audit", source };
        let mut order: Vec<&AuditEntry> = entries.iter().collect();
        // One chain after the other, in the same order for everybody: nobody waits crosswise.
        order.sort_by_key(|entry| entry.chain);
        for _ in 0..TRIES {
            let mut transaction = self.write(Scope::Platform).await.map_err(failed)?;
            let mut is_whole = true;
            for group in order.chunk_by(|a, b| a.chain == b.chain) {
                if let Some(Chain::Tenant(number)) = group.first().map(|entry| entry.chain) {
                    self.enter(&mut transaction, number).await.map_err(failed)?;
                }
                is_whole &= append(&mut transaction, key, group).await.map_err(failed)?;
            }
            if is_whole {
                return transaction.commit().await.map_err(failed);
            }
            transaction.rollback().await.map_err(failed)?;
        }
        Err(failed(sqlx::Error::Protocol(String::from("others append to the same chain"))))
    }

    /// Records of a chain that the filter wants, the newest first, of those before the place
    /// `before`: at most `limit`, and fewer where they are long.
    pub async fn audit_records(
        &self,
        chain: Chain,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<AuditPage, StoreError> {
        let query = sql::query_as::<Row>(of_chain!(
            chain,
            concat!(
                "SELECT ",
                columns!(),
                " FROM audit WHERE seq < $1 AND at >= $2 AND at < $3 \
                 AND ($4 = '' OR actor = $4) AND ($5 = '' OR action = $5) AND tenant_id = $7 \
                 ORDER BY seq DESC LIMIT $6"
            ),
            concat!(
                "SELECT ",
                columns!(),
                " FROM platform_audit_chain WHERE seq < $1 AND at >= $2 AND at < $3 \
                 AND ($4 = '' OR actor = $4) AND ($5 = '' OR action = $5) \
                 ORDER BY seq DESC LIMIT $6"
            )
        ))
        .bind(before.map_or(i64::MAX, |seq| seq.try_into().unwrap_or(i64::MAX)))
        .bind(filter.from.map_or(i64::MIN, |at| at.timestamp_micros()))
        .bind(filter.to.map_or(i64::MAX, |at| at.timestamp_micros()))
        .bind(text(filter.actor.as_deref().unwrap_or_default()))
        .bind(filter.action.map_or("", crate::audit::Action::as_str))
        .bind(i64::from(limit));
        let failed = |source| StoreError::Database { doing: "reading the audit", source };
        let mut transaction = self.read(scope(chain)).await.map_err(failed)?;
        let rows = bound!(query, chain).fetch(&mut *transaction);
        let page = page(rows, limit).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(page)
    }

    /// Records of a chain from behind the place `after` up to the place `end`, in order: at most
    /// `limit`, fewer where they are long, and none only if there are none.
    pub async fn audit_after(
        &self,
        chain: Chain,
        after: u64,
        end: u64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let query = sql::query_as::<Row>(of_chain!(
            chain,
            concat!(
                "SELECT ",
                columns!(),
                " FROM audit WHERE seq > $1 AND seq <= $2 AND tenant_id = $4 ORDER BY seq LIMIT $3"
            ),
            concat!(
                "SELECT ",
                columns!(),
                " FROM platform_audit_chain WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3"
            )
        ))
        .bind(after as i64)
        .bind(end as i64)
        .bind(i64::from(limit));
        let failed = |source| StoreError::Database { doing: "walking through the audit", source };
        let mut transaction = self.read(scope(chain)).await.map_err(failed)?;
        let rows = bound!(query, chain).fetch(&mut *transaction);
        let page = page(rows, limit).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(page.records)
    }

    /// The place of the last record of a chain, whatever says where it ends.
    pub async fn audit_last(&self, chain: Chain) -> Result<u64, StoreError> {
        let query = sql::query_scalar::<i64>(of_chain!(
            chain,
            "SELECT coalesce(max(seq), 0) FROM audit WHERE tenant_id = $1",
            "SELECT coalesce(max(seq), 0) FROM platform_audit_chain"
        ));
        let failed =
            |source| StoreError::Database { doing: "looking for the end of the audit", source };
        let mut transaction = self.read(scope(chain)).await.map_err(failed)?;
        let last = bound!(query, chain).fetch_one(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(last.cast_unsigned())
    }

    /// Seals the end of a chain anew, if it is still this one; false if it is not.
    pub(crate) async fn reseal_audit(
        &self,
        chain: Chain,
        before: &AuditHead,
        key: &AuditKey,
    ) -> Result<bool, StoreError> {
        let failed = |source| StoreError::Database { doing: "sealing the audit", source };
        let head = key.head(chain, before.seq, before.hash);
        let query = sql::query(of_chain!(
            chain,
            "UPDATE audit_heads SET key_id = $1, seal = $2 \
             WHERE seq = $3 AND seal = $4 AND tenant_id = $5",
            "UPDATE platform_audit_heads SET key_id = $1, seal = $2 WHERE seq = $3 AND seal = $4"
        ))
        .bind(head.key_id)
        .bind(head.seal.to_vec())
        .bind(before.seq as i64)
        .bind(before.seal.to_vec());
        let mut transaction = self.write(scope(chain)).await.map_err(failed)?;
        let done = bound!(query, chain).execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(done.rows_affected() == 1)
    }

    /// Where a chain ends; none before its first record.
    pub async fn audit_head(&self, chain: Chain) -> Result<Option<AuditHead>, StoreError> {
        let failed =
            |source| StoreError::Database { doing: "reading the end of the audit", source };
        let mut transaction = self.read(scope(chain)).await.map_err(failed)?;
        let head = head(&mut transaction, chain).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(head)
    }
}

/// Takes rows until a page is full.
async fn page(
    mut rows: impl Stream<Item = Result<Row, sqlx::Error>> + Unpin,
    limit: u32,
) -> Result<AuditPage, sqlx::Error> {
    let mut page = AuditPage::default();
    let mut bytes = 0;
    while bytes < AuditPage::BYTES {
        let Some(row) = rows.try_next().await? else {
            page.is_last = page.records.len() < limit as usize;
            return Ok(page);
        };
        let record = row.record();
        bytes += record.size();
        page.records.push(record);
    }
    Ok(page)
}

/// Appends entries of one chain; false if somebody else has appended to it meanwhile.
async fn append(
    connection: &mut AnyConnection,
    key: &AuditKey,
    entries: &[&AuditEntry],
) -> Result<bool, sqlx::Error> {
    let Some(chain) = entries.first().map(|entry| entry.chain) else { return Ok(true) };
    if let Chain::Tenant(number) = chain {
        let living: Option<i64> = sql::query_scalar(
            "SELECT number FROM tenants WHERE number = $1 AND deleted_at IS NULL",
        )
        .bind(i64::from(number))
        .fetch_optional(&mut *connection)
        .await?;
        if living.is_none() {
            return Ok(true);
        }
    }
    let end = end(connection, chain).await?;
    let before = end.head.as_ref().map(|head| head.seq);
    let is_sealed = end.is_sealed(key, chain);
    let (mut seq, mut hash) = if is_sealed {
        end.head.map_or((0, [0; 32]), |head| (head.seq, head.hash))
    } else {
        tell(chain, &end);
        unsealed(connection, chain, end).await?
    };
    let mut records = Vec::with_capacity(entries.len());
    for entry in entries {
        let record = AuditRecord::after(&hash, seq.saturating_add(1), entry);
        (seq, hash) = (record.seq, record.hash);
        records.push(record);
    }
    for part in records.chunks(ROWS) {
        if !insert(connection, chain, part).await? {
            return Ok(false);
        }
    }
    // What was not sealed before must not be by what comes after it.
    let head = if is_sealed { key.head(chain, seq, hash) } else { key.void_head(seq, hash) };
    put_head(connection, chain, before, &head).await
}

impl End {
    /// Whether the last record is the one that this key has sealed, or there is none yet.
    fn is_sealed(&self, key: &AuditKey, chain: Chain) -> bool {
        match &self.head {
            None => self.last == 0,
            Some(head) => head.seq == self.last && key.has_sealed(chain, head),
        }
    }
}

/// Says that a chain was altered, when that is seen first: the ends that follow have a void seal.
fn tell(chain: Chain, end: &End) {
    if end.head.as_ref().is_none_or(|head| head.seal != AuditKey::VOID) {
        tracing::error!(
            ?chain,
            last = end.last,
            "the end of the audit is not the one that was sealed with this key: somebody has changed \
             the database, or the key; records go on, unsealed, and `tidemark audit verify` says so"
        );
    }
}

/// The place and hash on which to go on where the end is not the one that was sealed.
async fn unsealed(
    connection: &mut AnyConnection,
    chain: Chain,
    end: End,
) -> Result<(u64, [u8; 32]), sqlx::Error> {
    if let Some(head) = end.head.filter(|head| head.seq >= end.last) {
        return Ok((head.seq, head.hash));
    }
    let query = sql::query_scalar::<Vec<u8>>(of_chain!(
        chain,
        "SELECT hash FROM audit WHERE seq = $1 AND tenant_id = $2",
        "SELECT hash FROM platform_audit_chain WHERE seq = $1"
    ))
    .bind(end.last as i64);
    let last = bound!(query, chain).fetch_optional(connection).await?;
    Ok((end.last, last.map_or([0; 32], |bytes| hash(&bytes))))
}

/// Puts records at their places in one statement; false if there is one at any of them.
pub(super) async fn insert(
    connection: &mut AnyConnection,
    chain: Chain,
    records: &[AuditRecord],
) -> Result<bool, sqlx::Error> {
    let (table, own, width) = match chain {
        Chain::Tenant(_) => ("audit", ", tenant_id", 10),
        Chain::Platform => ("platform_audit_chain", "", 9),
    };
    let row = |row: usize| {
        let places: Vec<String> =
            (1..=width).map(|column| format!("${}", row * width + column)).collect();
        format!("({})", places.join(", "))
    };
    let rows: Vec<String> = (0..records.len()).map(row).collect();
    // Of what is put in here all is numbers, or from this file.
    let mut query = sql::query(AssertSqlSafe(format!(
        "INSERT INTO {table} ({}{own}) VALUES {} ON CONFLICT DO NOTHING",
        columns!(),
        rows.join(", ")
    )));
    for record in records {
        query = query
            .bind(record.seq as i64)
            .bind(record.at)
            .bind(record.actor.clone())
            .bind(record.source.clone())
            .bind(record.action.clone())
            .bind(record.object.clone())
            .bind(i64::from(record.status))
            .bind(record.detail.clone())
            .bind(record.hash.to_vec());
        query = bound!(query, chain);
    }
    Ok(query.execute(connection).await?.rows_affected() == records.len() as u64)
}

/// Says where a chain ends, if it ended at `before` until now, or nothing said where.
pub(super) async fn put_head(
    connection: &mut AnyConnection,
    chain: Chain,
    before: Option<u64>,
    head: &AuditHead,
) -> Result<bool, sqlx::Error> {
    let query = if before.is_none() {
        sql::query(of_chain!(
            chain,
            "INSERT INTO audit_heads (seq, hash, key_id, seal, tenant_id) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            "INSERT INTO platform_audit_heads (seq, hash, key_id, seal, number) \
             VALUES ($1, $2, $3, $4, 1) ON CONFLICT DO NOTHING"
        ))
    } else {
        sql::query(of_chain!(
            chain,
            "UPDATE audit_heads SET seq = $1, hash = $2, key_id = $3, seal = $4 \
             WHERE tenant_id = $6 AND seq = $5",
            "UPDATE platform_audit_heads SET seq = $1, hash = $2, key_id = $3, seal = $4 \
             WHERE seq = $5"
        ))
    };
    let query = query
        .bind(head.seq as i64)
        .bind(head.hash.to_vec())
        .bind(head.key_id.clone())
        .bind(head.seal.to_vec());
    let query = match before {
        None => query,
        Some(before) => query.bind(before as i64),
    };
    Ok(bound!(query, chain).execute(connection).await?.rows_affected() == 1)
}

async fn head(
    connection: &mut AnyConnection,
    chain: Chain,
) -> Result<Option<AuditHead>, sqlx::Error> {
    let query = sql::query_as::<HeadRow>(of_chain!(
        chain,
        "SELECT seq, hash, key_id, seal FROM audit_heads WHERE tenant_id = $1",
        "SELECT seq, hash, key_id, seal FROM platform_audit_heads"
    ));
    let row = bound!(query, chain).fetch_optional(connection).await?;
    Ok(row.map(|row| AuditHead {
        seq: row.seq.cast_unsigned(),
        hash: hash(&row.hash),
        key_id: row.key_id,
        seal: hash(&row.seal),
    }))
}

/// Where a chain ends, in one statement: two could stand before and behind what somebody else
/// appends.
async fn end(connection: &mut AnyConnection, chain: Chain) -> Result<End, sqlx::Error> {
    let query = sql::query_as::<EndRow>(of_chain!(
        chain,
        "SELECT (SELECT coalesce(max(seq), 0) FROM audit WHERE tenant_id = $1) AS last_seq, \
         h.seq, h.hash, h.key_id, h.seal \
         FROM (SELECT 1 AS one) AS one LEFT JOIN audit_heads AS h ON h.tenant_id = $1",
        "SELECT (SELECT coalesce(max(seq), 0) FROM platform_audit_chain) AS last_seq, \
         h.seq, h.hash, h.key_id, h.seal \
         FROM (SELECT 1 AS one) AS one LEFT JOIN platform_audit_heads AS h ON h.number = 1"
    ));
    let row = bound!(query, chain).fetch_one(connection).await?;
    let head = row.seq.map(|seq| AuditHead {
        seq: seq.cast_unsigned(),
        hash: hash(&row.hash.unwrap_or_default()),
        key_id: row.key_id.unwrap_or_default(),
        seal: hash(&row.seal.unwrap_or_default()),
    });
    Ok(End { head, last: row.last_seq.cast_unsigned() })
}

/// Whose rows a chain is.
fn scope(chain: Chain) -> Scope {
    match chain {
        Chain::Platform => Scope::Platform,
        Chain::Tenant(number) => Scope::Tenant(number),
    }
}

/// The bytes of a hash. What is none was put there by somebody else, and is a hash of nothing.
fn hash(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap_or_default()
}

impl Row {
    fn record(self) -> AuditRecord {
        AuditRecord {
            seq: self.seq.cast_unsigned(),
            at: self.at,
            actor: self.actor,
            source: self.source,
            action: self.action,
            object: self.object,
            // Nor is this a status that was ever recorded.
            status: self.status.try_into().unwrap_or_default(),
            detail: self.detail,
            hash: hash(&self.hash),
        }
    }
}
