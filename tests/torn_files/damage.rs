//! Damage to files.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rand::Rng;
use rand::rngs::StdRng;

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// It ends early.
    Truncated,
    /// It has a bit that is another.
    Flipped,
    /// A block of it holds zeros.
    Zeroed,
    /// It is there, without anything in it.
    Emptied,
    /// It is gone.
    Deleted,
}

impl Damage {
    pub(crate) const ALL: [Self; 5] =
        [Self::Truncated, Self::Flipped, Self::Zeroed, Self::Emptied, Self::Deleted];

    /// Does it to a file that has something in it.
    pub(crate) fn strike(self, path: &Path, random: &mut StdRng) {
        let length = fs::metadata(path).unwrap().len();
        assert!(length > 0, "{} is empty", path.display());
        let file = || OpenOptions::new().read(true).write(true).open(path).unwrap();
        let at = random.random_range(0..length);
        match self {
            Self::Truncated => file().set_len(at).unwrap(),
            Self::Flipped => {
                let mut byte = [0];
                file().read_exact_at(&mut byte, at).unwrap();
                byte[0] ^= 1 << random.random_range(0..8);
                file().write_all_at(&byte, at).unwrap();
            }
            Self::Zeroed => {
                let from = at / 4096 * 4096;
                let zeros = vec![0; (length - from).min(4096) as usize];
                file().write_all_at(&zeros, from).unwrap();
            }
            Self::Emptied => drop(File::create(path).unwrap()),
            Self::Deleted => fs::remove_file(path).unwrap(),
        }
    }
}

/// All files in a folder and those within it, in order of their names.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let copy = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(&file, &copy).unwrap();
    }
}
