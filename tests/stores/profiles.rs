//! What every profile store promises.

use rapport::profile::store::{ProfilePut, ProfileStore, PutOutcome, Versioned};
use rapport::store_engine::{MAX_NAME, StoreError};

use super::ODD_NAMES;
use PutOutcome::{Conflict, Stored};

const SITE: &str = "shop";

fn put<'a>(visitor: &'a str, expected: u64, blob: &[u8]) -> ProfilePut<'a> {
    ProfilePut { visitor, expected, blob: Some(blob.to_vec()) }
}

fn delete(visitor: &str, expected: u64) -> ProfilePut<'_> {
    ProfilePut { visitor, expected, blob: None }
}

fn held(version: u64, blob: &[u8]) -> Option<Versioned> {
    Some(Versioned { version, blob: blob.to_vec() })
}

async fn get(store: &impl ProfileStore, site: &str, visitor: &str) -> Option<Versioned> {
    let mut found = store.get_many(site, &[visitor]).await.unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

async fn create(store: &impl ProfileStore, site: &str, visitors: &[&str]) {
    let puts = visitors.iter().map(|v| put(v, 0, v.as_bytes())).collect();
    let outcomes = store.put_many(site, puts).await.unwrap();
    assert_eq!(outcomes, vec![Stored; visitors.len()]);
}

async fn scan_all(store: &impl ProfileStore, site: &str, page: usize) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let after = all.last().map(String::as_str);
        let found = store.scan(site, after, page).await.unwrap();
        assert!(found.len() <= page);
        let end = found.len() < page;
        all.extend(found.into_iter().map(|(visitor, _)| visitor));
        if end {
            return all;
        }
    }
}

pub(crate) async fn profiles_come_in_the_order_asked_for(store: impl ProfileStore) {
    create(&store, SITE, &["a", "b", "c"]).await;
    let found = store.get_many(SITE, &["c", "x", "a", "c"]).await.unwrap();
    assert_eq!(found, [held(1, b"c"), None, held(1, b"a"), held(1, b"c")]);
}

pub(crate) async fn a_write_needs_the_version_that_was_read(store: impl ProfileStore) {
    create(&store, SITE, &["a", "b"]).await;
    let outcomes = store
        .put_many(SITE, vec![put("a", 0, b"stale"), put("b", 1, b"second"), put("c", 1, b"never there"), put("a", 2, b"too far")])
        .await
        .unwrap();
    assert_eq!(outcomes, [Conflict, Stored, Conflict, Conflict]);
    assert_eq!(get(&store, SITE, "a").await, held(1, b"a"));
    assert_eq!(get(&store, SITE, "b").await, held(2, b"second"));
    assert_eq!(get(&store, SITE, "c").await, None);
}

pub(crate) async fn puts_of_one_visitor_in_a_batch_take_effect_in_order(store: impl ProfileStore) {
    let outcomes = store
        .put_many(
            SITE,
            vec![put("a", 0, b"1"), put("a", 0, b"also first"), put("a", 1, b"2"), delete("a", 2), put("a", 0, b"anew")],
        )
        .await
        .unwrap();
    assert_eq!(outcomes, [Stored, Conflict, Stored, Stored, Stored]);
    assert_eq!(get(&store, SITE, "a").await, held(1, b"anew"));
    assert_eq!(scan_all(&store, SITE, 10).await, ["a"]);
}

pub(crate) async fn no_concurrent_write_is_lost<S: ProfileStore + Clone + 'static>(store: S) {
    const WRITERS: u64 = 16;
    const ROUNDS: u64 = 25;
    let tasks: Vec<_> = (0..WRITERS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    add_one_to_each(&store, &["a", "b"]).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let count = WRITERS * ROUNDS;
    for visitor in ["a", "b"] {
        let found = get(&store, SITE, visitor).await;
        assert_eq!(found, held(count, &count.to_le_bytes()));
    }
}

/// Counts in both profiles, again and again for the one that conflicts.
async fn add_one_to_each(store: &impl ProfileStore, visitors: &[&str]) {
    let mut left = visitors.to_vec();
    while !left.is_empty() {
        let read = store.get_many(SITE, &left).await.unwrap();
        let puts = left
            .iter()
            .zip(read)
            .map(|(visitor, read)| {
                let (version, count) = read.map_or((0, 0), |read| {
                    let count = u64::from_le_bytes(read.blob.try_into().unwrap());
                    (read.version, count)
                });
                put(visitor, version, &(count + 1).to_le_bytes())
            })
            .collect();
        let outcomes = store.put_many(SITE, puts).await.unwrap();
        left = left.into_iter().zip(outcomes).filter(|(_, outcome)| *outcome == Conflict).map(|(visitor, _)| visitor).collect();
    }
}

