//! Small files into larger ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::merge::merge;
use super::store::aside;
use super::{Change, HistoryError, HistoryFile, HistoryStore};

/// Files of one type and about one size that are merged into one.
const TOGETHER: usize = 8;
/// Files up to this size are of the smallest class; each further class is [`TOGETHER`] times as large.
const SMALLEST: u64 = 1 << 20;
/// Files of this size are merged no more.
const LARGEST: u64 = 256 << 20;

impl HistoryStore {
    /// Merges the files of the type that has the most of about one size, if some type has eight
    /// of them. Every event is so rewritten once for each eightfold growth of its file, and a type
    /// has at most some thirty files, beside those of 256 MiB.
    ///
    /// # Errors
    /// A file cannot be read, or the new one not written.
    pub async fn compact(
        &self,
        files: &[Arc<HistoryFile>],
    ) -> Result<Option<Change>, HistoryError> {
        let Some(removed) = choose(files) else { return Ok(None) };
        let (store, inputs) = (self.clone(), removed.clone());
        let merged = aside(async move { merge(&store, &inputs, None).await }).await?;
        Ok(Some(Change { removed, added: merged.into_iter().collect(), erased: 0 }))
    }
}

/// The oldest files of the fullest class of a type.
fn choose(files: &[Arc<HistoryFile>]) -> Option<Vec<Arc<HistoryFile>>> {
    let mut classes: BTreeMap<(&str, u32), Vec<&Arc<HistoryFile>>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.bytes < LARGEST) {
        classes.entry((&file.event_type, class(file.bytes))).or_default().push(file);
    }
    let (_, mut files) = classes.into_iter().max_by_key(|(_, files)| files.len())?;
    if files.len() < TOGETHER {
        return None;
    }
    files.sort_by(|a, b| (a.first, &a.path).cmp(&(b.first, &b.path)));
    Some(files.into_iter().take(TOGETHER).cloned().collect())
}

fn class(bytes: u64) -> u32 {
    (bytes / SMALLEST).max(1).ilog(TOGETHER as u64) + u32::from(bytes >= SMALLEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_grow_eightfold() {
        let mib = |n: u64| n << 20;
        let classes = [0, mib(1) - 1, mib(1), mib(8) - 1, mib(8), mib(64), mib(255)].map(class);
        assert_eq!(classes, [0, 0, 1, 1, 2, 3, 3]);
    }
}
