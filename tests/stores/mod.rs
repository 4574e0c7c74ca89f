//! What both stores promise, held against the embedded database and a real Redis.
//!
//! A property is a function, a backend is one line; what only one backend can do has its own file.

#![allow(clippy::unwrap_used, reason = "a store that fails is a test that fails")]

mod agreement;
mod documents;
mod embedded_only;
mod profiles;
mod redis_only;

use rapport::documents::Documents;
use rapport::documents::embedded::EmbeddedDocuments;
use rapport::documents::redis::RedisDocuments;
use rapport::profile::embedded::EmbeddedProfiles;
use rapport::profile::redis::RedisProfiles;
use rapport::profile::store::Profiles;
use rapport::store_engine::{Address, Embedded, Redis, StoreError};
use tempfile::TempDir;

use crate::support::redis_cluster::RedisCluster;
use crate::support::redis_server::RedisServer;

/// Names that would break a careless key.
const ODD_NAMES: &[&str] = &[
    "a b",
    "a:b",
    "a{b}c",
    "}{",
    "{}",
    "%3A",
    "*",
    "[x",
    "(x",
    "+",
    "-",
    "..",
    "a/b\\c",
    "ключ",
    "鍵🗝",
    "\u{1}",
    "\u{7f}",
    "\u{10ffff}",
    "line\r\nbreak",
    "'\"`",
];

/// Two empty stores and what keeps them alive.
struct Backend {
    profiles: Profiles,
    documents: Documents,
    _home: Home,
}

#[expect(dead_code, reason = "held for their Drop")]
enum Home {
    Folder(TempDir),
    Server(RedisServer),
    Elsewhere,
}

/// Connects to what a configuration would name so.
async fn connect(urls: &str, require_aof: bool) -> Result<Redis, StoreError> {
    let address = Address::parse(&[urls.to_owned()]).map_err(StoreError::Refused)?;
    Redis::connect(&address, require_aof).await
}

async fn in_a_folder() -> Backend {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    Backend {
        profiles: Profiles::Embedded(EmbeddedProfiles::new(store.clone())),
        documents: Documents::Embedded(EmbeddedDocuments::new(store)),
        _home: Home::Folder(folder),
    }
}

async fn in_redis() -> Backend {
    let server = RedisServer::start(true);
    let redis = connect(&server.url(), true).await.unwrap();
    Backend {
        profiles: Profiles::Redis(RedisProfiles::new(redis.clone(), 0)),
        documents: Documents::Redis(Box::new(RedisDocuments::new(redis))),
        _home: Home::Server(server),
    }
}

async fn in_a_cluster(cluster: &RedisCluster) -> Backend {
    let redis = connect(&cluster.urls(), true).await.unwrap();
    Backend {
        profiles: Profiles::Redis(RedisProfiles::new(redis.clone(), 0)),
        documents: Documents::Redis(Box::new(RedisDocuments::new(redis))),
        _home: Home::Elsewhere,
    }
}

/// A list of properties becomes a list of tests of one backend.
macro_rules! suite {
    ($part:ident of $backend:ident: $($property:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $property() {
                let backend = crate::stores::$backend().await;
                crate::stores::$part::$property(backend.$part.clone()).await;
            }
        )*
    };
}

/// The same list becomes one function that holds a backend against all of it, one after the other: a Cluster takes seconds to form.
macro_rules! in_turn {
    ($part:ident of $backend:ident: $($property:ident),* $(,)?) => {
        pub(super) async fn $part(cluster: &crate::support::redis_cluster::RedisCluster) {
            $(
                cluster.command_everywhere("FLUSHALL");
                let backend = crate::stores::$backend(cluster).await;
                crate::stores::$part::$property(backend.$part.clone()).await;
            )*
        }
    };
}

macro_rules! profile_store_suite {
    ($suite:ident $backend:ident) => {
        $suite!(profiles of $backend:
            profiles_come_in_the_order_asked_for,
            a_write_needs_the_version_that_was_read,
            puts_of_one_visitor_in_a_batch_take_effect_in_order,
            no_concurrent_write_is_lost,
            creating_at_once_succeeds_once,
            a_deleted_profile_is_absent_and_can_return,
            erase_leaves_nothing_behind,
            a_write_read_before_an_erasure_conflicts,
            a_scan_is_ordered_and_pages,
            a_scan_passes_over_what_is_gone,
            sites_are_separate,
            clear_empties_one_site,
            blobs_are_kept_to_the_byte,
            a_megabyte_fits,
            many_megabytes_fit_in_a_batch,
            empty_batches_are_answered,
            odd_names_are_only_names,
            bad_names_are_refused,
        );
    };
}

macro_rules! document_store_suite {
    ($suite:ident $backend:ident) => {
        $suite!(documents of $backend:
            documents_come_in_the_order_asked_for,
            expectations_hold_or_nothing_is_written,
            puts_of_one_id_in_a_batch_see_each_other,
            no_concurrent_write_is_lost,
            only_one_can_be_first,
            revisions_go_on_after_a_deletion,
            an_older_external_revision_is_stale,
            an_external_revision_outlives_edits_and_deletion,
            external_revisions_use_all_bits,
            a_list_is_ordered_and_pages,
            the_feed_names_each_document_once_at_its_latest,
            the_feed_pages,
            the_feed_misses_nothing_under_concurrent_writers,
            what_is_refused_does_not_reach_the_feed,
            sites_and_kinds_are_separate,
            clear_deletes_one_kind_and_says_so,
            forgotten_deletions_leave_nothing,
            bodies_are_kept_to_the_byte,
            a_megabyte_fits,
            a_large_batch_fits,
            empty_batches_are_answered,
            odd_names_are_only_names,
            bad_names_are_refused,
        );
    };
}

mod embedded {
    mod profiles {
        profile_store_suite!(suite in_a_folder);
    }
    mod documents {
        document_store_suite!(suite in_a_folder);
    }
}

mod redis {
    mod profiles {
        profile_store_suite!(suite in_redis);
    }
    mod documents {
        document_store_suite!(suite in_redis);
    }
}

mod cluster {
    use crate::support::redis_cluster::RedisCluster;

    profile_store_suite!(in_turn in_a_cluster);
    document_store_suite!(in_turn in_a_cluster);

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn keeps_the_same_promises() {
        let cluster = RedisCluster::start();
        profiles(&cluster).await;
        documents(&cluster).await;
    }
}
