//! The manifest: all that one checkpoint is made of.
//!
//! ```text
//! "TMCP"  version u32  length of the JSON u64  SipHash-128 of the JSON (16 bytes)  JSON
//! ```
//! JSON, because a manifest is what a person looks at when something is wrong, and is small beside
//! the files it names; its checksum stands in the control store too, so that a manifest is either
//! the committed one or damaged.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::Offsets;

const MAGIC: &[u8; 4] = b"TMCP";
const VERSION: u32 = 1;
const HEADER: usize = 32;

/// How far the source has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The log of the embedded mode: the last row that is in the checkpoint.
    Log {
        /// Its offset.
        offset: u64,
    },
    /// Kafka: the place in each topic.
    Kafka {
        /// The partition number's.
        offsets: Offsets,
    },
}

/// A consistent cut, as its manifest lists it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The partition.
    pub partition: u32,
    /// One more than the checkpoint before.
    pub number: u64,
    /// The epoch of the owner who wrote it.
    pub epoch: u64,
    /// Which views, and which version of the engine, the state belongs to.
    pub circuit: [u8; 16],
    /// How far the source had been read.
    pub source: Source,
    /// The engine's step at the cut.
    pub step: u64,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// The state: a base, then what changed since, each over the ones before.
    pub state: Vec<Run>,
    /// The ids that were taken, in any order.
    pub ledger: Vec<Run>,
    /// The chunks of the views.
    pub chunks: Vec<FileEntry>,
    /// Which chunks make up which view of which tenant.
    pub catalogue: Vec<TenantViews>,
    /// The files of the history, as that describes them.
    pub history: Vec<serde_json::Value>,
    /// Small things by name that belong to the cut, as their owners encode them.
    pub sections: BTreeMap<String, Section>,
}

/// The files that one checkpoint, or one merge, has written of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The files, in order; at least one.
    pub files: Vec<FileEntry>,
}

impl Run {
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    pub(super) fn name(&self) -> &str {
        self.files.first().map_or("", |file| &file.path)
    }
}

/// A file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// The object.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// The length of its footer, which lists its blocks with their checksums.
    pub footer: u32,
    /// The checksum of the footer, and so of all.
    pub checksum: Checksum,
}

/// The views of one tenant at the cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantViews {
    /// The tenant's number.
    pub tenant: u32,
    /// Each view's name and its chunks, in order.
    pub views: Vec<(String, Vec<u64>)>,
}

/// Bytes that stand in the manifest itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section(pub Bytes);

impl Serialize for Section {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        STANDARD.encode(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Section {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self(STANDARD.decode(text).map_err(D::Error::custom)?.into()))
    }
}

/// 128 bits of SipHash; 32 hexadecimal digits as text.
///
/// It tells damage and mix-ups apart from the real thing; it is no defence against an attacker who
/// may write to the object store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Checksum(u128);

impl Checksum {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut hasher = SipHasher13::new();
        std::hash::Hasher::write(&mut hasher, bytes);
        Self(hasher.finish128().as_u128())
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Self).map_err(D::Error::custom)
    }
}

impl Checkpoint {
    /// The bytes of the manifest, and their checksum.
    pub(super) fn encode(&self) -> Result<(Bytes, Checksum), serde_json::Error> {
        let json = serde_json::to_vec(self)?;
        let checksum = Checksum::of(&json);
        let mut out = Vec::with_capacity(HEADER + json.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(json.len() as u64).to_le_bytes());
        out.extend_from_slice(&checksum.0.to_le_bytes());
        out.extend_from_slice(&json);
        Ok((out.into(), checksum))
    }

    /// Reads a manifest whose checksum is known; what is wrong if it is not that one.
    pub(super) fn decode(bytes: &[u8], checksum: &str) -> Result<Self, String> {
        let Some((header, json)) = bytes.split_at_checked(HEADER) else {
            return Err(format!("it is cut short at {} bytes", bytes.len()));
        };
        if !header.starts_with(MAGIC) {
            return Err("it is no manifest".to_owned());
        }
        if header[4..8] != VERSION.to_le_bytes() {
            return Err(
                "it has a format that this version does not know; run the version that wrote it"
                    .to_owned(),
            );
        }
        let found = Checksum::of(json);
        if header[8..16] != (json.len() as u64).to_le_bytes()
            || header[16..] != found.0.to_le_bytes()
        {
            return Err("its checksum does not match".to_owned());
        }
        if found.to_string() != checksum {
            return Err(format!(
                "it is not the one that was committed, {found} and not {checksum}"
            ));
        }
        serde_json::from_slice(json).map_err(|error| error.to_string())
    }

    /// All files it names of its own: not the history's.
    pub(super) fn files(&self) -> impl Iterator<Item = &FileEntry> {
        let runs = self.state.iter().chain(&self.ledger);
        runs.flat_map(|run| &run.files).chain(&self.chunks)
    }
}
