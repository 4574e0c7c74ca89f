//! `rapport import`

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use jiff::tz::TimeZone;

use super::progress::Progress;
use super::{Context, print_json, site};
use crate::collect::validate::{Envelope, validate};
use crate::control::{Answer, Request, Session};
use crate::event::{ConsentClaim, Currency, Event, EventKind, SiteId, Source, Timestamp};
use crate::import::{self, Doctor, Format, ImportError, NonProducts, Options, Parsed, Report};

/// Lines of an imported event: whole orders, however long.
const MAX_LINES: usize = 5_000;
/// Events and lines kept together; bounds the memory of an import.
const BATCH_EVENTS: usize = 2_000;
const BATCH_LINES: usize = 20_000;
/// Batches read ahead.
const AHEAD: usize = 2;

#[derive(Debug, Args)]
pub struct Import {
    /// events-jsonl, rees46, retailrocket, online-retail, sessions, catalog-jsonl or catalog-csv.
    #[arg(long, value_parser = Format::from_str)]
    format: Format,
    #[arg(long, default_value = "default", value_parser = site)]
    site: SiteId,
    /// Currency of prices that have none (ISO 4217).
    #[arg(long, value_parser = currency)]
    currency: Option<Currency>,
    /// Time zone of times that have none, such as Europe/London.
    #[arg(long, value_parser = timezone)]
    timezone: Option<TimeZone>,
    /// What the people in the file agreed to: a comma-separated list of analytics, personalization, marketing and
    /// `sale_share`, or "none". An event's own consent wins.
    #[arg(long, default_value = "analytics,personalization", value_parser = consent)]
    consent: ConsentClaim,
    /// Prints one JSON object with the figures.
    #[arg(long)]
    json: bool,
    /// CSV, JSON lines or Parquet, also with .gz.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

fn currency(text: &str) -> Result<Currency, String> {
    Currency::parse(text).ok_or_else(|| format!("`{text}` is no ISO 4217 code such as EUR"))
}

fn timezone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| format!("`{text}` is no time zone such as Europe/London"))
}

fn consent(text: &str) -> Result<ConsentClaim, String> {
    let no = Some(false);
    let mut claim = ConsentClaim { analytics: no, personalization: no, marketing: no, sale_share: no, at: None };
    for word in text.split(',').map(str::trim).filter(|w| !w.is_empty() && *w != "none") {
        let purpose = match word {
            "analytics" => &mut claim.analytics,
            "personalization" => &mut claim.personalization,
            "marketing" => &mut claim.marketing,
            "sale_share" => &mut claim.sale_share,
            _ => return Err(format!("`{word}` is no purpose; use analytics, personalization, marketing, sale_share or none")),
        };
        *purpose = Some(true);
    }
    Ok(claim)
}

/// What the reading thread hands over: rows that were checked.
#[derive(Debug, Default)]
struct Batch {
    events: Vec<(Event, u32)>,
    items: Vec<(String, u64, u32)>,
    rejected: Vec<Rejected>,
    lines: usize,
}

#[derive(Debug)]
struct Rejected {
    line: u64,
    rows: u32,
    reason: String,
    detail: String,
}

/// What the reading thread noticed on the way.
#[derive(Debug, Default)]
struct Noticed {
    doctor: Doctor,
    non_products: NonProducts,
}

