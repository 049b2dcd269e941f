#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};

use super::{Address, ObjectsError, folder};

fn open(address: &str) -> Result<std::sync::Arc<dyn ObjectStore>, ObjectsError> {
    address.parse::<Address>()?.open(bucket_environment())
}

fn bucket_environment() -> Vec<(String, String)> {
    [
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_ALLOW_HTTP", "true"),
        ("HOME", "/nowhere"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

async fn names(store: &dyn ObjectStore) -> Vec<String> {
    let mut all: Vec<String> =
        store.list(None).map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap();
    all.sort();
    all
}

#[tokio::test]
async fn what_is_put_into_a_folder_is_there_for_the_next_who_opens_it() {
    let root = tempfile::tempdir().unwrap();
    let address = format!("file://{}/a/b", root.path().display());
    let store = open(&address).unwrap();
    let (one, two) = (Path::from("x/one"), Path::from("x/y/two"));
    store.put(&one, "first".into()).await.unwrap();
    let mut upload = store.put_multipart(&two).await.unwrap();
    upload.put_part("sec".into()).await.unwrap();
    upload.put_part("ond".into()).await.unwrap();
    upload.complete().await.unwrap();
    let again = store.put_opts(&one, "other".into(), PutMode::Create.into()).await;
    assert!(matches!(again, Err(object_store::Error::AlreadyExists { .. })), "{again:?}");
    drop(store);
    let store = folder(&root.path().join("a/b")).unwrap();
    assert_eq!(names(&*store).await, ["x/one", "x/y/two"]);
    let read = store.get(&two).await.unwrap().bytes().await.unwrap();
    assert_eq!(read, "second");
    assert_eq!(store.get(&one).await.unwrap().bytes().await.unwrap(), "first");
}

#[tokio::test]
async fn what_a_writer_left_half_written_is_no_object_and_goes_in_time() {
    let root = tempfile::tempdir().unwrap();
    let (old, young) = (root.path().join("old#1"), root.path().join("young#12"));
    for path in [&old, &young] {
        fs::write(path, "half").unwrap();
    }
    let long_ago = SystemTime::now() - Duration::from_hours(48);
    File::options().write(true).open(&old).unwrap().set_modified(long_ago).unwrap();
    fs::write(root.path().join("whole#x1"), "whole").unwrap();
    let store = folder(root.path()).unwrap();
    assert!(!old.exists() && young.exists());
    assert_eq!(names(&*store).await.len(), 1);
    let address = Address::Folder(root.path().to_owned());
    assert_eq!(address.remove_half_written("nowhere").unwrap(), 0);
    assert_eq!(address.remove_half_written("").unwrap(), 1);
    assert!(!young.exists());
    assert_eq!(names(&*store).await.len(), 1);
}

#[tokio::test]
async fn a_folder_goes_with_its_last_file() {
    let root = tempfile::tempdir().unwrap();
    let store = folder(root.path()).unwrap();
    for path in ["a/b/one", "a/c/two"] {
        store.put(&Path::from(path), "x".into()).await.unwrap();
    }
    store.delete(&Path::from("a/b/one")).await.unwrap();
    assert!(!root.path().join("a/b").exists() && root.path().join("a/c/two").exists());
    store.delete(&Path::from("a/c/two")).await.unwrap();
    assert!(root.path().exists());
    store.put(&Path::from("a/b/one"), "y".into()).await.unwrap();
    assert_eq!(names(&*store).await, ["a/b/one"]);
}

#[test]
fn addresses_are_understood_or_refused_without_their_secrets() {
    assert!(open("s3://firm-data/tidemark/objects").is_ok());
    assert!(open("s3://firm-data").is_ok());
    for address in ["s3://firm-data/tidemark/objects", "s3://firm-data/", "file:///a/b"] {
        assert_eq!(address.parse::<Address>().unwrap().to_string(), address);
    }
    for (address, what) in [
        ("nonsense", "relative"),
        ("gs://firm-data", "`gs`"),
        ("file://host/folder", "absolute"),
        ("s3:///folder", "bucket is missing"),
        ("s3://key:hidden@bucket/", "environment"),
    ] {
        let error = open(address).unwrap_err();
        assert!(matches!(error, ObjectsError::Address(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains(what) && !text.contains("hidden"), "{address}: {text}");
    }
}

#[test]
fn a_file_in_the_place_of_the_folder_is_named() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    fs::write(&path, "").unwrap();
    let error = folder(&path).unwrap_err().to_string();
    assert!(error.contains("file"), "{error}");
}
