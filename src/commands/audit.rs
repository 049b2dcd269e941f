//! `tidemark audit verify` and `tidemark audit reseal`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::Utc;
use serde_json::{Map, json};
use tenancy::audit::{
    Action, Anchor, AuditEntry, AuditKey, Chain, Resealed, Verdict, reseal, verify,
};
use tenancy::{Store, hex};

use super::serve::variables;
use super::{Failure, client_runtime, grouped};
use crate::config::{self, Config, Overrides};
use crate::serve::Folder;

/// What the platform's chain is called in what is printed; no tenant's id has a character of it.
const PLATFORM: &str = "(platform)";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Audit {
    /// Look through every chain of records for what was removed, altered or moved; the service may
    /// run meanwhile. Prints where each chain ends: keep that elsewhere, and compare with it later
    Verify(Verify),
    /// Seal every chain with another key, once it holds by the former one. Put the new key into the
    /// configuration or the data folder first, and stop every node
    Reseal(Reseal),
}

/// Where the chains and their key are.
#[derive(Debug, clap::Args)]
struct Place {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder of everything that is kept [default: data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Place {
    /// The configuration, and the key that it gives.
    fn open(self) -> Result<(Config, AuditKey), Failure> {
        let overrides = Overrides { listen: None, data: self.data };
        let config = config::load(self.config.as_deref(), variables(), overrides)?.config;
        let key = match &config.audit_key {
            Some(secret) => AuditKey::new(secret),
            None => AuditKey::in_folder(&config.data).map_err(Failure::failed)?,
        };
        Ok((config, key))
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Reseal {
    #[command(flatten)]
    place: Place,
    /// The file of the key with which the chains are sealed until now
    #[arg(long, value_name = "FILE")]
    former_key: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    #[command(flatten)]
    place: Place,
    /// What this command has printed earlier: the chains must go on from there
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
}

impl Audit {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Verify(command) => command.run(),
            Self::Reseal(command) => command.run(),
        }
    }
}

impl Verify {
    fn run(self) -> Result<(), Failure> {
        let mut noted = self.against.as_deref().map(noted).transpose()?.unwrap_or_default();
        let (config, key) = self.place.open()?;
        let faults = client_runtime()?.block_on(look(&config, &key, &mut noted))?;
        match faults {
            0 => Ok(()),
            _ => Err(Failure::Failed(format!(
                "{} faults were found; what stands before the first one of a chain still holds",
                grouped(faults as u64)
            ))),
        }
    }
}

impl Reseal {
    fn run(self) -> Result<(), Failure> {
        let (config, key) = self.place.open()?;
        let former = AuditKey::in_file(&self.former_key).map_err(Failure::failed)?;
        // What a running service appends would be sealed with the former key.
        let _folder = Folder::open(&config.data).map_err(Failure::failed)?;
        client_runtime()?.block_on(seal(&config, &former, &key))
    }
}

/// Seals all chains with the key, the platform's last: without that no service starts with it.
async fn seal(config: &Config, former: &AuditKey, key: &AuditKey) -> Result<(), Failure> {
    let store = Store::connect(&config.control_store()).await.map_err(Failure::failed)?;
    let mut left = 0;
    let mut chains = chains(&store).await.map_err(Failure::failed)?;
    chains.reverse();
    let mut records = 0;
    for (name, chain) in chains {
        if chain == Chain::Platform && left > 0 {
            break;
        }
        match reseal(&store, former, key, chain).await.map_err(Failure::failed)? {
            Resealed::Done(count) => records += count,
            Resealed::Faults(verdict) => {
                left += 1;
                report(&name, &verdict);
            }
            Resealed::Grown => {
                left += 1;
                eprintln!("{name}: records came meanwhile; stop every node and run this again");
            }
        }
    }
    if left > 0 {
        return Err(Failure::Failed(format!(
            "{} chains do not hold by the former key and were left as they are; the others are \
             sealed with the new one",
            grouped(left)
        )));
    }
    let entry = resealed(former, key);
    store.append_audit(key, &[entry]).await.map_err(Failure::failed)?;
    store.close().await;
    eprintln!("sealed {} records with the key {}", grouped(records), key.id());
    Ok(())
}

/// The record of it, in the platform's chain.
fn resealed(former: &AuditKey, key: &AuditKey) -> AuditEntry {
    let mut detail = Map::new();
    detail.insert("former_key".to_owned(), json!(former.id()));
    detail.insert("key".to_owned(), json!(key.id()));
    AuditEntry {
        chain: Chain::Platform,
        at: Utc::now(),
        actor: String::new(),
        source: String::new(),
        action: Action::Change,
        object: "sealed the audit with another key".to_owned(),
        status: 200,
        detail,
    }
}

/// Looks through all chains, prints what is found, and answers how many faults that is.
async fn look(
    config: &Config,
    key: &AuditKey,
    noted: &mut BTreeMap<String, Vec<Anchor>>,
) -> Result<usize, Failure> {
    let store = Store::connect(&config.control_store()).await.map_err(Failure::failed)?;
    let mut faults = 0;
    for (name, chain) in chains(&store).await.map_err(Failure::failed)? {
        let anchors = noted.remove(&name).unwrap_or_default();
        let verdict = verify(&store, key, chain, &anchors).await.map_err(Failure::failed)?;
        faults += verdict.count;
        report(&name, &verdict);
    }
    // Of erased tenants nothing is left to be compared with.
    for id in store.tombstones().await.map_err(Failure::failed)? {
        noted.remove(id.id.as_str());
    }
    for name in noted.keys() {
        faults += 1;
        eprintln!("{name}: the chain is missing");
    }
    store.close().await;
    Ok(faults)
}

/// The chains there may be, with their names.
async fn chains(store: &Store) -> Result<Vec<(String, Chain)>, tenancy::StoreError> {
    let mut chains = vec![(PLATFORM.to_owned(), Chain::Platform)];
    for tenant in store.tenants().await? {
        chains.push((tenant.id.to_string(), Chain::Tenant(tenant.number)));
    }
    Ok(chains)
}

fn report(name: &str, verdict: &Verdict) {
    let Verdict { records, hash, faults, count } = verdict;
    for fault in faults {
        eprintln!("{name}: {fault}");
    }
    if *count > faults.len() {
        eprintln!("{name}: and {} more", grouped((count - faults.len()) as u64));
    }
    if *count == 0 && *records > 0 {
        println!("{name} {records} {}", hex(hash));
    }
}

/// Reads what was printed earlier: a line `<chain> <records> <hash>` for each chain.
fn noted(path: &Path) -> Result<BTreeMap<String, Vec<Anchor>>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))?;
    let mut noted: BTreeMap<String, Vec<Anchor>> = BTreeMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let (name, anchor) = anchor(line).ok_or_else(|| {
            Failure::Usage(format!(
                "{}:{}: not a line that `tidemark audit verify` prints",
                path.display(),
                number + 1
            ))
        })?;
        noted.entry(name).or_default().push(anchor);
    }
    Ok(noted)
}

fn anchor(line: &str) -> Option<(String, Anchor)> {
    let mut words = line.split_whitespace();
    let (name, seq, hex) = (words.next()?, words.next()?, words.next()?);
    let mut hash = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() || words.next().is_some() {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some((name.to_owned(), Anchor { seq: seq.parse().ok()?, hash }))
}
