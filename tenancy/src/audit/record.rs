//! Entries and records, and the hash that links them.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::hex;

/// What begins the text that is hashed, so that it is a hash of nothing else.
const KIND: &[u8] = b"tidemark audit record 1\n";

/// Whose record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Chain {
    /// The platform's, and of callers of whom nothing is known.
    Platform,
    /// That of the tenant with this number.
    Tenant(u32),
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A token or a ticket was shown for the first time.
    SignIn,
    /// SQL was asked.
    Query,
    /// Rows were read in a page.
    Read,
    /// Rows or files were taken away whole.
    Download,
    /// A view is followed live.
    Subscribe,
    /// Something was made, changed or removed.
    Change,
    /// The platform, or a reader of the audit, has looked.
    Look,
    /// Something was refused.
    Refusal,
}

/// A name that is no action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no action; the actions are sign_in, query, read, download, subscribe, change, look and refusal"
)]
pub struct UnknownAction(pub String);

impl Action {
    /// All actions.
    pub const ALL: [Self; 8] = [
        Self::SignIn,
        Self::Query,
        Self::Read,
        Self::Download,
        Self::Subscribe,
        Self::Change,
        Self::Look,
        Self::Refusal,
    ];

    /// Its name in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Query => "query",
            Self::Read => "read",
            Self::Download => "download",
            Self::Subscribe => "subscribe",
            Self::Change => "change",
            Self::Look => "look",
            Self::Refusal => "refusal",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        let found = Self::ALL.into_iter().find(|action| action.as_str() == text);
        found.ok_or_else(|| UnknownAction(text.chars().take(40).collect()))
    }
}

/// What is to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// In which chain.
    pub chain: Chain,
    /// When it happened; kept to the microsecond.
    pub at: DateTime<Utc>,
    /// Who: the subject of the token; empty if nobody was known.
    pub actor: String,
    /// The address it came from, `ip:port`.
    pub source: String,
    /// What was done.
    pub action: Action,
    /// The call, such as `DELETE /v1/views/mine`, or what else was acted on.
    pub object: String,
    /// The status of the answer, as in HTTP; 499 if the caller went away before it.
    pub status: u16,
    /// Whatever else there is to be known.
    pub detail: Map<String, Value>,
}

impl AuditEntry {
    /// About what it takes in memory, in bytes.
    pub(super) fn size(&self) -> usize {
        let detail: usize = self.detail.iter().map(|(name, value)| name.len() + size(value)).sum();
        256 + self.actor.len() + self.source.len() + self.object.len() + detail
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => 64 + text.len(),
        Value::Array(items) => 64 + items.iter().map(size).sum::<usize>(),
        Value::Object(members) => {
            64 + members.iter().map(|(k, v)| k.len() + size(v)).sum::<usize>()
        }
        _ => 64,
    }
}

/// A record as it is stored: texts and numbers exactly as they are hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its place in its chain: 1, 2, 3, …
    pub seq: u64,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// Who.
    pub actor: String,
    /// From where.
    pub source: String,
    /// What was done, the name of an [`Action`].
    pub action: String,
    /// To what.
    pub object: String,
    /// The status of the answer.
    pub status: u16,
    /// A JSON object.
    pub detail: String,
    /// The hash that links it.
    pub hash: [u8; 32],
}

/// A record as readers get it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = AuditRecord)]
pub struct ShownRecord {
    /// Its place in its chain: 1, 2, 3, …
    pub seq: u64,
    /// When, in RFC 3339.
    #[schema(format = DateTime)]
    pub at: String,
    /// Who: the subject of the token; empty if nobody was known.
    pub actor: String,
    /// The address it came from, `ip:port`.
    pub source: String,
    /// What was done.
    pub action: String,
    /// The call, or what else was acted on.
    pub object: String,
    /// The status of the answer.
    pub status: u16,
    /// Whatever else is known, an object.
    pub detail: Value,
    /// What links it to the one before, in hexadecimal digits.
    pub hash: String,
}

impl AuditRecord {
    /// The record of an entry after the one at `seq - 1`, whose hash is `previous` (zeros before
    /// the first).
    pub(crate) fn after(previous: &[u8; 32], seq: u64, entry: &AuditEntry) -> Self {
        // PostgreSQL has no text with NUL in it.
        let plain = |text: &str| text.replace('\0', "\u{fffd}");
        let mut record = Self {
            seq,
            at: entry.at.timestamp_micros(),
            actor: plain(&entry.actor),
            source: plain(&entry.source),
            action: entry.action.as_str().to_owned(),
            object: plain(&entry.object),
            status: entry.status,
            detail: Value::Object(entry.detail.clone()).to_string(),
            hash: [0; 32],
        };
        record.hash = record.digest(entry.chain, previous);
        record
    }

    /// About the bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        let texts = [&self.actor, &self.source, &self.action, &self.object, &self.detail];
        128 + texts.iter().map(|text| text.len()).sum::<usize>()
    }

    /// The record as readers get it.
    pub fn shown(self) -> ShownRecord {
        let at = DateTime::from_timestamp_micros(self.at).unwrap_or_default();
        // It was written as JSON; if it is none any more, it is shown as the text that it is.
        let detail = serde_json::from_str::<Value>(&self.detail);
        ShownRecord {
            seq: self.seq,
            at: at.to_rfc3339_opts(SecondsFormat::Micros, true),
            actor: self.actor,
            source: self.source,
            action: self.action,
            object: self.object,
            status: self.status,
            detail: detail.unwrap_or(Value::String(self.detail)),
            hash: hex(&self.hash),
        }
    }

    /// The same as JSON.
    pub fn to_json(&self) -> Value {
        json!(self.clone().shown())
    }

    /// The hash that a record must have in this chain behind one with the hash `previous`: SHA-256
    /// over the line `tidemark audit record 1`, `previous`, the chain (a byte 0 for the platform; a
    /// byte 1 and the tenant's number in 4 bytes), `seq` and `at` in 8 bytes each, `status` in 2,
    /// then actor, source, action, object and detail, each as its length in 8 bytes and its UTF-8.
    /// All numbers are big-endian.
    pub fn digest(&self, chain: Chain, previous: &[u8; 32]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(KIND);
        hasher.update(previous);
        hasher.update(chain.bytes());
        hasher.update(self.seq.to_be_bytes());
        hasher.update(self.at.to_be_bytes());
        hasher.update(self.status.to_be_bytes());
        for text in [&self.actor, &self.source, &self.action, &self.object, &self.detail] {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
        hasher.finalize().into()
    }
}

impl Chain {
    /// How a chain is told apart in what is hashed and sealed.
    pub(super) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Platform => vec![0],
            Self::Tenant(number) => {
                let mut bytes = vec![1];
                bytes.extend(number.to_be_bytes());
                bytes
            }
        }
    }
}

/// Where a chain ends, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// The place of the last record, which is the number of records.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
    /// Which key it is sealed with.
    pub key_id: String,
    /// The seal ([`AuditKey::seal`](super::AuditKey::seal)).
    pub seal: [u8; 32],
}

/// Records of a chain that are read at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// In the order that was asked for.
    pub records: Vec<AuditRecord>,
    /// Whether there are no more behind these.
    pub is_last: bool,
}

impl AuditPage {
    /// The bytes from which on a page is full, however few records it has.
    pub const BYTES: usize = 4 << 20;
}

/// Which records are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Not before.
    pub from: Option<DateTime<Utc>>,
    /// Before.
    pub to: Option<DateTime<Utc>>,
    /// Of this actor alone.
    pub actor: Option<String>,
    /// Of this action alone.
    pub action: Option<Action>,
}