pub(crate) async fn creating_at_once_succeeds_once<S: ProfileStore + Clone + 'static>(store: S) {
    let tasks: Vec<_> = (0..16_u8)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let outcomes = store.put_many(SITE, vec![put("a", 0, &[writer])]).await;
                (writer, outcomes.unwrap()[0])
            })
        })
        .collect();
    let mut first = Vec::new();
    for task in tasks {
        let (writer, outcome) = task.await.unwrap();
        if outcome == Stored {
            first.push(writer);
        }
    }
    assert_eq!(first.len(), 1);
    assert_eq!(get(&store, SITE, "a").await, held(1, &first));
}

pub(crate) async fn a_deleted_profile_is_absent_and_can_return(store: impl ProfileStore) {
    create(&store, SITE, &["a"]).await;
    let deletions = vec![delete("a", 7), delete("a", 1), delete("never", 0)];
    let outcomes = store.put_many(SITE, deletions).await.unwrap();
    assert_eq!(outcomes, [Conflict, Stored, Stored]);
    assert_eq!(get(&store, SITE, "a").await, None);
    assert!(scan_all(&store, SITE, 10).await.is_empty());
    create(&store, SITE, &["a"]).await;
    assert_eq!(scan_all(&store, SITE, 10).await, ["a"]);
}

pub(crate) async fn erase_leaves_nothing_behind(store: impl ProfileStore) {
    create(&store, SITE, &["a", "b"]).await;
    store.erase(SITE, "a").await.unwrap();
    store.erase(SITE, "nobody").await.unwrap();
    assert_eq!(get(&store, SITE, "a").await, None);
    assert_eq!(scan_all(&store, SITE, 10).await, ["b"]);
}

pub(crate) async fn a_write_read_before_an_erasure_conflicts(store: impl ProfileStore) {
    create(&store, SITE, &["a"]).await;
    store.erase(SITE, "a").await.unwrap();
    let outcomes = store.put_many(SITE, vec![put("a", 1, b"late")]).await;
    assert_eq!(outcomes.unwrap(), [Conflict]);
    assert_eq!(get(&store, SITE, "a").await, None);
}

pub(crate) async fn a_scan_is_ordered_and_pages(store: impl ProfileStore) {
    let mut names: Vec<String> = (0..250).map(|n| format!("visitor-{n}")).collect();
    names.extend(["é".to_owned(), "Z".to_owned(), "z".to_owned()]);
    let some: Vec<&str> = names.iter().map(String::as_str).collect();
    create(&store, SITE, &some).await;
    names.sort_unstable();
    for page in [1, 7, 253, 254, 5_000] {
        assert_eq!(scan_all(&store, SITE, page).await, names, "pages of {page}");
    }
    let found = store.scan(SITE, Some("visitor-9"), 2).await.unwrap();
    let (first, profile) = &found[0];
    assert_eq!(first, "visitor-90");
    assert_eq!(Some(profile.clone()), held(1, b"visitor-90"));
    // Where there was no such visitor, the scan goes on behind the place where it would be.
    let found = store.scan(SITE, Some("visitor-900"), 1).await.unwrap();
    assert_eq!(found[0].0, "visitor-91");
    assert!(store.scan(SITE, Some("é"), 5).await.unwrap().is_empty());
    assert!(store.scan(SITE, None, 0).await.unwrap().is_empty());
}

pub(crate) async fn a_scan_passes_over_what_is_gone(store: impl ProfileStore) {
    let names: Vec<String> = (10..60).map(|n| n.to_string()).collect();
    let some: Vec<&str> = names.iter().map(String::as_str).collect();
    create(&store, SITE, &some).await;
    for visitor in &some[5..45] {
        store.erase(SITE, visitor).await.unwrap();
    }
    let expected = [&some[..5], &some[45..]].concat();
    assert_eq!(scan_all(&store, SITE, 4).await, expected);
}

pub(crate) async fn sites_are_separate(store: impl ProfileStore) {
    // Pairs that a plain concatenation would confuse.
    for (site, visitor) in [("a", "b:c"), ("a:b", "c"), ("a", "b"), ("ab", "b"), ("a}", "b")] {
        create(&store, site, &[visitor]).await;
    }
    let outcomes = store.put_many("a", vec![put("b", 1, b"changed")]).await;
    assert_eq!(outcomes.unwrap(), [Stored]);
    assert_eq!(get(&store, "ab", "b").await, held(1, b"b"));
    store.erase("a", "b:c").await.unwrap();
    assert_eq!(get(&store, "a:b", "c").await, held(1, b"c"));
    assert_eq!(scan_all(&store, "a", 10).await, ["b"]);
    assert_eq!(scan_all(&store, "a}", 10).await, ["b"]);
    assert!(scan_all(&store, "b", 10).await.is_empty());
}

