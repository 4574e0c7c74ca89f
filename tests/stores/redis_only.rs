//! What only Redis can do to us: go away, come back, forget, run full, refuse.

use std::time::{Duration, Instant};

use rapport::documents::redis::RedisDocuments;
use rapport::documents::{DocumentOutcome, DocumentPut, DocumentStore, Expect};
use rapport::profile::redis::RedisProfiles;
use rapport::profile::store::{ProfilePut, ProfileStore, PutOutcome};
use rapport::store_engine::{Redis, StoreError};

use super::connect;
use crate::support::redis_server::RedisServer;

fn profile(visitor: &str, expected: u64) -> ProfilePut<'_> {
    ProfilePut { visitor, expected, blob: Some(b"profile".to_vec()) }
}

fn document(id: &str) -> DocumentPut {
    DocumentPut { id: id.to_owned(), expect: Expect::Any, body: Some(b"document".to_vec()), external_revision: None }
}

async fn is_unavailable<T: std::fmt::Debug>(call: impl Future<Output = Result<T, StoreError>>) {
    let started = Instant::now();
    let answer = call.await;
    let took = started.elapsed();
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    assert!(took < Duration::from_secs(2), "took {took:?}");
}

async fn refused(connecting: impl Future<Output = Result<Redis, StoreError>>) -> String {
    match connecting.await {
        Err(StoreError::Refused(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_killed_server_is_an_error_and_its_return_is_noticed() {
    let mut server = RedisServer::start(true);
    let redis = connect(&server.url(), true).await.unwrap();
    let profiles = RedisProfiles::new(redis.clone(), 0);
    let documents = RedisDocuments::new(redis);
    profiles.put_many("s", vec![profile("v", 0)]).await.unwrap();
    documents.put_many("s", "k", vec![document("a")]).await.unwrap();

    for _ in 0..2 {
        server.kill();
        for _ in 0..3 {
            is_unavailable(profiles.get_many("s", &["v"])).await;
            is_unavailable(profiles.put_many("s", vec![profile("v", 1)])).await;
            is_unavailable(profiles.erase("s", "v")).await;
            is_unavailable(profiles.scan("s", None, 1)).await;
            is_unavailable(documents.get_many("s", "k", &["a"])).await;
            is_unavailable(documents.put_many("s", "k", vec![document("a")])).await;
            is_unavailable(documents.list("s", "k", None, 1)).await;
            is_unavailable(documents.changes("s", 0, 1)).await;
            is_unavailable(documents.head("s")).await;
        }
        // Lets an attempt to connect that is under way fail, too, and the next one be allowed.
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.restart();
        // The first call finds the server again, whether it reads or writes.
        let outcomes = documents.put_many("s", "k", vec![document("b")]).await;
        assert!(matches!(outcomes.unwrap()[0], DocumentOutcome::Stored { .. }));
        let found = profiles.get_many("s", &["v"]).await.unwrap().remove(0);
        assert_eq!(found.unwrap().blob, b"profile");
    }
    let outcomes = profiles.put_many("s", vec![profile("v", 1)]).await;
    assert_eq!(outcomes.unwrap(), [PutOutcome::Stored]);
    let found = documents.list("s", "k", None, 10).await.unwrap();
    assert_eq!(found.len(), 2);
}

#[tokio::test]
async fn a_restart_unnoticed_between_two_calls_loses_none_of_them() {
    let mut server = RedisServer::start(true);
    let redis = connect(&server.url(), true).await.unwrap();
    let profiles = RedisProfiles::new(redis, 0);
    profiles.put_many("s", vec![profile("v", 0)]).await.unwrap();
    server.kill();
    server.restart();
    let found = profiles.get_many("s", &["v"]).await.unwrap().remove(0);
    assert_eq!(found.unwrap().version, 1);
    // Scripts are gone after a restart.
    let outcomes = profiles.put_many("s", vec![profile("v", 1)]).await;
    assert_eq!(outcomes.unwrap(), [PutOutcome::Stored]);
}

#[tokio::test]
async fn a_server_that_hangs_is_an_error_within_two_seconds() {
    let server = RedisServer::start(true);
    let redis = connect(&server.url(), true).await.unwrap();
    let profiles = RedisProfiles::new(redis, 0);
    server.command("CLIENT PAUSE 4000 ALL");
    is_unavailable(profiles.get_many("s", &["v"])).await;
    is_unavailable(profiles.put_many("s", vec![profile("v", 0)])).await;
}

#[tokio::test]
async fn a_full_server_refuses_writes_and_still_answers_reads() {
    let server = RedisServer::start(true);
    let redis = connect(&server.url(), true).await.unwrap();
    let documents = RedisDocuments::new(redis.clone());
    let profiles = RedisProfiles::new(redis, 0);
    documents.put_many("s", "k", vec![document("a")]).await.unwrap();
    server.command("CONFIG SET maxmemory 1");
    is_unavailable(documents.put_many("s", "k", vec![document("b")])).await;
    is_unavailable(profiles.put_many("s", vec![profile("v", 0)])).await;
    let found = documents.get_many("s", "k", &["a", "b"]).await.unwrap();
    assert!(found[0].is_some() && found[1].is_none());
}

#[tokio::test]
async fn no_server_is_an_error_at_once() {
    let mut server = RedisServer::start(false);
    server.kill();
    is_unavailable(connect(&server.url(), false)).await;
}

#[tokio::test]
async fn a_server_without_append_only_file_is_refused_unless_accepted() {
    let server = RedisServer::start(false);
    let message = refused(connect(&server.url(), true)).await;
    assert!(message.contains("appendonly yes"), "{message}");
    assert!(!message.contains('\n'), "{message}");
    connect(&server.url(), false).await.unwrap();
}

#[tokio::test]
async fn a_server_that_evicts_documents_is_refused_unless_accepted() {
    let server = RedisServer::start(true);
    server.command("CONFIG SET maxmemory-policy allkeys-lru");
    let message = refused(connect(&server.url(), true)).await;
    assert!(message.contains("maxmemory-policy allkeys-lru"), "{message}");
    connect(&server.url(), false).await.unwrap();
    server.command("CONFIG SET maxmemory-policy volatile-lru");
    connect(&server.url(), true).await.unwrap();
}

#[tokio::test]
async fn a_user_without_config_suffices_and_one_without_info_is_told() {
    let server = RedisServer::start(true);
    server.command("ACL SETUSER app on >pw ~* +@all -@admin -@dangerous +info");
    let url = server.url_as("app", "pw");
    let redis = connect(&url, true).await.unwrap();
    let profiles = RedisProfiles::new(redis, 0);
    profiles.put_many("s", vec![profile("v", 0)]).await.unwrap();
    server.command("ACL SETUSER app -info");
    let message = refused(connect(&url, true)).await;
    assert!(message.contains("allow INFO"), "{message}");
}

#[tokio::test]
async fn profiles_end_with_their_time_and_leave_the_index() {
    let server = RedisServer::start(true);
    let redis = connect(&server.url(), true).await.unwrap();
    let profiles = RedisProfiles::new(redis, 1);
    let puts = vec![profile("a", 0), profile("b", 0), profile("c", 0)];
    profiles.put_many("s", puts).await.unwrap();
    assert_eq!(profiles.scan("s", None, 9).await.unwrap().len(), 3);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    profiles.put_many("s", vec![profile("c", 0)]).await.unwrap();
    assert_eq!(profiles.get_many("s", &["a"]).await.unwrap(), [None]);
    let found = profiles.scan("s", None, 1).await.unwrap();
    assert_eq!(found[0].0, "c");
    assert_eq!(server.command("ZCARD rapport:{s}:visitors"), ":1");
}

#[tokio::test]
async fn erasure_removes_every_key_of_the_visitor() {
    let server = RedisServer::start(true);
    let redis = connect(&server.url(), true).await.unwrap();
    let profiles = RedisProfiles::new(redis, 0);
    profiles.put_many("s", vec![profile("v", 0)]).await.unwrap();
    assert_eq!(server.command("EXISTS rapport:{s:v}:p"), ":1");
    profiles.erase("s", "v").await.unwrap();
    assert_eq!(server.command("DBSIZE"), ":0");
}

#[tokio::test]
async fn a_batch_beyond_reason_is_refused_whole() {
    let server = RedisServer::start(true);
    let redis = connect(&server.url(), true).await.unwrap();
    let documents = RedisDocuments::new(redis);
    let huge = DocumentPut { body: Some(vec![0; 33 << 20]), ..document("huge") };
    let answer = documents.put_many("s", "k", vec![document("a"), huge]).await;
    assert!(matches!(answer, Err(StoreError::TooLarge { .. })), "{answer:?}");
    assert_eq!(documents.head("s").await.unwrap(), 0);
}
