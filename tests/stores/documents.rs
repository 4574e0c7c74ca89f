//! What every document store promises.

mod feed;
mod revisions;

pub(crate) use feed::*;
pub(crate) use revisions::*;

use rapport::documents::{Change, Document, DocumentOutcome, DocumentPut, DocumentStore, Expect};
use rapport::store_engine::{MAX_NAME, StoreError};

use super::ODD_NAMES;
use DocumentOutcome::{Conflict, NotFound, Stale, Stored};

const SITE: &str = "shop";
const KIND: &str = "rule";

fn put(id: &str, expect: Expect, body: &[u8]) -> DocumentPut {
    DocumentPut { id: id.to_owned(), expect, body: Some(body.to_vec()), external_revision: None }
}

fn delete(id: &str, expect: Expect) -> DocumentPut {
    DocumentPut { body: None, ..put(id, expect, b"") }
}

fn from_feed(id: &str, revision: u64, body: Option<&[u8]>) -> DocumentPut {
    DocumentPut { body: body.map(<[u8]>::to_vec), external_revision: Some(revision), ..put(id, Expect::Any, b"") }
}

fn held(revision: u64, body: &[u8]) -> Option<Document> {
    Some(Document { revision, body: body.to_vec() })
}

fn stored(revision: u64) -> DocumentOutcome {
    Stored { revision }
}

async fn get(store: &impl DocumentStore, id: &str) -> Option<Document> {
    let mut found = store.get_many(SITE, KIND, &[id]).await.unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

async fn write(store: &impl DocumentStore, puts: Vec<DocumentPut>) -> Vec<DocumentOutcome> {
    store.put_many(SITE, KIND, puts).await.unwrap()
}

async fn create(store: &impl DocumentStore, site: &str, kind: &str, ids: &[&str]) {
    let puts = ids.iter().map(|id| put(id, Expect::Absent, id.as_bytes())).collect();
    let outcomes = store.put_many(site, kind, puts).await.unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Stored { .. })), "{outcomes:?}");
}

async fn list_all(store: &impl DocumentStore, site: &str, kind: &str, page: usize) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let after = all.last().map(String::as_str);
        let found = store.list(site, kind, after, page).await.unwrap();
        assert!(found.len() <= page);
        let end = found.len() < page;
        all.extend(found.into_iter().map(|(id, _)| id));
        if end {
            return all;
        }
    }
}

fn change(seq: u64, id: &str, deleted: bool) -> Change {
    Change { seq, kind: KIND.to_owned(), id: id.to_owned(), deleted }
}

pub(crate) async fn documents_come_in_the_order_asked_for(store: impl DocumentStore) {
    create(&store, SITE, KIND, &["a", "b"]).await;
    let found = store.get_many(SITE, KIND, &["b", "x", "a", "b"]).await;
    assert_eq!(found.unwrap(), [held(1, b"b"), None, held(1, b"a"), held(1, b"b")]);
}

pub(crate) async fn expectations_hold_or_nothing_is_written(store: impl DocumentStore) {
    create(&store, SITE, KIND, &["a", "b", "c"]).await;
    let outcomes = write(
        &store,
        vec![
            put("a", Expect::Absent, b"no"),
            put("b", Expect::Revision(2), b"no"),
            put("c", Expect::Revision(1), b"yes"),
            put("d", Expect::Revision(1), b"no"),
            put("e", Expect::Any, b"yes"),
            delete("f", Expect::Any),
            delete("f", Expect::Absent),
            delete("f", Expect::Revision(1)),
            delete("a", Expect::Revision(9)),
            delete("b", Expect::Revision(1)),
        ],
    )
    .await;
    let taken = Conflict { current: Some(1) };
    let missing = Conflict { current: None };
    assert_eq!(outcomes, [taken, taken, stored(2), missing, stored(1), NotFound, NotFound, missing, taken, stored(2)]);
    let found = store.get_many(SITE, KIND, &["a", "b", "c", "d", "e", "f"]);
    assert_eq!(found.await.unwrap(), [held(1, b"a"), None, held(2, b"yes"), None, held(1, b"yes"), None]);
}

