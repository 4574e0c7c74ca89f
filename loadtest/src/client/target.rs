use std::{fmt, str::FromStr};

use anyhow::{Context, Result, bail};

/// Where requests go: `http://host:port`, with an optional path in front of every request's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) base: String,
}

impl Target {
    /// Returns the value of the `Host` header.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) }
    }
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some(rest) = text.strip_prefix("http://") else {
            bail!("`{text}` does not start with http:// (TLS is measured at the proxy, not here)");
        };
        let (authority, base) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().with_context(|| format!("`{port}` is not a port"))?)
            }
            Some(_) | None => (authority, 80),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            bail!("`{text}` has no host");
        }
        Ok(Self { host: host.to_owned(), port, base: base.trim_end_matches('/').to_owned() })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "http://{}{}", self.authority(), self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_written_alike() {
        for (text, written) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://shop.test", "http://shop.test:80"),
            ("http://shop.test:81/api/", "http://shop.test:81/api"),
            ("http://[::1]:9", "http://[::1]:9"),
            ("http://[::1]", "http://[::1]:80"),
        ] {
            let target: Target = text.parse().expect(text);
            assert_eq!(target.to_string(), written);
        }
        for bad in ["https://shop.test", "shop.test", "http://", "http://shop.test:x"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
