//! The object store: where checkpoints and history are kept.
//!
//! A folder, or a bucket that speaks S3. In a folder a file is on disk, with its name, when the
//! call that wrote it returns; object stores promise that by themselves.

mod synced;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use url::Url;

use synced::Synced;

/// The object store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// It is no address that is understood. The address may hold a secret and is not repeated.
    #[error(
        "object_store_url: {0}; write a folder as `file:///var/lib/tidemark/objects` and a bucket \
         as `s3://bucket/folder`"
    )]
    Address(String),
    /// The folder cannot be made or used.
    #[error("the folder of objects {} cannot be used: {source}; see that it can be written", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: Arc<std::io::Error>,
    },
    /// The settings of the bucket do not make sense.
    #[error("the bucket {bucket}: {source}; see the AWS_* variables of the environment")]
    Bucket {
        /// Its name.
        bucket: String,
        /// What is missing or wrong.
        source: object_store::Error,
    },
}

/// The folder `folder`, made if it is missing.
pub fn folder(folder: &FilePath) -> Result<Arc<dyn ObjectStore>, ObjectsError> {
    let failed =
        |source| ObjectsError::Folder { path: folder.to_owned(), source: Arc::new(source) };
    Ok(Arc::new(Synced::open(folder).map_err(failed)?))
}

/// The variables of the process, as far as they are text.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Where objects are kept: `file:///folder` or `s3://bucket/folder`. It has no secrets in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A folder.
    Folder(PathBuf),
    /// A folder in a bucket, or all of it.
    Bucket {
        /// The bucket's name.
        name: String,
        /// The folder.
        folder: Path,
    },
}

impl FromStr for Address {
    type Err = ObjectsError;

    fn from_str(address: &str) -> Result<Self, ObjectsError> {
        let refused = |what: &str| ObjectsError::Address(what.to_owned());
        let url = Url::parse(address).map_err(|error| refused(&error.to_string()))?;
        if url.username() != "" || url.password().is_some() || url.query().is_some() {
            return Err(refused("keys and options stand in the environment, not in the address"));
        }
        match url.scheme() {
            "file" => {
                let path = url.to_file_path();
                let path = path.map_err(|()| refused("a folder has an absolute path, no host"))?;
                Ok(Self::Folder(path))
            }
            "s3" => {
                let name = url.host_str().filter(|name| !name.is_empty());
                let name = name.ok_or_else(|| refused("the bucket is missing"))?.to_owned();
                let folder = Path::from_url_path(url.path());
                Ok(Self::Bucket { name, folder: folder.map_err(|e| refused(&e.to_string()))? })
            }
            other => Err(refused(&format!("`{other}` is no kind of store it knows"))),
        }
    }
}

impl Address {
    /// Removes what killed processes left half-written below a folder of the store, where nobody
    /// may be writing; answers how many files. A bucket shows nothing of such.
    ///
    /// # Errors
    /// The folder cannot be read, or a file not be removed.
    pub fn remove_half_written(&self, below: &str) -> std::io::Result<usize> {
        match self {
            Self::Folder(root) => synced::remove_staged(&root.join(below), Duration::ZERO),
            Self::Bucket { .. } => Ok(0),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "file://{}", path.display()),
            Self::Bucket { name, folder } => write!(f, "s3://{name}/{folder}"),
        }
    }
}

impl Address {
    /// Opens the store there; makes the folder if it is missing.
    ///
    /// `environment` gives what a bucket needs beyond its name, in the variables that other tools
    /// use: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, for a store other than
    /// Amazon's `AWS_ENDPOINT_URL` and, if that is plain HTTP, `AWS_ALLOW_HTTP=true`. Pass
    /// [`environment`].
    ///
    /// # Errors
    /// The folder cannot be made, or a setting of the bucket is missing or makes no sense.
    pub fn open(
        &self,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Arc<dyn ObjectStore>, ObjectsError> {
        let (name, prefix) = match self {
            Self::Folder(path) => return folder(path),
            Self::Bucket { name, folder } => (name, folder),
        };
        let known = environment.into_iter().filter_map(|(variable, value)| {
            let key = variable.strip_prefix("AWS_").map(|_| variable.to_ascii_lowercase())?;
            Some((key.parse().ok()?, value))
        });
        let builder = known
            .fold(AmazonS3Builder::new(), |builder, (key, value)| builder.with_config(key, value));
        let store = builder
            .with_bucket_name(name)
            .build()
            .map_err(|source| ObjectsError::Bucket { bucket: name.clone(), source })?;
        Ok(match prefix.parts().next() {
            None => Arc::new(store),
            Some(_) => Arc::new(PrefixStore::new(store, prefix.clone())),
        })
    }
}
