//! The key that seals the ends of the chains.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::{AuditHead, Chain};
use crate::{Secret, SecretError, hex};

/// What begins the text that is sealed.
const KIND: &[u8] = b"tidemark audit head 1\n";

/// The key that seals the ends of the chains. Whoever has it can write a chain anew, so it is kept
/// where the database is not. `Debug` does not show it.
#[derive(Clone)]
pub struct AuditKey {
    /// The key as HMAC takes it: filled up with zeros, a longer one as its hash (RFC 2104).
    block: [u8; 64],
    id: String,
}

/// A key that cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum AuditKeyError {
    /// The file cannot be read or written.
    #[error(
        "cannot read or make the key of the audit {path}: {source}; check that the folder may be written"
    )]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What stands in it is no key.
    #[error("{path} holds no key of the audit: {source}; restore it from a backup")]
    Secret {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SecretError,
    },
}

impl AuditKey {
    /// The key of this secret.
    pub fn new(secret: &Secret) -> Self {
        let key = secret.bytes();
        let id = Sha256::digest([b"tidemark audit key 1\n".as_slice(), key].concat());
        let id = hex(&id[..8]);
        let mut block = [0; 64];
        let hashed = Sha256::digest(key);
        let fitting: &[u8] = if key.len() > block.len() { hashed.as_ref() } else { key };
        for (to, from) in block.iter_mut().zip(fitting) {
            *to = *from;
        }
        Self { block, id }
    }

    /// The key in the file `audit.key` of a folder, made at random when it is first asked for.
    pub fn of_folder(folder: &Path) -> Result<Self, AuditKeyError> {
        match Self::in_folder(folder) {
            Err(AuditKeyError::File { path, source }) if source.kind() == ErrorKind::NotFound => {
                make(&path)?;
                Self::in_folder(folder)
            }
            read => read,
        }
    }

    /// The key in the file `audit.key` of a folder, which must be there.
    pub fn in_folder(folder: &Path) -> Result<Self, AuditKeyError> {
        Self::in_file(&folder.join("audit.key"))
    }

    /// The key in a file.
    pub fn in_file(path: &Path) -> Result<Self, AuditKeyError> {
        let text = fs::read_to_string(path);
        let text = text.map_err(|source| AuditKeyError::File { path: path.to_owned(), source })?;
        let secret = Secret::new(text.trim());
        let secret =
            secret.map_err(|source| AuditKeyError::Secret { path: path.to_owned(), source })?;
        Ok(Self::new(&secret))
    }

    /// Tells keys apart without showing them: the beginning of a hash of the key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The seal of a chain's end: HMAC-SHA256 over the line `tidemark audit head 1`, the chain, `seq`
    /// and the hash, as [`AuditRecord::digest`](super::AuditRecord::digest) writes them.
    pub fn seal(&self, chain: Chain, seq: u64, hash: &[u8; 32]) -> [u8; 32] {
        self.mac(chain, seq, hash).finalize().into_bytes().into()
    }

    /// A seal that no key makes.
    pub(crate) const VOID: [u8; 32] = [0; 32];

    /// A sealed end.
    pub(crate) fn head(&self, chain: Chain, seq: u64, hash: [u8; 32]) -> AuditHead {
        AuditHead { seq, hash, key_id: self.id.clone(), seal: self.seal(chain, seq, &hash) }
    }

    /// An end of what was not found sealed; it never counts as sealed.
    pub(crate) fn void_head(&self, seq: u64, hash: [u8; 32]) -> AuditHead {
        AuditHead { seq, hash, key_id: self.id.clone(), seal: Self::VOID }
    }

    /// Whether this key has sealed the end, and says so.
    pub(crate) fn has_sealed(&self, chain: Chain, head: &AuditHead) -> bool {
        head.key_id == self.id && self.holds(chain, head)
    }

    /// Whether the end is one that this key has sealed.
    pub fn holds(&self, chain: Chain, head: &AuditHead) -> bool {
        self.mac(chain, head.seq, &head.hash).verify_slice(&head.seal).is_ok()
    }

    fn mac(&self, chain: Chain, seq: u64, hash: &[u8; 32]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.block.into());
        mac.update(KIND);
        mac.update(&chain.bytes());
        mac.update(&seq.to_be_bytes());
        mac.update(hash);
        mac
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditKey({})", self.id)
    }
}

/// Makes a key, whole or not at all, for its owner alone to read.
fn make(path: &Path) -> Result<(), AuditKeyError> {
    let failed = |source| AuditKeyError::File { path: path.to_owned(), source };
    let secret = Secret::random();
    let secret =
        secret.map_err(|source| AuditKeyError::Secret { path: path.to_owned(), source })?;
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let write = || {
        let mut options = OpenOptions::new();
        options.create_new(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&draft)?;
        file.write_all(secret.bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(failed)
}