impl Import {
    pub async fn run(self, context: Context) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut session = Session::open(&context.config, &context.data_dir).await?;
        session.ask(Request::ImportBegin { site: self.site.clone() }).await?;
        let options = Options {
            currency: self.currency,
            timezone: self.timezone.clone(),
            consent: Some(self.consent),
            ..Options::default()
        };
        let mut report = Report::default();
        let mut noticed = Noticed::default();
        for file in &self.files {
            self.import_file(file, &context, &options, &mut session, &mut report, &mut noticed).await?;
        }
        self.mark_non_products(&noticed.non_products, &mut session).await?;
        session.ask(Request::ImportEnd).await?;
        session.close().await;
        let advice = noticed.doctor.advice(&noticed.non_products);
        report.finish(&options.progress, started.elapsed().as_secs_f64(), advice);
        if self.json {
            return print_json(&report);
        }
        print!("{report}");
        Ok(())
    }

    async fn import_file(
        &self,
        file: &Path,
        context: &Context,
        options: &Options,
        session: &mut Session,
        report: &mut Report,
        noticed: &mut Noticed,
    ) -> anyhow::Result<()> {
        let name = file.display().to_string();
        let envelope = Envelope {
            site: self.site.clone(),
            policy: context.config.site(&self.site),
            source: Source::Import,
            visitor: None,
            session: None,
            seq: None,
            discarded: Vec::new(),
            sent_at: None,
            received_at: now(),
            consent: self.consent,
            gpc: false,
            max_items: MAX_LINES,
        };
        let rows = import::open(file, self.format, options)?;
        let mut bar = Progress::bar(options.progress.total_bytes(), &format!("importing {name}"));
        let (sender, receiver) = mpsc::sync_channel::<Result<Batch, ImportError>>(AHEAD);
        let taken = std::mem::take(noticed);
        let format = self.format;
        let reading = std::thread::spawn(move || read(rows, format, &envelope, taken, &sender));
        // The receiver blocks, so it waits on a thread that may block.
        let receiver = Arc::new(std::sync::Mutex::new(receiver));
        loop {
            let receiver = receiver.clone();
            let next = tokio::task::spawn_blocking(move || {
                receiver.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv().ok()
            });
            let Some(batch) = next.await? else { break };
            self.keep(batch?, &name, session, report).await?;
            bar.at(options.progress.bytes(), options.progress.total_bytes());
        }
        bar.finish();
        *noticed = reading.join().map_err(|_| anyhow::anyhow!("reading {name} failed"))?;
        Ok(())
    }

    async fn keep(&self, batch: Batch, file: &str, session: &mut Session, report: &mut Report) -> anyhow::Result<()> {
        for rejected in batch.rejected {
            report.rejected(file, rejected.line, rejected.rows, &rejected.reason, &rejected.detail);
        }
        if !batch.events.is_empty() {
            let (events, rows): (Vec<Event>, Vec<u32>) = batch.events.into_iter().unzip();
            let kinds: Vec<String> = events.iter().map(|e| e.kind.as_str().to_owned()).collect();
            let Answer::Kept { new } = session.ask(Request::ImportEvents { events }).await? else {
                anyhow::bail!("the server gave an answer to another question");
            };
            for ((new, kind), rows) in new.into_iter().zip(kinds).zip(rows) {
                if new {
                    report.accepted(&kind, rows);
                } else {
                    report.duplicate(rows);
                }
            }
        }
        if !batch.items.is_empty() {
            let items = batch.items.iter().map(|(item, ..)| item.clone()).collect();
            let request = Request::ImportItems { site: self.site.clone(), items };
            let Answer::Items { refused } = session.ask(request).await? else {
                anyhow::bail!("the server gave an answer to another question");
            };
            for ((_, line, rows), refused) in batch.items.into_iter().zip(refused) {
                match refused {
                    None => report.accepted("item", rows),
                    Some(detail) if detail.ends_with("is stored already") => report.duplicate(rows),
                    Some(detail) => report.rejected(file, line, rows, "item_refused", &detail),
                }
            }
        }
        Ok(())
    }

    /// Postage, discounts and the like stay in their baskets and are never recommended.
    async fn mark_non_products(&self, non_products: &NonProducts, session: &mut Session) -> anyhow::Result<()> {
        let items: Vec<String> =
            non_products.iter().map(|(id, _)| serde_json::json!({"item_id": id, "recommendable": false}).to_string()).collect();
        if items.is_empty() {
            return Ok(());
        }
        session.ask(Request::ImportItems { site: self.site.clone(), items }).await.context("non-products could not be marked")?;
        Ok(())
    }
}

fn now() -> Timestamp {
    crate::clock::Clock::System.now()
}

/// Reads and checks a file on a thread of its own, so that reading and keeping go on at once.
fn read(
    rows: Box<dyn Iterator<Item = Result<Parsed, ImportError>> + Send>,
    format: Format,
    envelope: &Envelope,
    mut noticed: Noticed,
    sender: &mpsc::SyncSender<Result<Batch, ImportError>>,
) -> Noticed {
    let mut batch = Batch::default();
    for parsed in rows {
        match parsed {
            Err(error) => {
                // What was read before the mishap is kept.
                let _ = sender.send(Ok(std::mem::take(&mut batch)));
                let _ = sender.send(Err(error));
                return noticed;
            }
            Ok(Parsed::Event { draft, rows, line }) => {
                noticed.doctor.observe(&draft);
                noticed.non_products.observe(format, &draft);
                match validate(*draft, envelope) {
                    // The record of a withdrawal says that nothing may be kept, and must be.
                    Ok(event) if event.consent.purposes.storage().is_none() && event.kind != EventKind::ConsentUpdate => {
                        batch.rejected.push(Rejected {
                            line,
                            rows,
                            reason: "no_consent".to_owned(),
                            detail: "neither analytics nor personalization was agreed to".to_owned(),
                        });
                    }
                    Ok(event) => {
                        batch.lines += event.items.len();
                        batch.events.push((event, rows));
                    }
                    Err(rejection) => {
                        noticed.doctor.observe_rejected(None, rejection.code.as_str(), rows);
                        batch.rejected.push(Rejected {
                            line,
                            rows,
                            reason: rejection.code.to_string(),
                            detail: rejection.detail,
                        });
                    }
                }
            }
            Ok(Parsed::Item { draft, line }) => {
                noticed.doctor.observe_item(&draft);
                batch.items.push((draft.to_json(), line, 1));
            }
            Ok(Parsed::Rejected { line, rows, kind, rejection, reason }) => {
                noticed.doctor.observe_rejected(kind, reason, rows);
                batch.rejected.push(Rejected { line, rows, reason: reason.to_owned(), detail: rejection.detail });
            }
        }
        let full = batch.events.len() >= BATCH_EVENTS
            || batch.lines >= BATCH_LINES
            || batch.items.len() >= BATCH_EVENTS
            || batch.rejected.len() >= BATCH_EVENTS;
        if full && sender.send(Ok(std::mem::take(&mut batch))).is_err() {
            return noticed;
        }
    }
    // The other side has gone only where it failed, and says so itself.
    let _ = sender.send(Ok(batch));
    noticed
}