pub(crate) async fn puts_of_one_id_in_a_batch_see_each_other(store: impl DocumentStore) {
    let outcomes = write(
        &store,
        vec![
            put("a", Expect::Absent, b"1"),
            put("a", Expect::Absent, b"no"),
            put("a", Expect::Revision(1), b"2"),
            delete("a", Expect::Revision(2)),
            delete("a", Expect::Any),
            put("a", Expect::Absent, b"4"),
        ],
    )
    .await;
    let conflict = Conflict { current: Some(1) };
    assert_eq!(outcomes, [stored(1), conflict, stored(2), stored(3), NotFound, stored(4)]);
    assert_eq!(get(&store, "a").await, held(4, b"4"));
    let changes = store.changes(SITE, 0, 10).await.unwrap();
    assert_eq!(changes, [change(4, "a", false)]);
}

pub(crate) async fn no_concurrent_write_is_lost<S: DocumentStore + Clone + 'static>(store: S) {
    const WRITERS: u64 = 16;
    const ROUNDS: u64 = 10;
    create(&store, SITE, KIND, &["other"]).await;
    write(&store, vec![put("a", Expect::Absent, &0_u64.to_le_bytes())]).await;
    let tasks: Vec<_> = (0..WRITERS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    add_one(&store).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let count = WRITERS * ROUNDS;
    assert_eq!(get(&store, "a").await, held(count + 1, &count.to_le_bytes()));
}

async fn add_one(store: &impl DocumentStore) {
    loop {
        let read = get(store, "a").await.unwrap();
        let count = u64::from_le_bytes(read.body.try_into().unwrap()) + 1;
        let expect = Expect::Revision(read.revision);
        if write(store, vec![put("a", expect, &count.to_le_bytes())]).await == [stored(read.revision + 1)] {
            return;
        }
    }
}

pub(crate) async fn only_one_can_be_first<S: DocumentStore + Clone + 'static>(store: S) {
    let tasks: Vec<_> = (0..16_u8)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move { write(&store, vec![put("a", Expect::Absent, &[writer])]).await })
        })
        .collect();
    let mut first = 0;
    for task in tasks {
        match task.await.unwrap()[0] {
            Stored { revision: 1 } => first += 1,
            Conflict { current: Some(1) } => {}
            other @ (Stored { .. } | Conflict { .. } | Stale { .. } | NotFound) => {
                panic!("{other:?}")
            }
        }
    }
    assert_eq!(first, 1);
}

pub(crate) async fn a_list_is_ordered_and_pages(store: impl DocumentStore) {
    let mut names: Vec<String> = (0..150).map(|n| format!("item-{n}")).collect();
    names.extend(["é".to_owned(), "Z".to_owned(), "z".to_owned()]);
    let some: Vec<&str> = names.iter().map(String::as_str).collect();
    create(&store, SITE, KIND, &some).await;
    names.sort_unstable();
    for page in [1, 7, 153, 154, 5_000] {
        let all = list_all(&store, SITE, KIND, page).await;
        assert_eq!(all, names, "pages of {page}");
    }
    let deletions = names[3..140].iter().map(|id| delete(id, Expect::Any));
    write(&store, deletions.collect()).await;
    names.drain(3..140);
    assert_eq!(list_all(&store, SITE, KIND, 5).await, names);
    let found = store.list(SITE, KIND, Some("a"), 1).await.unwrap();
    assert_eq!(Some(found[0].1.clone()), held(1, found[0].0.as_bytes()));
    assert!(store.list(SITE, KIND, Some("é"), 5).await.unwrap().is_empty());
    assert!(store.list(SITE, KIND, None, 0).await.unwrap().is_empty());
}

