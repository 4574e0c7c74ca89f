//! `rapport keys`

use clap::{Args, Subcommand, ValueEnum};

use super::{Context, print_json, site};
use crate::control::{Answer, Request, Session, records};
use crate::event::SiteId;
use crate::keys::{KeyKind, parse_origin};

#[derive(Debug, Args)]
pub struct KeysCommand {
    #[command(subcommand)]
    what: What,
    /// Prints one JSON object.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Creates a key and prints it, once.
    Create {
        #[arg(long, default_value = "default", value_parser = site)]
        site: SiteId,
        #[arg(long, value_enum)]
        kind: Kind,
        /// An origin whose pages may use a publishable key; may be given several times.
        #[arg(long = "origin", value_parser = parse_origin)]
        origins: Vec<String>,
    },
    /// Lists keys; their texts are not kept.
    List {
        #[arg(long, value_parser = site)]
        site: Option<SiteId>,
    },
    /// Revokes a key by its id.
    Revoke { id: String },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Publishable,
    Secret,
}

impl KeysCommand {
    pub async fn run(self, context: Context) -> anyhow::Result<()> {
        let mut session = Session::open(&context.config, &context.data_dir).await?;
        match self.what {
            What::Create { site, kind, origins } => {
                let kind = match kind {
                    Kind::Publishable => KeyKind::Publishable,
                    Kind::Secret => KeyKind::Secret,
                };
                if kind == KeyKind::Secret && !origins.is_empty() {
                    anyhow::bail!("--origin is for publishable keys: a secret key must never be in a page");
                }
                let Answer::KeyCreated { record, key } = session.ask(Request::KeysCreate { site, kind, origins }).await? else {
                    anyhow::bail!("the server gave an answer to another question");
                };
                let record = records(&[record]).pop().ok_or_else(|| anyhow::anyhow!("the key's record cannot be read"))?;
                if self.json {
                    print_json(
                        &serde_json::json!({"id": record.id, "key": key, "kind": record.kind, "site": record.site.as_str(), "origins": record.origins}),
                    )?;
                } else {
                    println!("{key}");
                    eprintln!("{} key {} of site {}; it is shown only this once", record.kind, record.id, record.site);
                }
            }
            What::List { site } => {
                let Answer::Keys { records: texts } = session.ask(Request::KeysList).await? else {
                    anyhow::bail!("the server gave an answer to another question");
                };
                let keys: Vec<_> = records(&texts).into_iter().filter(|k| site.as_ref().is_none_or(|s| *s == k.site)).collect();
                if self.json {
                    let list: Vec<_> = keys
                        .iter()
                        .map(|k| {
                            serde_json::json!({"id": k.id, "kind": k.kind, "site": k.site.as_str(), "origins": k.origins,
                                "revoked": k.revoked, "created_at": k.created_at.to_string()})
                        })
                        .collect();
                    print_json(&serde_json::json!({"keys": list}))?;
                } else {
                    for k in keys {
                        let state = if k.revoked { "revoked" } else { "" };
                        println!(
                            "{}  {:<12} {:<12} {} {state} {}",
                            k.id,
                            k.kind.to_string(),
                            k.site,
                            k.created_at,
                            k.origins.join(" ")
                        );
                    }
                }
            }
            What::Revoke { id } => {
                let Answer::Found(found) = session.ask(Request::KeysRevoke { id: id.clone() }).await? else {
                    anyhow::bail!("the server gave an answer to another question");
                };
                if !found {
                    anyhow::bail!("there is no key {id}; `rapport keys list` shows them");
                }
                if self.json {
                    print_json(&serde_json::json!({"id": id, "revoked": true}))?;
                } else {
                    println!("key {id} is revoked");
                }
            }
        }
        session.close().await;
        Ok(())
    }
}
