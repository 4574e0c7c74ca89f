//! Profiles in Redis: one string per visitor, plus one ordered index of visitors per site.
//!
//! A decision reads a profile in one round trip. The index lies on another Redis Cluster slot than
//! the profiles, so no script may touch both; instead a profile is put between two additions to
//! the index, and whoever takes a visitor out of it looks once more afterwards. Whatever the
//! interleaving, a profile that exists ends up in the index; the index may name one that does not.

use std::collections::HashMap;

use redis::{Cmd, FromRedisValue, Value};

use super::store::{ProfilePut, ProfileStore, PutOutcome, Versioned, decode, encode};
use crate::store_engine::{Group, Line, Redis, Script, StoreError, check_name, site_tag};

/// Visitors per round trip when whole sites are read or cleared.
const PAGE: usize = 1_000;
/// Bytes and puts in one pipeline, so that it is answered well within the half second it has.
const PIPELINE_BYTES: usize = 1 << 20;
const PIPELINE_PUTS: usize = 1_000;

/// Sets or deletes a profile if its first eight bytes are the expected version.
const PUT: &str = r"
local held = redis.call('GETRANGE', KEYS[1], 0, 7)
if held ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('UNLINK', KEYS[1])
elseif ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
return 1";

/// Profiles in Redis: a batch is one round trip, each put in it atomic by itself.
#[derive(Debug, Clone)]
pub struct RedisProfiles {
    redis: Redis,
    ttl_seconds: u64,
    put: Script,
}

impl RedisProfiles {
    /// Keeps profiles in `redis` until `ttl_seconds` after their last write; 0 keeps them forever.
    pub fn new(redis: Redis, ttl_seconds: u64) -> Self {
        Self { redis, ttl_seconds, put: Script::new(PUT) }
    }

    async fn read_keys(&self, line: &Line, keys: &[String]) -> Result<Vec<Option<Versioned>>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut mget = redis::cmd("MGET");
        mget.arg(keys);
        let values: Vec<Option<Vec<u8>>> = line.read(&mget).await?;
        values.into_iter().map(|value| value.map(|bytes| decode(&bytes)).transpose()).collect()
    }

    async fn index_page(&self, index: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError> {
        let from = after.map_or_else(|| "-".to_owned(), |visitor| format!("({visitor}"));
        let mut page = redis::cmd("ZRANGEBYLEX");
        page.arg(index).arg(from).arg("+");
        page.arg("LIMIT").arg(0).arg(limit);
        self.redis.bulk.read(&page).await
    }

    /// Takes visitors whose profiles are gone out of the index, unless they just came back.
    async fn unindex(&self, site: &str, visitors: &[&str]) -> Result<(), StoreError> {
        if visitors.is_empty() {
            return Ok(());
        }
        let index = index_key(site);
        let mut remove = redis::cmd("ZREM");
        remove.arg(&index).arg(visitors);
        let look = visitors.iter().map(|visitor| vec![of("EXISTS", &profile_key(site, visitor))]).collect();
        let answers = self.redis.bulk.stages(vec![vec![vec![remove]], look]).await?;
        let exist: Vec<bool> = answers.into_iter().skip(1).map(answer).collect::<Result<_, _>>()?;
        let back: Vec<&str> = visitors.iter().zip(exist).filter(|(_, exists)| *exists).map(|(visitor, _)| *visitor).collect();
        self.redis.bulk.stages(vec![index_of(&index, &back)]).await.map(|_| ())
    }
}

/// Returns the key of a profile; the part in braces keeps all of a visitor on one Cluster slot.
fn profile_key(site: &str, visitor: &str) -> String {
    let site = site_tag(site);
    format!("rapport:{{{site}:{visitor}}}:p")
}

fn index_key(site: &str) -> String {
    let site = site_tag(site);
    format!("rapport:{{{site}}}:visitors")
}

/// Returns the addition of visitors to the index, if there are any.
fn index_of(index: &str, visitors: &[&str]) -> Vec<Group> {
    if visitors.is_empty() {
        return Vec::new();
    }
    let mut add = redis::cmd("ZADD");
    add.arg(index);
    for visitor in visitors {
        add.arg(0).arg(*visitor);
    }
    vec![vec![add]]
}

/// Returns a command on one key.
fn of(name: &str, key: &str) -> Cmd {
    let mut cmd = redis::cmd(name);
    cmd.arg(key);
    cmd
}

fn answer<T: FromRedisValue>(value: Value) -> Result<T, StoreError> {
    T::from_redis_value(value).map_err(StoreError::unavailable)
}

fn check(site: &str, visitors: &[&str]) -> Result<(), StoreError> {
    check_name("the site", site)?;
    visitors.iter().try_for_each(|visitor| check_name("the visitor id", visitor))
}

