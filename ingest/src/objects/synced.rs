//! A folder as an object store whose files survive a power cut once they are reported as written.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// Files that a writer left half-written are removed when they are so old: no writer takes longer.
const ABANDONED: Duration = Duration::from_hours(24);

/// The store of the `object_store` crate leaves files in the page cache; this one puts file and
/// name on disk before it returns.
#[derive(Debug)]
pub(crate) struct Synced {
    root: PathBuf,
    files: LocalFileSystem,
}

impl Synced {
    /// Opens the folder, makes it if it is missing, and removes what writers left half-written.
    pub(crate) fn open(root: &FilePath) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let root = root.canonicalize()?;
        remove_staged(&root, ABANDONED)?;
        let files = LocalFileSystem::new_with_prefix(&root).map_err(io::Error::other)?;
        // The folder of a type bears its name, which may be a tenant's own.
        let files = files.with_automatic_cleanup(true);
        Ok(Self { root, files })
    }
}

impl fmt::Display for Synced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root.display())
    }
}

/// Files are written under a name that ends in `#` and a number, and renamed when they are whole.
/// Removes those that are so old, and tells how many; a folder that is not there has none.
pub(super) fn remove_staged(folder: &FilePath, age: Duration) -> io::Result<usize> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            removed += remove_staged(&entry.path(), age)?;
            continue;
        }
        let name = entry.file_name();
        let staged = name.to_string_lossy().rsplit_once('#').is_some_and(|(_, number)| {
            !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
        });
        let since = SystemTime::now().duration_since(entry.metadata()?.modified()?);
        if staged && since.unwrap_or_default() >= age {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Puts a file on disk, and its name, and the names of the folders on the way to it.
fn sync(root: &FilePath, file: &FilePath) -> io::Result<()> {
    File::open(file)?.sync_all()?;
    let folders = file.ancestors().skip(1).take_while(|folder| folder.starts_with(root));
    for folder in folders {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

async fn synced(root: PathBuf, file: PathBuf) -> Result<()> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| object_store::Error::Generic {
        store: "folder",
        source,
    };
    let done = tokio::task::spawn_blocking(move || sync(&root, &file)).await;
    done.map_err(|error| failed(error.into()))?.map_err(|error| failed(error.into()))
}

#[async_trait]
impl ObjectStore for Synced {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let put = self.files.put_opts(location, payload, opts).await?;
        synced(self.root.clone(), self.files.path_to_filesystem(location)?).await?;
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.files.put_multipart_opts(location, opts).await?;
        let file = self.files.path_to_filesystem(location)?;
        Ok(Box::new(SyncedUpload { upload, root: self.root.clone(), file }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[std::ops::Range<u64>],
    ) -> Result<Vec<bytes::Bytes>> {
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await?;
        synced(self.root.clone(), self.files.path_to_filesystem(to)?).await
    }
}

/// An upload in parts, put on disk when it is complete.
#[derive(Debug)]
struct SyncedUpload {
    upload: Box<dyn MultipartUpload>,
    root: PathBuf,
    file: PathBuf,
}

#[async_trait]
impl MultipartUpload for SyncedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let put = self.upload.complete().await?;
        synced(self.root.clone(), self.file.clone()).await?;
        Ok(put)
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}
