//! `rapport dead-letters`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Context, print_json, site};
use crate::control::{Answer, Request, Session};
use crate::dead_letters::replay::Resent;
use crate::dead_letters::{Letter, Select};
use crate::event::SiteId;

/// How much of an event a line shows, in characters.
const SHOWN: usize = 80;

#[derive(Debug, Args)]
pub struct DeadLettersCommand {
    #[command(subcommand)]
    what: What,
    /// Prints JSON: of a list one object a letter, else one object with the figures.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Args)]
struct Which {
    #[arg(long, value_parser = site)]
    site: Option<SiteId>,
    /// Only those refused with this code, such as `too_many_items`.
    #[arg(long)]
    code: Option<String>,
    /// The first position.
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    from: u64,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists refused events that were kept, in the order they came.
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Sends them again, once what was wrong is mended; what is in the log now is no longer listed.
    Replay {
        #[command(flatten)]
        which: Which,
        /// Only says what would become of each.
        #[arg(long)]
        dry_run: bool,
    },
    /// Erases those of a visitor, or all.
    Erase {
        /// The visitor's id; customers are found by theirs.
        #[arg(long, required_unless_present = "all", conflicts_with = "all")]
        visitor: Option<String>,
        /// Only on this site.
        #[arg(long, value_parser = site, conflicts_with = "all")]
        site: Option<SiteId>,
        #[arg(long)]
        all: bool,
    },
}

impl From<Which> for Select {
    fn from(which: Which) -> Self {
        Self { site: which.site, code: which.code, from: which.from }
    }
}

impl DeadLettersCommand {
    pub async fn run(self, context: Context) -> anyhow::Result<()> {
        let mut session = Session::open(&context.config, &context.data_dir).await?;
        match self.what {
            What::List { which } => list(&mut session, which.into(), self.json).await?,
            What::Replay { which, dry_run } => replay(&mut session, which.into(), dry_run, self.json).await?,
            What::Erase { visitor, site, all: _ } => {
                let Answer::Erased(letters) = session.ask(Request::DeadLettersErase { site, visitor }).await? else {
                    anyhow::bail!("the server gave an answer to another question");
                };
                if self.json {
                    print_json(&json!({"erased": letters}))?;
                } else {
                    println!("{letters} erased");
                }
            }
        }
        session.close().await;
        Ok(())
    }
}

async fn list(session: &mut Session, mut select: Select, as_json: bool) -> anyhow::Result<()> {
    loop {
        let Answer::DeadLetters { letters, next } = session.ask(Request::DeadLetters { select: select.clone() }).await? else {
            anyhow::bail!("the server gave an answer to another question");
        };
        for letter in &letters {
            let letter: Letter = serde_json::from_str(letter)?;
            if as_json {
                print_json(&described(&letter))?;
            } else {
                println!("{}", line(&letter));
            }
        }
        let Some(next) = next else { return Ok(()) };
        select.from = next;
    }
}

async fn replay(session: &mut Session, mut select: Select, dry_run: bool, as_json: bool) -> anyhow::Result<()> {
    let mut all = Resent::default();
    loop {
        let request = Request::DeadLettersReplay { select: select.clone(), dry_run };
        let Answer::Resent { resent, next } = session.ask(request).await? else {
            anyhow::bail!("the server gave an answer to another question");
        };
        all.add(resent);
        let Some(next) = next else { break };
        select.from = next;
    }
    if as_json {
        return print_json(&all);
    }
    let Resent { ok, duplicate, no_consent, retry, rejected } = all;
    let would = if dry_run { "would be " } else { "" };
    println!("{ok} {would}kept; {duplicate} were in the log already; {no_consent} {would}erased: consent was withdrawn");
    if retry > 0 {
        println!("{retry} could not be written just now; replay again");
    }
    for (code, count) in rejected {
        println!("{count} {would}refused again: {code}");
    }
    Ok(())
}

/// Returns a letter as it is listed in JSON: its event as an object, where it is one.
fn described(letter: &Letter) -> Value {
    let event: Value = serde_json::from_str(&letter.event).unwrap_or_else(|_| letter.event.clone().into());
    json!({
        "position": letter.position,
        "received_at": letter.received_at.to_string(),
        "site": letter.site.as_str(),
        "code": letter.code,
        "detail": letter.detail,
        "visitor_id": letter.visitor.as_ref().map(|visitor| visitor.as_str()),
        "source": letter.source.as_str(),
        "dialect": letter.dialect,
        "session_id": letter.batch.session,
        "seq": letter.batch.seq,
        "sent_at": letter.batch.sent_at.map(|at| at.to_string()),
        "event": event,
    })
}

/// Returns a letter on one line, with nothing in it that a terminal would obey.
fn line(letter: &Letter) -> String {
    let visitor = letter.visitor.as_ref().map_or("-", |visitor| visitor.as_str());
    let event: String = letter.event.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = event.chars().take(SHOWN).collect();
    if shown.len() < event.len() {
        shown.push('…');
    }
    let Letter { position, received_at, site, code, detail, .. } = letter;
    let line = format!("{position}  {received_at}  {site}  {code}: {detail}  {visitor}  {shown}");
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
