//! What only the embedded database can show: opening again, its lock, its plain tables.

use std::path::Path;
use std::process::Command;

use rapport::documents::embedded::EmbeddedDocuments;
use rapport::documents::{DocumentOutcome, DocumentPut, DocumentStore, Expect};
use rapport::profile::embedded::EmbeddedProfiles;
use rapport::profile::store::{ProfilePut, ProfileStore, PutOutcome};
use rapport::store_engine::{Embedded, StoreError, Table};

const CHILD_FOLDER: &str = "RAPPORT_TEST_STORE_FOLDER";

fn document(body: &[u8]) -> DocumentPut {
    DocumentPut { id: "a".to_owned(), expect: Expect::Any, body: Some(body.to_vec()), external_revision: Some(5) }
}

fn profile(expected: u64) -> ProfilePut<'static> {
    ProfilePut { visitor: "v", expected, blob: Some(b"profile".to_vec()) }
}

async fn fill(folder: &Path) -> Embedded {
    let store = Embedded::open(folder).unwrap();
    let profiles = EmbeddedProfiles::new(store.clone());
    let outcomes = profiles.put_many("s", vec![profile(0)]).await;
    assert_eq!(outcomes.unwrap(), [PutOutcome::Stored]);
    let documents = EmbeddedDocuments::new(store.clone());
    documents.put_many("s", "k", vec![document(b"document")]).await.unwrap();
    store.meta_put("position", b"42").unwrap();
    store
}

async fn all_is_there(store: Embedded) {
    let profiles = EmbeddedProfiles::new(store.clone());
    let found = profiles.get_many("s", &["v"]).await.unwrap().remove(0);
    assert_eq!(found.unwrap().blob, b"profile");
    let outcomes = profiles.put_many("s", vec![profile(0), profile(1)]).await;
    assert_eq!(outcomes.unwrap(), [PutOutcome::Conflict, PutOutcome::Stored]);
    assert_eq!(store.meta_get("position").unwrap().unwrap(), b"42");
    let documents = EmbeddedDocuments::new(store);
    assert_eq!(documents.head("s").await.unwrap(), 1);
    let outcomes = documents.put_many("s", "k", vec![document(b"late")]).await;
    assert_eq!(outcomes.unwrap(), [DocumentOutcome::Stale { current: 5 }]);
    let found = documents.get_many("s", "k", &["a"]).await.unwrap().remove(0);
    assert_eq!(found.unwrap().body, b"document");
}

#[tokio::test]
async fn opening_again_finds_everything() {
    let folder = tempfile::tempdir().unwrap();
    drop(fill(folder.path()).await);
    all_is_there(Embedded::open(folder.path()).unwrap()).await;
}

#[tokio::test]
async fn what_was_written_survives_the_abrupt_end_of_the_process() {
    if let Some(folder) = std::env::var_os(CHILD_FOLDER) {
        let _store = fill(Path::new(&folder)).await;
        std::process::abort();
    }
    let folder = tempfile::tempdir().unwrap();
    let name = "stores::embedded_only::what_was_written_survives_the_abrupt_end_of_the_process";
    let ended =
        Command::new(std::env::current_exe().unwrap()).args(["--exact", name]).env(CHILD_FOLDER, folder.path()).output().unwrap();
    assert_eq!(ended.status.code(), None, "{ended:?}");
    all_is_there(Embedded::open(folder.path()).unwrap()).await;
}

#[tokio::test]
async fn compacting_keeps_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = fill(folder.path()).await;
    let profiles = EmbeddedProfiles::new(store.clone());
    profiles.erase("s", "nobody").await.unwrap();
    store.compact().unwrap();
    all_is_there(store).await;
}

#[test]
fn a_store_opens_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = Embedded::open(folder.path()).unwrap();
    let second = Embedded::open(folder.path());
    let Err(StoreError::Refused(message)) = second else {
        panic!("{second:?}");
    };
    assert!(message.contains("in use by another process"), "{message}");
    drop(first);
    Embedded::open(folder.path()).unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let opened = Embedded::open(&file.join("store"));
    assert!(matches!(opened, Err(StoreError::Unavailable(_))), "{opened:?}");
}

#[test]
fn plain_tables_keep_order_and_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    let entry = |key: &[u8], value: &[u8]| (key.to_vec(), Some(value.to_vec()));
    let seen = Table::Seen;
    let entries = vec![entry(b"c", b"3"), entry(b"a", b"1"), entry(b"b\0", b"2")];
    store.put_many(seen, entries).unwrap();
    store.put_many(seen, vec![(b"c".to_vec(), None), entry(b"d", b"4")]).unwrap();
    let keys = |after: Option<&[u8]>, end: Option<&[u8]>, limit| {
        let found = store.scan(seen, after, end, limit).unwrap();
        let keys = found.into_iter().map(|(key, _)| String::from_utf8(key));
        keys.collect::<Result<Vec<_>, _>>().unwrap()
    };
    assert_eq!(keys(None, None, 9), ["a", "b\0", "d"]);
    assert_eq!(keys(Some(b"a"), None, 1), ["b\0"]);
    assert_eq!(keys(Some(b"a"), Some(b"d"), 9), ["b\0"]);
    assert!(keys(Some(b"d"), Some(b"a"), 9).is_empty());
    assert!(keys(Some(b"a"), Some(b"a"), 9).is_empty());
    assert_eq!(store.get(seen, b"d").unwrap().unwrap(), b"4");
    assert_eq!(store.get(Table::Meta, b"d").unwrap(), None);
}
