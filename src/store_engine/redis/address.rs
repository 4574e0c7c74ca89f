//! Where Redis is: one server, a Cluster, or behind Sentinels.

use redis::{ConnectionAddr, IntoConnectionInfo};

/// What `store.redis.url` names.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// `redis://[user:password@]host:port/db`; with TLS `rediss://…`, and so below.
    One(String),
    /// Several of these, or `redis+cluster://host:port`: nodes of one Cluster, which name the others.
    Cluster(Vec<String>),
    /// `redis+sentinel://[user:password@]host:port/MASTER[/db]`, of each Sentinel one.
    Sentinel(Sentinels),
}

/// How to find the primary that Sentinels watch.
#[derive(Clone, PartialEq, Eq)]
pub struct Sentinels {
    /// Host and port of each.
    pub hosts: Vec<(String, u16)>,
    /// They, and the servers, are spoken to by TLS.
    pub tls: bool,
    /// The name under which they know the primary.
    pub master: String,
    pub user: Option<String>,
    pub password: Option<String>,
    pub db: i64,
}

const SENTINEL: [&str; 2] = ["redis+sentinel://", "rediss+sentinel://"];
const CLUSTER: [&str; 2] = ["redis+cluster://", "rediss+cluster://"];
const SERVER: [&str; 2] = ["redis://", "rediss://"];

impl Address {
    /// Reads the addresses of the configuration. What is wrong is said without showing a password.
    pub fn parse(urls: &[String]) -> Result<Self, String> {
        let urls: Vec<&str> = urls.iter().flat_map(|url| url.split(',')).map(str::trim).filter(|url| !url.is_empty()).collect();
        let Some(first) = urls.first() else {
            return Err("is missing; store.backend = \"redis\" needs it".to_owned());
        };
        if urls.iter().any(|url| SENTINEL.iter().any(|scheme| url.starts_with(scheme))) {
            let each = urls.iter().map(|url| Sentinels::parse(url)).collect::<Result<Vec<_>, _>>()?;
            let hosts = each.iter().flat_map(|one| one.hosts.clone()).collect();
            let mut all = each.into_iter();
            let Some(first) = all.next() else { return Err("names no Sentinel".to_owned()) };
            if all.any(|other| Sentinels { hosts: Vec::new(), ..other } != Sentinels { hosts: Vec::new(), ..first.clone() }) {
                return Err(
                    "names Sentinels of different primaries, users or databases, or some with TLS and some without".to_owned()
                );
            }
            return Ok(Self::Sentinel(Sentinels { hosts, ..first }));
        }
        let cluster = urls.len() > 1 || CLUSTER.iter().any(|scheme| first.starts_with(scheme));
        let server = |url: &&str| {
            let named = CLUSTER.iter().zip(SERVER).find_map(|(scheme, server)| Some((server, url.strip_prefix(scheme)?)));
            named.map_or_else(|| (*url).to_owned(), |(server, rest)| format!("{server}{rest}"))
        };
        let urls: Vec<String> = urls.iter().map(server).collect();
        if urls.iter().any(|url| is_tls(url) != is_tls(&urls[0])) {
            return Err("names some servers with TLS and some without".to_owned());
        }
        for url in &urls {
            let info =
                url.as_str().into_connection_info().map_err(|error| format!("is not an address of a Redis server: {error}"))?;
            if cluster && info.redis_settings().db() != 0 {
                return Err("names a database, and a Cluster has only number 0".to_owned());
            }
        }
        match urls.as_slice() {
            [only] if !cluster => Ok(Self::One(only.clone())),
            _ => Ok(Self::Cluster(urls)),
        }
    }

    /// Returns whether connections are encrypted.
    pub fn is_tls(&self) -> bool {
        match self {
            Self::One(url) => is_tls(url),
            Self::Cluster(urls) => urls.iter().any(|url| is_tls(url)),
            Self::Sentinel(sentinels) => sentinels.tls,
        }
    }

    /// Returns the addresses without user and password, for people.
    pub fn hosts(&self) -> String {
        let bare = |url: &String| {
            let host = url.rsplit('@').next().unwrap_or_default();
            SERVER.iter().find_map(|scheme| host.strip_prefix(scheme)).unwrap_or(host).to_owned()
        };
        match self {
            Self::One(url) => bare(url),
            Self::Cluster(urls) => urls.iter().map(bare).collect::<Vec<_>>().join(","),
            Self::Sentinel(sentinels) => {
                let hosts: Vec<String> = sentinels.hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
                format!("{} by {}", sentinels.master, hosts.join(","))
            }
        }
    }
}

