//! The data folder, held by one process.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use super::ServeError;

/// A data folder; nobody else has it for as long as this lives. The lock is the operating
/// system's, so it falls with the process, however that ends.
#[derive(Debug)]
pub(crate) struct Folder {
    _lock: File,
}

impl Folder {
    /// Creates the folder if it is missing, readable by its owner alone, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Folder { path: path.to_owned(), source };
        create(path).map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("tidemark.lock"))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(ServeError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// The name of the node whose folder this is: given at random when it is first asked for, and kept.
/// A copy of the folder is the same node, so it must not serve beside the first.
pub(super) fn node(path: &Path) -> Result<String, ServeError> {
    let path = path.join("node");
    let failed = |source| ServeError::Folder { path: path.clone(), source };
    match fs::read_to_string(&path) {
        Ok(name) if !name.trim().is_empty() => Ok(name.trim().to_owned()),
        Ok(_) => name(&path).map_err(failed),
        Err(error) if error.kind() == ErrorKind::NotFound => name(&path).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

fn name(path: &Path) -> std::io::Result<String> {
    let name = format!("{:016x}", rand::random::<u64>());
    // Whole or not at all: half a name would be another node's.
    let draft = path.with_extension("new");
    fs::write(&draft, &name)?;
    File::open(&draft)?.sync_all()?;
    fs::rename(&draft, path)?;
    Ok(name)
}

fn create(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_folder_has_one_holder() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let first = Folder::open(&path).unwrap();
        assert!(matches!(Folder::open(&path), Err(ServeError::InUse { .. })));
        drop(first);
        Folder::open(&path).unwrap();
    }

    #[test]
    fn a_node_keeps_its_name() {
        let root = tempfile::tempdir().unwrap();
        let first = node(root.path()).unwrap();
        assert_eq!(first.len(), 16);
        assert_eq!(node(root.path()).unwrap(), first);
        fs::write(root.path().join("node"), "").unwrap();
        assert_ne!(node(root.path()).unwrap(), "");
    }

    #[test]
    fn a_file_in_its_place_is_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        fs::write(&path, "").unwrap();
        let error = Folder::open(&path).unwrap_err().to_string();
        assert!(error.contains("file"), "{error}");
    }
}