pub(crate) async fn sites_and_kinds_are_separate(store: impl DocumentStore) {
    let places = [("a", "k"), ("a", "k2"), ("a:k", "k"), ("a}", "k"), ("ak", "k")];
    for (site, kind) in places {
        create(&store, site, kind, &["x"]).await;
    }
    let puts = vec![delete("x", Expect::Any)];
    store.put_many("a", "k", puts).await.unwrap();
    assert!(list_all(&store, "a", "k", 10).await.is_empty());
    for (site, kind) in &places[1..] {
        assert_eq!(list_all(&store, site, kind, 10).await, ["x"]);
    }
    assert_eq!(store.head("a").await.unwrap(), 3);
    assert_eq!(store.head("ak").await.unwrap(), 1);
    let changes = store.changes("a", 0, 10).await.unwrap();
    let kinds: Vec<(&str, bool)> = changes.iter().map(|c| (c.kind.as_str(), c.deleted)).collect();
    assert_eq!(kinds, [("k2", false), ("k", true)]);
    assert!(store.changes("k", 0, 10).await.unwrap().is_empty());
}

pub(crate) async fn bodies_are_kept_to_the_byte(store: impl DocumentStore) {
    let all: Vec<u8> = (0..=255).collect();
    for (id, body) in [("all", all.as_slice()), ("none", b""), ("nul", b"\0\0")] {
        assert_eq!(write(&store, vec![put(id, Expect::Any, body)]).await, [stored(1)]);
        assert_eq!(get(&store, id).await, held(1, body));
    }
}

pub(crate) async fn a_megabyte_fits(store: impl DocumentStore) {
    let body: Vec<u8> = (0..1_u32 << 18).flat_map(u32::to_le_bytes).collect();
    assert_eq!(write(&store, vec![put("a", Expect::Any, &body)]).await, [stored(1)]);
    assert_eq!(get(&store, "a").await, held(1, &body));
}

pub(crate) async fn a_large_batch_fits(store: impl DocumentStore) {
    let puts = (0..5_000).map(|n| put(&format!("{n:05}"), Expect::Any, &[b'x'; 500]));
    let outcomes = write(&store, puts.collect()).await;
    assert_eq!(outcomes, vec![stored(1); 5_000]);
    assert_eq!(list_all(&store, SITE, KIND, 1_000).await.len(), 5_000);
}

pub(crate) async fn empty_batches_are_answered(store: impl DocumentStore) {
    assert!(store.get_many(SITE, KIND, &[]).await.unwrap().is_empty());
    assert!(write(&store, vec![]).await.is_empty());
}

pub(crate) async fn odd_names_are_only_names(store: impl DocumentStore) {
    let longest = "x".repeat(MAX_NAME);
    let mut names: Vec<&str> = ODD_NAMES.to_vec();
    names.push(&longest);
    let mut sorted = names.clone();
    sorted.sort_unstable();
    for name in &names {
        create(&store, name, name, &names).await;
        assert_eq!(list_all(&store, name, name, 3).await, sorted, "{name:?}");
        let changes = store.changes(name, 0, 100).await.unwrap();
        let fed: Vec<&str> = changes.iter().map(|change| change.id.as_str()).collect();
        assert_eq!(fed, names);
        assert!(changes.iter().all(|change| change.kind == *name));
    }
    let found = store.get_many(names[2], names[2], &names).await.unwrap();
    let expected: Vec<_> = names.iter().map(|name| held(1, name.as_bytes())).collect();
    assert_eq!(found, expected);
}

pub(crate) async fn bad_names_are_refused(store: impl DocumentStore) {
    let long = "x".repeat(MAX_NAME + 1);
    for bad in ["", "a\0b", "\0", long.as_str()] {
        for (site, kind, id) in [(bad, KIND, "a"), (SITE, bad, "a"), (SITE, KIND, bad)] {
            refused(store.get_many(site, kind, &["ok", id]).await);
            let puts = vec![put("ok", Expect::Any, b""), put(id, Expect::Any, b"")];
            refused(store.put_many(site, kind, puts).await);
        }
        for (site, kind) in [(bad, KIND), (SITE, bad)] {
            refused(store.list(site, kind, None, 1).await);
            refused(store.clear(site, kind).await);
        }
        refused(store.changes(bad, 0, 1).await);
        refused(store.head(bad).await);
        refused(store.forget_deleted(bad, 1).await);
    }
    assert_eq!(store.head(SITE).await.unwrap(), 0);
}

fn refused<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::InvalidName(_))), "{answer:?}");
}
