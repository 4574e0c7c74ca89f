//! The change feed, and what deletions leave in it.

use std::collections::BTreeMap;

use super::*;

pub(crate) async fn the_feed_names_each_document_once_at_its_latest(store: impl DocumentStore) {
    assert_eq!(store.head(SITE).await.unwrap(), 0);
    assert!(store.changes(SITE, 0, 10).await.unwrap().is_empty());
    create(&store, SITE, KIND, &["a", "b", "c"]).await;
    write(&store, vec![put("a", Expect::Any, b"4")]).await;
    write(&store, vec![delete("b", Expect::Any)]).await;
    assert_eq!(store.head(SITE).await.unwrap(), 5);
    let expected = [change(3, "c", false), change(4, "a", false), change(5, "b", true)];
    assert_eq!(store.changes(SITE, 0, 10).await.unwrap(), expected);
    assert_eq!(store.changes(SITE, 3, 10).await.unwrap(), expected[1..]);
    assert!(store.changes(SITE, 5, 10).await.unwrap().is_empty());
    assert!(store.changes(SITE, u64::MAX, 10).await.unwrap().is_empty());
    write(&store, vec![put("b", Expect::Any, b"6")]).await;
    let expected = [change(3, "c", false), change(4, "a", false), change(6, "b", false)];
    assert_eq!(store.changes(SITE, 0, 10).await.unwrap(), expected);
}

pub(crate) async fn the_feed_pages(store: impl DocumentStore) {
    // Past 256, so that numbers ordered as text or by their low byte would show.
    let names: Vec<String> = (0..700).map(|n| format!("{n}")).collect();
    let some: Vec<&str> = names.iter().map(String::as_str).collect();
    create(&store, SITE, KIND, &some).await;
    let mut seen = Vec::new();
    let mut after = 0;
    loop {
        let page = store.changes(SITE, after, 64).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.seq;
        seen.extend(page);
    }
    let expected: Vec<Change> = (1..).zip(&names).map(|(seq, id)| change(seq, id, false)).collect();
    assert_eq!(seen, expected);
    assert_eq!(store.head(SITE).await.unwrap(), 700);
}

pub(crate) async fn the_feed_misses_nothing_under_concurrent_writers<S: DocumentStore + Clone + 'static>(store: S) {
    const WRITERS: usize = 8;
    const ROUNDS: usize = 20;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for round in 0..ROUNDS {
                    let puts = vec![put(&format!("{writer}-{round}"), Expect::Absent, b""), put("shared", Expect::Any, b"")];
                    write(&store, puts).await;
                }
            })
        })
        .collect();
    // A follower that never looks back must still meet every document.
    let mut met = BTreeMap::new();
    let mut after = 0;
    let mut done = false;
    loop {
        let page = store.changes(SITE, after, 16).await.unwrap();
        for change in &page {
            assert!(change.seq > after, "{change:?} after {after}");
            after = change.seq;
            met.insert(change.id.clone(), change.seq);
        }
        if page.is_empty() && done {
            break;
        }
        done = writers.iter().all(tokio::task::JoinHandle::is_finished);
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(met.len(), WRITERS * ROUNDS + 1);
    assert_eq!(store.head(SITE).await.unwrap(), (2 * WRITERS * ROUNDS) as u64);
}

pub(crate) async fn what_is_refused_does_not_reach_the_feed(store: impl DocumentStore) {
    write(&store, vec![from_feed("a", 5, Some(b"x"))]).await;
    write(&store, vec![put("a", Expect::Absent, b""), from_feed("a", 5, Some(b"y")), delete("b", Expect::Any)]).await;
    assert_eq!(store.head(SITE).await.unwrap(), 1);
    assert_eq!(store.changes(SITE, 0, 10).await.unwrap(), [change(1, "a", false)]);
}

pub(crate) async fn clear_deletes_one_kind_and_says_so(store: impl DocumentStore) {
    let names: Vec<String> = (0..1_234).map(|n| format!("{n}")).collect();
    let some: Vec<&str> = names.iter().map(String::as_str).collect();
    create(&store, SITE, KIND, &some).await;
    create(&store, SITE, "other", &["a"]).await;
    store.clear(SITE, KIND).await.unwrap();
    store.clear(SITE, "never used").await.unwrap();
    assert!(list_all(&store, SITE, KIND, 100).await.is_empty());
    assert_eq!(list_all(&store, SITE, "other", 100).await, ["a"]);
    let changes = store.changes(SITE, 1_235, 2_000).await.unwrap();
    assert_eq!(changes.len(), 1_234);
    assert!(changes.iter().all(|change| change.deleted));
}

pub(crate) async fn forgotten_deletions_leave_nothing(store: impl DocumentStore) {
    let names: Vec<String> = (0..2_100).map(|n| format!("{n}")).collect();
    let some: Vec<&str> = names.iter().map(String::as_str).collect();
    create(&store, SITE, KIND, &some).await;
    create(&store, SITE, "other", &["a", "b"]).await;
    create(&store, "shop2", KIND, &["a"]).await;
    store.clear(SITE, KIND).await.unwrap();
    store.clear("shop2", KIND).await.unwrap();
    write(&store, vec![put("back", Expect::Any, b""), put("7", Expect::Any, b"7")]).await;
    let puts = vec![delete("a", Expect::Any)];
    store.put_many(SITE, "other", puts).await.unwrap();
    let head = store.head(SITE).await.unwrap();

    assert_eq!(store.forget_deleted(SITE, 2_102).await.unwrap(), 0);
    assert_eq!(store.forget_deleted(SITE, head - 1).await.unwrap(), 2_099);
    assert_eq!(store.forget_deleted(SITE, head - 1).await.unwrap(), 0);
    let changes = store.changes(SITE, 0, 10).await.unwrap();
    let fed: Vec<(&str, bool)> = changes.iter().map(|c| (c.id.as_str(), c.deleted)).collect();
    assert_eq!(fed, [("b", false), ("back", false), ("7", false), ("a", true)]);
    assert_eq!(store.forget_deleted(SITE, u64::MAX).await.unwrap(), 1);
    assert_eq!(store.head(SITE).await.unwrap(), head);
    assert_eq!(get(&store, "7").await, held(3, b"7"));
    let outcomes = write(&store, vec![put("8", Expect::Absent, b"")]).await;
    assert_eq!(outcomes, [stored(1)]);
    assert_eq!(store.head(SITE).await.unwrap(), head + 1);
    assert_eq!(store.changes("shop2", 0, 10).await.unwrap(), [change(2, "a", true)]);
}