impl ProfileStore for RedisProfiles {
    async fn get_many(&self, site: &str, visitors: &[&str]) -> Result<Vec<Option<Versioned>>, StoreError> {
        check(site, visitors)?;
        let keys: Vec<String> = visitors.iter().map(|v| profile_key(site, v)).collect();
        self.read_keys(&self.redis.quick, &keys).await
    }

    async fn put_many(&self, site: &str, puts: Vec<ProfilePut<'_>>) -> Result<Vec<PutOutcome>, StoreError> {
        let visitors: Vec<&str> = puts.iter().map(|put| put.visitor).collect();
        check(site, &visitors)?;
        let index = index_key(site);
        let mut outcomes = Vec::with_capacity(puts.len());
        let mut deleted = Vec::new();
        let mut puts = puts.into_iter().peekable();
        let line = &self.redis.quick;
        while puts.peek().is_some() {
            let (mut bytes, mut count) = (0, 0);
            let mut created = Vec::new();
            // One group for each visitor, so that puts of one follow one another; their places in the batch beside them.
            let mut groups: Vec<Group> = Vec::new();
            let mut places: Vec<Vec<usize>> = Vec::new();
            let mut group_of: HashMap<&str, usize> = HashMap::new();
            while bytes < PIPELINE_BYTES
                && count < PIPELINE_PUTS
                && let Some(put) = puts.next()
            {
                if put.expected == 0 && put.blob.is_some() {
                    created.push(put.visitor);
                }
                let expected = match put.expected {
                    0 => Vec::new(),
                    version => version.to_le_bytes().to_vec(),
                };
                let value = put.blob.as_ref().map_or_else(Vec::new, |blob| encode(put.expected + 1, blob));
                bytes += value.len();
                let mut call = self.put.call(line);
                call.arg(1).arg(profile_key(site, put.visitor)).arg(expected).arg(value).arg(self.ttl_seconds);
                let group = *group_of.entry(put.visitor).or_insert_with(|| {
                    groups.push(Vec::new());
                    places.push(Vec::new());
                    groups.len() - 1
                });
                groups[group].push(call);
                places[group].push(count);
                count += 1;
                if put.blob.is_none() {
                    deleted.push(put.visitor);
                }
            }
            let before = [self.put.load(line), index_of(&index, &created)];
            let skip: usize = before.iter().flatten().map(Vec::len).sum();
            let [load, first] = before;
            let answers = line.stages(vec![load, first, groups, index_of(&index, &created)]).await?;
            let mut stored = vec![PutOutcome::Conflict; count];
            for (place, value) in places.into_iter().flatten().zip(answers.into_iter().skip(skip)) {
                if answer(value)? {
                    stored[place] = PutOutcome::Stored;
                }
            }
            outcomes.append(&mut stored);
        }
        self.unindex(site, &deleted).await?;
        Ok(outcomes)
    }

    async fn erase(&self, site: &str, visitor: &str) -> Result<(), StoreError> {
        check(site, &[visitor])?;
        self.redis.bulk.stages(vec![vec![vec![of("UNLINK", &profile_key(site, visitor))]]]).await?;
        self.unindex(site, &[visitor]).await
    }

    async fn scan(&self, site: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Versioned)>, StoreError> {
        check_name("the site", site)?;
        let index = index_key(site);
        let mut after = after.map(str::to_owned);
        let mut found: Vec<(String, Versioned)> = Vec::new();
        while found.len() < limit {
            let wanted = (limit - found.len()).min(PAGE);
            let page = self.index_page(&index, after.as_deref(), wanted).await?;
            let keys: Vec<String> = page.iter().map(|v| profile_key(site, v)).collect();
            let values = self.read_keys(&self.redis.bulk, &keys).await?;
            let end = page.len() < wanted;
            after = page.last().cloned();
            // Profiles that outlived their time are still in the index; this is where it learns.
            let mut gone = Vec::new();
            for (visitor, value) in page.into_iter().zip(values) {
                match value {
                    Some(value) => found.push((visitor, value)),
                    None => gone.push(visitor),
                }
            }
            let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
            self.unindex(site, &gone).await?;
            if end {
                break;
            }
        }
        Ok(found)
    }

    async fn clear(&self, site: &str) -> Result<(), StoreError> {
        check_name("the site", site)?;
        let index = index_key(site);
        loop {
            let page = self.index_page(&index, None, PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            let unlink = page.iter().map(|visitor| vec![of("UNLINK", &profile_key(site, visitor))]).collect();
            self.redis.bulk.stages(vec![unlink]).await?;
            let page: Vec<&str> = page.iter().map(String::as_str).collect();
            self.unindex(site, &page).await?;
        }
    }
}
