//! Documents in Redis.
//!
//! Per site and kind a hash of records and an ordered index of the ids that are not deleted; per
//! site a sorted set of changes and the head of the feed. All share the hash tag of the site, so a
//! batch is one script: atomic, and one round trip.

use std::collections::BTreeMap;

use super::embedded::decode_change;
use super::{
    Change, Document, DocumentOutcome, DocumentPut, DocumentStore, Expect, FORGET_PAGE, Record, check_id, check_kind,
    clear_by_pages,
};
use crate::store_engine::{Redis, Script, StoreError, check_name, site_tag};

/// Bytes of documents sent in one script; a larger batch is refused rather than cut, since it
/// would no longer be atomic or answered in time.
const MAX_BATCH: usize = 32 << 20;

/// Judges and writes a batch, as `judge` and `put` in `embedded.rs` do.
///
/// Keys: records, index, changes, head. Arguments: the kind, then five per document: id;
/// expectation (empty for any, `absent`, or eight bytes of revision); external revision (eight
/// bytes or empty); `1` for a body, `0` for a deletion; the body. External revisions are compared
/// as bytes, for Lua's numbers end at 2^53 and its string order depends on the locale.
const PUT: &str = r"
local function newer(a, b)
  for i = 1, 8 do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x > y end
  end
  return false
