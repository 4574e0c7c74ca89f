//! Two implementations of one decision, one in Rust and one in Lua, must not drift apart.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rapport::documents::{DocumentPut, DocumentStore, Expect};
use rapport::profile::store::{ProfilePut, ProfileStore};

use super::{Backend, in_a_folder, in_redis};

const CASES: u32 = 60;

fn runner() -> TestRunner {
    TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() })
}

async fn both() -> (Backend, Backend) {
    (in_a_folder().await, in_redis().await)
}

#[test]
fn any_batches_of_documents_end_the_same_in_both_stores() {
    let body = prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..4));
    let expect = prop_oneof![
        4 => Just(Expect::Any),
        1 => Just(Expect::Absent),
        2 => (0_u64..5).prop_map(Expect::Revision),
    ];
    let put = ("[abc]", expect, body, prop::option::of(0_u64..6)).prop_map(|(id, expect, body, external_revision)| DocumentPut {
        id,
        expect,
        body,
        external_revision,
    });
    let batches = prop::collection::vec(prop::collection::vec(put, 0..6), 0..8);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (left, right) = runtime.block_on(both());
    let case = Cell::new(0);
    runner()
        .run(&batches, |batches| {
            case.set(case.get() + 1);
            let site = format!("site-{}", case.get());
            runtime.block_on(async {
                let (left, right) = (&left.documents, &right.documents);
                for batch in batches {
                    let here = left.put_many(&site, "k", batch.clone()).await.unwrap();
                    let there = right.put_many(&site, "k", batch).await.unwrap();
                    prop_assert_eq!(here, there);
                }
                let here = left.list(&site, "k", None, 10).await.unwrap();
                let there = right.list(&site, "k", None, 10).await.unwrap();
                prop_assert_eq!(here, there);
                let here = left.changes(&site, 0, 10).await.unwrap();
                let there = right.changes(&site, 0, 10).await.unwrap();
                prop_assert_eq!(here, there);
                let here = left.head(&site).await.unwrap();
                prop_assert_eq!(here, right.head(&site).await.unwrap());
                let here = left.forget_deleted(&site, here / 2).await.unwrap();
                let there = right.head(&site).await.unwrap() / 2;
                let there = right.forget_deleted(&site, there).await.unwrap();
                prop_assert_eq!(here, there);
                Ok(())
            })
        })
        .unwrap();
}

#[test]
fn any_batches_of_profiles_end_the_same_in_both_stores() {
    let blob = prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..4));
    let put = ("[abc]", 0_u64..4, blob);
    let batches = prop::collection::vec(prop::collection::vec(put, 0..6), 0..8);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (left, right) = runtime.block_on(both());
    let case = Cell::new(0);
    runner()
        .run(&batches, |batches| {
            case.set(case.get() + 1);
            let site = format!("site-{}", case.get());
            runtime.block_on(async {
                let (left, right) = (&left.profiles, &right.profiles);
                for batch in &batches {
                    let puts = || {
                        let puts = batch.iter().map(|(visitor, expected, blob)| ProfilePut {
                            visitor,
                            expected: *expected,
                            blob: blob.clone(),
                        });
                        puts.collect::<Vec<_>>()
                    };
                    let here = left.put_many(&site, puts()).await.unwrap();
                    let there = right.put_many(&site, puts()).await.unwrap();
                    prop_assert_eq!(here, there);
                }
                let here = left.scan(&site, None, 10).await.unwrap();
                let there = right.scan(&site, None, 10).await.unwrap();
                prop_assert_eq!(here, there);
                Ok(())
            })
        })
        .unwrap();
}