fn is_tls(url: &str) -> bool {
    url.starts_with(SERVER[1])
}

impl Sentinels {
    fn parse(url: &str) -> Result<Self, String> {
        let wrong = || {
            "is not an address of a Sentinel; write redis+sentinel://[user:password@]host:26379/MASTER, one for each Sentinel"
                .to_owned()
        };
        let (tls, rest) =
            SENTINEL.iter().find_map(|scheme| Some((*scheme == SENTINEL[1], url.strip_prefix(scheme)?))).ok_or_else(wrong)?;
        let (authority, path) = rest.split_once('/').ok_or_else(wrong)?;
        let (master, db) = path.split_once('/').unwrap_or((path, "0"));
        if master.is_empty() {
            return Err(wrong());
        }
        let db: i64 = db.parse().map_err(|_| wrong())?;
        // User, password, host and port are read as those of a server.
        let info = format!("redis://{authority}").into_connection_info().map_err(|_| wrong())?;
        let ConnectionAddr::Tcp(host, port) = info.addr() else { return Err(wrong()) };
        let port = if authority.ends_with(&format!(":{port}")) { *port } else { 26_379 };
        let settings = info.redis_settings();
        Ok(Self {
            hosts: vec![(host.clone(), port)],
            tls,
            master: master.to_owned(),
            user: settings.username().map(str::to_owned),
            password: settings.password().map(str::to_owned),
            db,
        })
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.hosts())
    }
}

impl std::fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sentinels").field("master", &self.master).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(urls: &[&str]) -> Result<Address, String> {
        Address::parse(&urls.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn one_several_or_behind_sentinels() {
        assert_eq!(parse(&["redis://u:p@h:1/2"]), Ok(Address::One("redis://u:p@h:1/2".into())));
        let nodes = Ok(Address::Cluster(vec!["redis://a:1".into(), "redis://b:2".into()]));
        assert_eq!(parse(&["redis://a:1", "redis://b:2"]), nodes);
        assert_eq!(parse(&["redis://a:1, redis://b:2"]), nodes, "as an environment variable has it");
        assert_eq!(parse(&["redis+cluster://a:1"]), Ok(Address::Cluster(vec!["redis://a:1".into()])));
        let Ok(Address::Sentinel(found)) = parse(&["redis+sentinel://u:p@a:1/shop/3,redis+sentinel://u:p@b/shop/3"]) else {
            panic!()
        };
        assert_eq!((found.hosts, &*found.master, found.db), (vec![("a".to_owned(), 1), ("b".to_owned(), 26_379)], "shop", 3));
        assert_eq!((found.user.as_deref(), found.password.as_deref(), found.tls), (Some("u"), Some("p"), false));
    }

    #[test]
    fn one_letter_asks_for_tls() {
        let tls = |urls: &[&str]| parse(urls).unwrap().is_tls();
        assert!(tls(&["rediss://u:p@h:1/2"]) && tls(&["rediss+cluster://a:1"]) && tls(&["rediss+sentinel://a:1/shop"]));
        assert!(tls(&["rediss://a:1,rediss://b:2"]));
        assert_eq!(parse(&["rediss+cluster://a:1"]), Ok(Address::Cluster(vec!["rediss://a:1".into()])));
        assert_eq!(parse(&["rediss://u:p@a:1"]).unwrap().hosts(), "a:1");
        assert!(!tls(&["redis://a:1"]) && !tls(&["redis+sentinel://a:1/shop"]));
    }

    #[test]
    fn mistakes_say_what_to_write_and_no_password() {
        for (urls, word) in [
            (&[""][..], "missing"),
            (&["http://x"], "not an address"),
            (&["redis://a:1/3", "redis://b:2"], "number 0"),
            (&["redis+sentinel://u:secret@a:1"], "MASTER"),
            (&["redis+sentinel://u:secret@a:1/"], "MASTER"),
            (&["redis+sentinel://a:1/x", "redis+sentinel://b:1/y"], "different"),
            (&["redis+sentinel://a:1/x", "rediss+sentinel://b:1/x"], "TLS"),
            (&["redis://a:1", "rediss://b:1"], "TLS"),
        ] {
            let message = parse(urls).unwrap_err();
            assert!(message.contains(word) && !message.contains("secret"), "{urls:?}: {message}");
        }
        let shown = format!("{:?}", parse(&["redis://u:secret@h:1"]));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
