//! An object store that fails as asked.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What happens at an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails, once.
    Fail,
    /// The process dies before it: it and all later ones fail.
    Crash,
    /// The process dies after it: it is done, and it and all later ones fail.
    CrashAfter,
    /// A write keeps only the first half, and says that all is well.
    Truncate,
    /// A write turns one bit, and says that all is well.
    Flip,
    /// It takes a while.
    Delay,
}

#[derive(Debug, Default)]
struct State {
    operations: usize,
    faults: HashMap<usize, Fault>,
    dead: bool,
    /// The sizes of what was written.
    sizes: HashMap<Path, usize>,
    /// How many bytes there is room for.
    room: Option<usize>,
    /// A write was damaged.
    damaged: bool,
}

#[derive(Debug)]
pub(crate) struct Faulty {
    inner: Arc<dyn ObjectStore>,
    state: Mutex<State>,
}

impl Faulty {
    /// Fails at the operations that are named, counted from 0.
    pub(crate) fn new(
        inner: Arc<dyn ObjectStore>,
        faults: impl IntoIterator<Item = (usize, Fault)>,
    ) -> Arc<Self> {
        let state = State { faults: faults.into_iter().collect(), ..Default::default() };
        Arc::new(Self { inner, state: Mutex::new(state) })
    }

    pub(crate) fn set_room(&self, room: Option<usize>) {
        self.state.lock().unwrap().room = room;
    }

    pub(crate) fn operations(&self) -> usize {
        self.state.lock().unwrap().operations
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.state.lock().unwrap().dead
    }

    pub(crate) fn has_damaged(&self) -> bool {
        self.state.lock().unwrap().damaged
    }

    /// Counts an operation; what is to happen at it, if not an error.
    fn operation(&self) -> Result<Option<Fault>> {
        let mut state = self.state.lock().unwrap();
        let at = state.operations;
        state.operations += 1;
        if state.dead {
            return Err(error("the process is dead"));
        }
        match state.faults.get(&at).copied() {
            Some(Fault::Fail) => Err(error("as asked")),
            Some(Fault::Crash) => {
                state.dead = true;
                Err(error("the process has died"))
            }
            fault => Ok(fault),
        }
    }

    fn die(&self) -> object_store::Error {
        self.state.lock().unwrap().dead = true;
        error("the process has died")
    }

    fn reserve(&self, path: &Path, size: usize) -> Result<()> {
        let mut state = self.state.lock().unwrap();
        let held: usize = state.sizes.values().sum();
        if state.room.is_some_and(|room| held + size > room) {
            return Err(error("no space left on device"));
        }
        state.sizes.insert(path.clone(), size);
        Ok(())
    }
}

fn error(what: &str) -> object_store::Error {
    object_store::Error::Generic { store: "faulty", source: what.into() }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let fault = self.operation()?;
        self.reserve(at, payload.content_length())?;
        let mut bytes: Vec<u8> = payload.iter().flatten().copied().collect();
        match fault {
            Some(Fault::Truncate) => bytes.truncate(bytes.len() / 2),
            Some(Fault::Flip) => {
                let place = bytes.len() * 5 / 8;
                bytes[place] ^= 4;
            }
            Some(Fault::Delay) => tokio::time::sleep(Duration::from_millis(20)).await,
            _ => {}
        }
        if matches!(fault, Some(Fault::Truncate | Fault::Flip)) {
            self.state.lock().unwrap().damaged = true;
        }
        let put = self.inner.put_opts(at, Bytes::from(bytes).into(), options).await?;
        if fault == Some(Fault::CrashAfter) { Err(self.die()) } else { Ok(put) }
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.operation()?;
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let fault = self.operation()?;
        let got = self.inner.get_opts(at, options).await?;
        if fault == Some(Fault::CrashAfter) { Err(self.die()) } else { Ok(got) }
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        // Of several in one call all fail or none: this is called with one at a time.
        match self.operation() {
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
            Ok(Some(Fault::CrashAfter)) => {
                let deleted = self.inner.delete_stream(paths);
                self.die();
                deleted
            }
            Ok(_) => {
                // What is on its way out takes no room any more.
                let (paths, gone) = futures::executor::block_on(async {
                    let paths: Vec<_> = paths.collect().await;
                    let gone: Vec<_> = paths.iter().flatten().cloned().collect();
                    (paths, gone)
                });
                let mut state = self.state.lock().unwrap();
                state.sizes.retain(|path, _| !gone.contains(path));
                self.inner.delete_stream(futures::stream::iter(paths).boxed())
            }
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.operation() {
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
            Ok(_) => self.inner.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.operation()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.operation()?;
        self.inner.copy_opts(from, to, options).await
    }
}