end
local answer = {}
local function say(code, detail)
  answer[#answer + 1] = code
  answer[#answer + 1] = detail
end
for i = 2, #ARGV, 5 do
  local id, expect, external, live, body = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3] == '1', ARGV[i + 4]
  local held = redis.call('HGET', KEYS[1], id)
  local revision, current, held_external = 0, '', ''
  if held then
    local flags = held:byte(1)
    revision = struct.unpack('>I8', held, 2)
    if flags % 2 == 0 then current = held:sub(2, 9) end
    if flags >= 2 then held_external = held:sub(10, 17) end
  end
  if (expect == 'absent' and current ~= '') or (#expect == 8 and expect ~= current) then
    say('conflict', current)
  elseif not live and current == '' then
    say('not found', '')
  elseif external ~= '' and held_external ~= '' and not newer(external, held_external) then
    say('stale', held_external)
  else
    local seq = redis.call('INCR', KEYS[4])
    if external == '' then external = held_external end
    local flags = 0
    if not live then flags = 1 end
    if external ~= '' then flags = flags + 2 else external = struct.pack('>I8', 0) end
    local stored = struct.pack('>I8', revision + 1)
    redis.call('HSET', KEYS[1], id, string.char(flags) .. stored .. external .. struct.pack('>I8', seq) .. body)
    local name = ARGV[1] .. '\0' .. id
    if live then
      redis.call('ZADD', KEYS[2], 0, id)
      redis.call('ZREM', KEYS[3], 'd' .. name)
      redis.call('ZADD', KEYS[3], seq, 'l' .. name)
    else
      redis.call('ZREM', KEYS[2], id)
      redis.call('ZREM', KEYS[3], 'l' .. name)
      redis.call('ZADD', KEYS[3], seq, 'd' .. name)
    end
    say('stored', stored)
  end
end
return answer";

/// Reads a page of the index with its records at one moment.
const LIST: &str = r"
local page = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1], '+', 'LIMIT', 0, ARGV[2])
local answer = {}
for _, id in ipairs(page) do
  answer[#answer + 1] = id
  answer[#answer + 1] = redis.call('HGET', KEYS[1], id)
end
return answer";

/// Drops the records of documents that are still deleted since the change the caller saw.
///
/// Keys: records, changes. Arguments: the kind, then per document its id and the seq of the change.
const FORGET: &str = r"
local forgotten = 0
for i = 2, #ARGV, 2 do
  local held = redis.call('HGET', KEYS[1], ARGV[i])
  if held and held:byte(1) % 2 == 1 and held:sub(18, 25) == ARGV[i + 1] then
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('ZREM', KEYS[2], 'd' .. ARGV[1] .. '\0' .. ARGV[i])
    forgotten = forgotten + 1
  end
end
return forgotten";

/// Documents in Redis, as durable as its append-only file.
///
/// With `appendfsync always` a document is on disk when the call returns; with `everysec`, the
/// default, a power cut can take the last second.
#[derive(Debug, Clone)]
pub struct RedisDocuments {
    redis: Redis,
    put: Script,
    list: Script,
    forget: Script,
}

impl RedisDocuments {
    /// Keeps documents in `redis`.
    pub fn new(redis: Redis) -> Self {
        Self { redis, put: Script::new(PUT), list: Script::new(LIST), forget: Script::new(FORGET) }
    }
}

fn records_key(site: &str, kind: &str) -> String {
    let site = site_tag(site);
    format!("rapport:{{{site}}}:d:{kind}")
}

fn index_key(site: &str, kind: &str) -> String {
    let site = site_tag(site);
    format!("rapport:{{{site}}}:i:{kind}")
}

fn changes_key(site: &str) -> String {
    let site = site_tag(site);
    format!("rapport:{{{site}}}:changes")
}

fn head_key(site: &str) -> String {
    let site = site_tag(site);
    format!("rapport:{{{site}}}:head")
}

fn arguments(kind: &str, puts: Vec<DocumentPut>) -> Vec<Vec<u8>> {
    let number = |number: u64| number.to_be_bytes().to_vec();
    let mut args = Vec::with_capacity(1 + 5 * puts.len());
    args.push(kind.as_bytes().to_vec());
    for put in puts {
        args.push(put.id.into_bytes());
        args.push(match put.expect {
            Expect::Any => Vec::new(),
            Expect::Absent => b"absent".to_vec(),
            Expect::Revision(revision) => number(revision),
        });
        args.push(put.external_revision.map(number).unwrap_or_default());
        args.push(if put.body.is_some() { b"1" } else { b"0" }.to_vec());
        args.push(put.body.unwrap_or_default());
    }
    args
}

fn outcome(code: &[u8], detail: &[u8]) -> Result<DocumentOutcome, StoreError> {
    let number = <[u8; 8]>::try_from(detail).ok().map(u64::from_be_bytes);
    match (code, number) {
        (b"stored", Some(revision)) => Ok(DocumentOutcome::Stored { revision }),
        (b"conflict", current) => Ok(DocumentOutcome::Conflict { current }),
        (b"stale", Some(current)) => Ok(DocumentOutcome::Stale { current }),
        (b"not found", None) => Ok(DocumentOutcome::NotFound),
        _ => Err(StoreError::corrupt("the answer to a batch of documents")),
    }
}

impl DocumentStore for RedisDocuments {
    async fn get_many(&self, site: &str, kind: &str, ids: &[&str]) -> Result<Vec<Option<Document>>, StoreError> {
        check_kind(site, kind)?;
        ids.iter().try_for_each(|id| check_id(id))?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut hmget = redis::cmd("HMGET");
        hmget.arg(records_key(site, kind)).arg(ids);
        let records: Vec<Option<Vec<u8>>> = self.redis.quick.read(&hmget).await?;
        records
            .into_iter()
            .map(|bytes| match bytes {
                Some(bytes) => Ok(Record::decode(&bytes)?.into_document()),
                None => Ok(None),
            })
            .collect()
    }

    async fn put_many(&self, site: &str, kind: &str, puts: Vec<DocumentPut>) -> Result<Vec<DocumentOutcome>, StoreError> {
        check_kind(site, kind)?;
        puts.iter().try_for_each(|put| check_id(&put.id))?;
        if puts.is_empty() {
            return Ok(Vec::new());
        }
        let bytes: usize = puts.iter().map(|put| put.body.as_ref().map_or(0, Vec::len)).sum();
        if bytes > MAX_BATCH {
            return Err(StoreError::TooLarge { bytes, most: MAX_BATCH });
        }
        let keys = [records_key(site, kind), index_key(site, kind), changes_key(site), head_key(site)];
        let args = arguments(kind, puts);
        let answer: Vec<Vec<u8>> = self.redis.bulk.script(&self.put, &args, &keys).await?;
        answer
            .chunks(2)
            .map(|pair| match pair {
                [code, detail] => outcome(code, detail),
                _ => Err(StoreError::corrupt("the answer to a batch of documents")),
            })
            .collect()
    }

    async fn list(
        &self,
        site: &str,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Document)>, StoreError> {
        check_kind(site, kind)?;
        if limit == 0 {
            return Ok(Vec::new());
        }
        let from = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        let keys = [records_key(site, kind), index_key(site, kind)];
        let args = [from.into_bytes(), limit.to_string().into_bytes()];
        let answer: Vec<Vec<u8>> = self.redis.bulk.script(&self.list, &args, &keys).await?;
        let broken = || StoreError::corrupt("a page of documents");
        let mut found = Vec::with_capacity(answer.len() / 2);
        let mut answer = answer.into_iter();
        while let (Some(id), Some(record)) = (answer.next(), answer.next()) {
            let id = String::from_utf8(id).map_err(|_| broken())?;
            let record = Record::decode(&record)?;
            found.push((id, record.into_document().ok_or_else(broken)?));
        }
        Ok(found)
    }

    async fn changes(&self, site: &str, after: u64, limit: usize) -> Result<Vec<Change>, StoreError> {
        check_name("the site", site)?;
        let mut range = redis::cmd("ZRANGEBYSCORE");
        range.arg(changes_key(site)).arg(format!("({after}"));
        range.arg("+inf").arg("WITHSCORES");
        range.arg("LIMIT").arg(0).arg(limit);
        let entries: Vec<(Vec<u8>, f64)> = self.redis.bulk.read(&range).await?;
        entries
            .into_iter()
            // A score is a double, exact for the first nine quadrillion changes.
            .map(|(entry, seq)| decode_change(seq as u64, &entry))
            .collect()
    }

    async fn head(&self, site: &str) -> Result<u64, StoreError> {
        check_name("the site", site)?;
        let mut get = redis::cmd("GET");
        get.arg(head_key(site));
        let head: Option<u64> = self.redis.quick.read(&get).await?;
        Ok(head.unwrap_or(0))
    }

    async fn forget_deleted(&self, site: &str, up_to: u64) -> Result<usize, StoreError> {
        let mut forgotten = 0;
        let mut after = 0;
        while after < up_to {
            let mut page = self.changes(site, after, FORGET_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            page.retain(|change| change.deleted && change.seq <= up_to);
            let mut kinds: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
            for change in page {
                let args = kinds.entry(change.kind).or_insert_with_key(|kind| vec![kind.as_bytes().to_vec()]);
                args.push(change.id.into_bytes());
                args.push(change.seq.to_be_bytes().to_vec());
            }
            for (kind, args) in kinds {
                let keys = [records_key(site, &kind), changes_key(site)];
                let count: usize = self.redis.bulk.script(&self.forget, &args, &keys).await?;
                forgotten += count;
            }
        }
        Ok(forgotten)
    }

    async fn clear(&self, site: &str, kind: &str) -> Result<(), StoreError> {
        clear_by_pages(self, site, kind).await
    }
}
