//! A small disk: a file system in memory, in a namespace that a process of its own holds.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// The ways into a namespace where one may mount: as a user, and as root.
const WAYS: [(&[&str], &[&str]); 2] = [
    (&["--user", "--map-root-user", "--mount"], &["--user", "--preserve-credentials", "--mount"]),
    (&["--mount"], &["--mount"]),
];

/// What fills it up.
const FILLER: &str = "filler";

/// A disk of some mebibytes. What is on it stays for as long as this lives.
pub(crate) struct SmallDisk {
    place: TempDir,
    holder: Child,
    enter: &'static [&'static str],
}

impl SmallDisk {
    /// A new one.
    pub(crate) fn new(mebibytes: u32) -> Self {
        let disk = WAYS.iter().find_map(|(make, enter)| Self::made(mebibytes, make, enter));
        disk.expect("a small disk needs `unshare --user --map-root-user --mount`, or root")
    }

    fn made(mebibytes: u32, make: &[&str], enter: &'static [&'static str]) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let mount = format!(
            "mount -t tmpfs -o size={mebibytes}m small \"$1\" && touch \"$1/mounted\" && exec sleep 3600"
        );
        let holder = Command::new("unshare")
            .args(make)
            .args(["sh", "-c", &mount, "sh"])
            .arg(place.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut disk = Self { place, holder, enter };
        while !disk.outside("mounted").exists() {
            if disk.holder.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(disk)
    }

    /// Where it is, for who is inside.
    pub(crate) fn path(&self) -> &Path {
        self.place.path()
    }

    /// A file on it, for who is outside.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.path().strip_prefix("/").unwrap()).join(name)
    }

    /// A command that runs the program inside.
    pub(crate) fn inside(&self, program: &Command) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string()]).args(self.enter);
        command.arg("--").arg(program.get_program());
        command
    }

    /// Fills it but for so many bytes.
    pub(crate) fn fill(&self, left: u64) {
        let path = self.outside(FILLER);
        let mut filler = File::options().create(true).append(true).open(path).unwrap();
        for size in [1 << 20, 1 << 12] {
            let zeros = vec![0; size];
            let full = loop {
                if let Err(error) = filler.write_all(&zeros) {
                    break error;
                }
            };
            assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
        }
        let length = filler.metadata().unwrap().len();
        filler.set_len(length.saturating_sub(left)).unwrap();
    }

    /// Makes room again.
    pub(crate) fn clear(&self) {
        fs::remove_file(self.outside(FILLER)).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The namespace goes with its last process, and the disk with the namespace.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