pub(crate) async fn clear_empties_one_site(store: impl ProfileStore) {
    let names: Vec<String> = (0..2_345).map(|n| format!("v{n}")).collect();
    let some: Vec<&str> = names.iter().map(String::as_str).collect();
    create(&store, SITE, &some).await;
    create(&store, "shop2", &["v1"]).await;
    store.clear(SITE).await.unwrap();
    store.clear("empty").await.unwrap();
    assert!(scan_all(&store, SITE, 10).await.is_empty());
    assert_eq!(get(&store, SITE, "v2344").await, None);
    assert_eq!(get(&store, "shop2", "v1").await, held(1, b"v1"));
    create(&store, SITE, &["v1"]).await;
}

pub(crate) async fn blobs_are_kept_to_the_byte(store: impl ProfileStore) {
    let all: Vec<u8> = (0..=255).collect();
    for (visitor, blob) in [("all", all.as_slice()), ("none", b""), ("nul", b"\0\0")] {
        let outcomes = store.put_many(SITE, vec![put(visitor, 0, blob)]).await;
        assert_eq!(outcomes.unwrap(), [Stored]);
        assert_eq!(get(&store, SITE, visitor).await, held(1, blob));
    }
}

pub(crate) async fn a_megabyte_fits(store: impl ProfileStore) {
    let blob = noise(1 << 20);
    for version in 0..3 {
        let outcomes = store.put_many(SITE, vec![put("a", version, &blob)]).await;
        assert_eq!(outcomes.unwrap(), [Stored]);
    }
    assert_eq!(get(&store, SITE, "a").await, held(3, &blob));
}

pub(crate) async fn many_megabytes_fit_in_a_batch(store: impl ProfileStore) {
    let blob = noise(1 << 20);
    let names: Vec<String> = (0..12).map(|n| format!("v{n:02}")).collect();
    let puts = names.iter().map(|v| put(v, 0, &blob)).collect();
    let outcomes = store.put_many(SITE, puts).await.unwrap();
    assert_eq!(outcomes, [Stored; 12]);
    assert_eq!(get(&store, SITE, "v11").await, held(1, &blob));
    assert_eq!(scan_all(&store, SITE, 4).await, names);
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut bytes = Vec::with_capacity(length);
    for _ in 0..length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.push((state >> 24) as u8);
    }
    bytes
}

pub(crate) async fn empty_batches_are_answered(store: impl ProfileStore) {
    assert!(store.get_many(SITE, &[]).await.unwrap().is_empty());
    assert!(store.put_many(SITE, vec![]).await.unwrap().is_empty());
}

pub(crate) async fn odd_names_are_only_names(store: impl ProfileStore) {
    let longest = "x".repeat(MAX_NAME);
    let mut names: Vec<&str> = ODD_NAMES.to_vec();
    names.push(&longest);
    create(&store, SITE, &names).await;
    for name in &names {
        assert_eq!(get(&store, SITE, name).await, held(1, name.as_bytes()));
    }
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(scan_all(&store, SITE, 1).await, sorted);
    for name in &names {
        create(&store, name, &names).await;
        assert_eq!(scan_all(&store, name, 100).await, sorted, "site {name:?}");
    }
    for name in &names {
        store.erase(SITE, name).await.unwrap();
    }
    assert!(scan_all(&store, SITE, 1).await.is_empty());
}

pub(crate) async fn bad_names_are_refused(store: impl ProfileStore) {
    let long = "x".repeat(MAX_NAME + 1);
    for bad in ["", "a\0b", "\0", long.as_str()] {
        for (site, visitor) in [(bad, "a"), (SITE, bad)] {
            refused(store.get_many(site, &["ok", visitor]).await);
            let puts = vec![put("ok", 0, b""), put(visitor, 0, b"")];
            refused(store.put_many(site, puts).await);
            refused(store.erase(site, visitor).await);
        }
        refused(store.scan(bad, None, 1).await);
        refused(store.clear(bad).await);
    }
    assert_eq!(get(&store, SITE, "ok").await, None);
}

fn refused<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::InvalidName(_))), "{answer:?}");
}
