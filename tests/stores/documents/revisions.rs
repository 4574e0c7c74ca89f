//! Revisions, our own and those of feeds.

use super::*;

pub(crate) async fn revisions_go_on_after_a_deletion(store: impl DocumentStore) {
    create(&store, SITE, KIND, &["a"]).await;
    let outcomes = write(&store, vec![delete("a", Expect::Any)]).await;
    assert_eq!(outcomes, [stored(2)]);
    assert_eq!(get(&store, "a").await, None);
    assert!(list_all(&store, SITE, KIND, 10).await.is_empty());
    // Whoever read revision 1 must not overwrite what was born after it.
    let outcomes = write(&store, vec![put("a", Expect::Absent, b"anew"), put("a", Expect::Revision(1), b"late")]).await;
    assert_eq!(outcomes, [stored(3), Conflict { current: Some(3) }]);
    assert_eq!(get(&store, "a").await, held(3, b"anew"));
    assert_eq!(list_all(&store, SITE, KIND, 10).await, ["a"]);
}

pub(crate) async fn an_older_external_revision_is_stale(store: impl DocumentStore) {
    let outcomes = write(
        &store,
        vec![
            from_feed("a", 10, Some(b"ten")),
            from_feed("a", 9, Some(b"nine")),
            from_feed("a", 10, Some(b"ten again")),
            from_feed("a", 9, None),
            from_feed("b", 0, Some(b"zero is a revision")),
            from_feed("b", 0, Some(b"no")),
            from_feed("a", 11, Some(b"eleven")),
        ],
    )
    .await;
    let stale = |current| Stale { current };
    assert_eq!(outcomes, [stored(1), stale(10), stale(10), stale(10), stored(1), stale(0), stored(2)]);
    assert_eq!(get(&store, "a").await, held(2, b"eleven"));
}

pub(crate) async fn an_external_revision_outlives_edits_and_deletion(store: impl DocumentStore) {
    let steps = [
        (from_feed("a", 5, Some(b"feed")), stored(1)),
        (put("a", Expect::Any, b"edited"), stored(2)),
        (from_feed("a", 5, Some(b"late")), Stale { current: 5 }),
        (delete("a", Expect::Any), stored(3)),
        (from_feed("a", 4, Some(b"late")), Stale { current: 5 }),
        (from_feed("a", 6, None), NotFound),
        (from_feed("a", 6, Some(b"newer")), stored(4)),
        (from_feed("a", 7, None), stored(5)),
        (from_feed("a", 7, Some(b"late")), Stale { current: 7 }),
        (put("a", Expect::Absent, b"by hand"), stored(6)),
    ];
    for (step, expected) in steps {
        let name = format!("{step:?}");
        assert_eq!(write(&store, vec![step]).await, [expected], "{name}");
    }
    assert_eq!(get(&store, "a").await, held(6, b"by hand"));
}

pub(crate) async fn external_revisions_use_all_bits(store: impl DocumentStore) {
    // Neighbours that a double would take for equal, and bytes that a locale could order otherwise.
    let revisions = [
        0x7f,
        0x80,
        0xff,
        0x100,
        (1 << 53) + 1,
        (1 << 53) + 2,
        1_795_000_000_000_000_001,
        1_795_000_000_000_000_002,
        u64::MAX - 1,
        u64::MAX,
    ];
    for (index, revision) in (1..).zip(revisions) {
        let outcomes = write(
            &store,
            vec![
                from_feed("a", revision, Some(b"x")),
                from_feed("a", revision, Some(b"x")),
                from_feed("a", revision - 1, Some(b"x")),
            ],
        )
        .await;
        let stale = Stale { current: revision };
        assert_eq!(outcomes, [stored(index), stale, stale]);
    }
}
