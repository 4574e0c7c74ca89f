//! Flow 1, collect: beacon ─ decode ─ validate ─ consent ─ dedupe ─▶ event log (durable) ─▶ fold ─▶ profile store.
//!
//! [`beacon`] decodes what came over HTTP, [`segment`] what came in Segment's dialect; both end in drafts.
//! [`Collector::accept`] takes drafts to their one [`Outcome`]. `Ok` is said only once the event is synced to disk and,
//! unless the profile store is down, folded into the profile, so that the next decision knows it.

pub mod apply;
pub mod beacon;
pub mod bots;
pub mod dedupe;
pub mod loss;
pub mod outcome;
pub mod redis;
pub mod refused;
pub mod seen_index;
pub mod segment;
pub mod validate;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::debug;

use crate::clock::Clock;
use crate::dead_letters::{DeadLetters, Letter};
use crate::event::consent::{Granted, Storage};
use crate::event::{Consent, ConsentClaim, Draft, Event, EventId, EventKind, Rejection, SiteId, VisitorId};
use crate::event_log::lane::Lane;
use crate::event_log::{EventLog, LogError};
use crate::metrics::Metrics;
use crate::profile::Profile;
use crate::profile::store::{ProfileStore, Profiles};
use dedupe::{Dedupe, IdHash, Seen};
use loss::Losses;
use outcome::{DropReason, Note, Outcome, RetryReason};
use redis::SharedIds;
use refused::{Refused, Sent};
use validate::{Envelope, validate};

/// Takes events in.
#[derive(Debug, Clone)]
pub struct Collector {
    pub clock: Clock,
    pub log: EventLog,
    pub dedupe: Arc<Dedupe>,
    /// What other nodes keep, where there are any.
    pub shared: Option<SharedIds>,
    pub profiles: Profiles,
    /// What is refused and may be kept.
    pub dead_letters: DeadLetters,
    pub metrics: Metrics,
    pub losses: Arc<Losses>,
    pub drop_bots: bool,
}

/// One event of a batch: a draft, or why there is none.
pub type Decoded = Result<Draft, Rejection>;

/// What became of a batch.
#[derive(Debug)]
pub struct Fates {
    /// One per event, in order.
    pub outcomes: Vec<Outcome>,
    /// Why nothing could be written, where something was to be: an event, or the record of a withdrawal.
    pub lost: Option<RetryReason>,
}

/// An event that may be kept, and the proof.
struct Keep {
    event: Event,
    hash: Option<IdHash>,
    _granted: Granted<Storage>,
}

/// Counts a batch: what came in at once, and one outcome for each of it when it is dropped, whichever way that comes.
struct Counted<'a> {
    metrics: &'a Metrics,
    site: &'a SiteId,
    /// Events without an outcome.
    open: usize,
}

impl<'a> Counted<'a> {
    fn new(metrics: &'a Metrics, site: &'a SiteId, events: usize) -> Self {
        metrics.batches.inc();
        metrics.events_received.with_label_values(&[site.as_str()]).inc_by(events as u64);
        Self { metrics, site, open: events }
    }

    fn outcome(&self, outcome: &Outcome, times: usize) {
        let labels = [self.site.as_str(), outcome.result(), outcome.code().unwrap_or("")];
        self.metrics.events.with_label_values(&labels).inc_by(times as u64);
    }

    fn settle(mut self, outcomes: &[Outcome]) {
        self.open = self.open.saturating_sub(outcomes.len());
        for outcome in outcomes {
            self.outcome(outcome, 1);
        }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if self.open > 0 {
            // The sender went away before there was an answer.
            self.outcome(&Outcome::Retry(RetryReason::Unanswered), self.open);
        }
    }
}

impl Collector {
    /// Takes a batch to its outcomes, one per event, in order. `sent` is what the batch came as.
    ///
    /// When it returns, what is `Ok` is durable. Dropping the future midway loses nothing that was written: leases on
    /// ids end by themselves.
    pub async fn accept(&self, envelope: &Envelope, user_agent: Option<&str>, batch: Vec<Decoded>, sent: Sent<'_>) -> Fates {
        let counted = Counted::new(&self.metrics, &envelope.site, batch.len());
        let batch: Vec<Result<Event, Rejection>> = batch.into_iter().map(|d| d.and_then(|d| validate(d, envelope))).collect();
        let refused = if self.dead_letters.are_kept() { sent.refused(envelope, &batch) } else { Vec::new() };
        let known = self.known_consents(envelope, &batch, &refused).await;
        // What was sent before has said its word on consent, and that is not of today.
        let said = if matches!(sent, Sent::Again) { BTreeMap::new() } else { words(envelope, &batch) };
        let mut keep = withdrawals(envelope, &known, &said);
        // What the shop's own server calls itself says nothing about its visitors.
        let bot = self.drop_bots && !envelope.source.is_trusted() && bots::is_bot(user_agent);
        self.keep_refused(envelope, &known, &batch, refused, bot);
        self.forget_withdrawn(envelope, &known, &said);
        let mut outcomes = Vec::with_capacity(batch.len());
        // Where in `outcomes` each event of `keep` stands.
        let mut places = vec![None; keep.len()];
        for validated in batch {
            let outcome = match validated {
                Err(rejection) => Outcome::Rejected(rejection),
                Ok(_) if bot => Outcome::Drop(DropReason::Bot),
                Ok(mut event) => {
                    if let Some(known) = known.get(&event.visitor) {
                        // An offline batch cannot undo a withdrawal that was said after it.
                        event.consent.purposes = overruled(event.consent, *known, envelope);
                    }
                    match event.consent.purposes.storage() {
                        None => Outcome::Drop(DropReason::NoConsent),
                        Some(granted) => {
                            let hash = IdHash::of_event(&event);
                            match self.dedupe.begin(hash, self.clock.steady()) {
                                Seen::Duplicate => Outcome::Duplicate,
                                Seen::InFlight if keep.iter().any(|k| k.hash == Some(hash)) => Outcome::Duplicate,
                                Seen::InFlight => Outcome::Retry(RetryReason::InFlight),
                                Seen::New => {
                                    let note = note(&event);
                                    keep.push(Keep { event, hash: Some(hash), _granted: granted });
                                    places.push(Some(outcomes.len()));
                                    Outcome::Ok(note)
                                }
                            }
                        }
                    }
                }
            };
            outcomes.push(outcome);
        }
        let leased = self.leave_to_others(&mut keep, &mut places, &mut outcomes).await;
        let mut lost = None;
        if !keep.is_empty() {
            let hashes: Vec<IdHash> = keep.iter().filter_map(|k| k.hash).collect();
            let numbers: Vec<_> = keep.iter().filter_map(|k| loss::number_of(&k.event)).collect();
            let written = self.write(keep).await;
            if let (Some(shared), true) = (&self.shared, leased) {
                let (shared, hashes, kept) = (shared.clone(), hashes.clone(), written.is_ok());
                // Nobody waits for it: a lease that is not given back ends by itself.
                tokio::spawn(async move { if kept { shared.commit(&hashes).await } else { shared.release(&hashes).await } });
            }
            if written.is_ok() {
                self.losses.arrived(&envelope.site, &numbers, self.clock.steady());
            }
            if let Err(reason) = written {
                for hash in hashes {
                    self.dedupe.release(hash);
                }
                for place in places.into_iter().flatten() {
                    outcomes[place] = Outcome::Retry(reason);
                }
                lost = Some(reason);
            }
        }
        counted.settle(&outcomes);
        Fates { outcomes, lost }
    }

    /// Notes what a batch that is acknowledged says its sender gave up.
    pub fn note_given_up(&self, envelope: &Envelope) {
        if !envelope.discarded.is_empty() {
            let whose = envelope.visitor.as_ref().zip(envelope.session.as_deref());
            self.losses.given_up(&envelope.site, whose, &envelope.discarded, self.clock.steady());
        }
    }

    /// Takes out of `keep` what another node keeps or is writing. Returns whether the rest is leased there.
    async fn leave_to_others(&self, keep: &mut Vec<Keep>, places: &mut Vec<Option<usize>>, outcomes: &mut [Outcome]) -> bool {
        let Some(shared) = &self.shared else { return false };
        let asked: Vec<IdHash> = keep.iter().filter_map(|k| k.hash).collect();
        if asked.is_empty() {
            return false;
        }
        let seen: HashMap<IdHash, Seen> = match shared.begin(&asked).await {
            Ok(seen) => asked.into_iter().zip(seen).collect(),
            Err(_) => {
                self.metrics.ids_unshared.inc_by(asked.len() as u64);
                return false;
            }
        };
        let mut left = Vec::with_capacity(keep.len());
        for (event, place) in std::mem::take(keep).into_iter().zip(std::mem::take(places)) {
            let outcome = match event.hash.and_then(|hash| Some((hash, seen.get(&hash)?))) {
                Some((hash, Seen::Duplicate)) => {
                    self.dedupe.commit(hash);
                    // It arrived, though not here: this node's count has no gap for it.
                    let number = loss::number_of(&event.event);
                    self.losses.arrived(&event.event.site, number.as_slice(), self.clock.steady());
                    Outcome::Duplicate
                }
                Some((hash, Seen::InFlight)) => {
                    self.dedupe.release(hash);
                    Outcome::Retry(RetryReason::InFlight)
                }
                Some((_, Seen::New)) | None => {
                    left.push((event, place));
                    continue;
                }
            };
            if let Some(place) = place {
                outcomes[place] = outcome;
            }
        }
        (*keep, *places) = left.into_iter().unzip();
        true
    }

    /// Appends and waits until it is durable and folded.
    async fn write(&self, keep: Vec<Keep>) -> Result<(), RetryReason> {
        let (reply, done) = oneshot::channel();
        let events: Vec<Event> = keep.into_iter().map(|k| k.event).collect();
        let (lane, count) = (Lane::of(&events), events.len() as u64);
        self.log.append(events, reply);
        done.await.unwrap_or(Err(LogError::Closed)).map_err(|error| {
            if matches!(error, LogError::Full) {
                self.metrics.events_shed.with_label_values(&[lane.as_str()]).inc_by(count);
                return RetryReason::Overloaded;
            }
            // The log said so once, aloud.
            debug!(%error, "Events could not be kept");
            RetryReason::LogUnavailable
        })
    }

    /// Returns the last word on consent that is on record for each visitor of the batch. Where the store does not
    /// answer, the batch's own word has to do.
    async fn known_consents(
        &self,
        envelope: &Envelope,
        batch: &[Result<Event, Rejection>],
        refused: &[Refused<'_>],
    ) -> HashMap<VisitorId, Consent> {
        let named = batch.iter().filter_map(|event| event.as_ref().ok()).map(|event| &event.visitor);
        let named = named.chain(refused.iter().filter_map(|refused| refused.visitor.as_ref()));
        let visitors: Vec<&VisitorId> = envelope.visitor.iter().chain(named).collect::<HashSet<_>>().into_iter().collect();
        let ids: Vec<&str> = visitors.iter().map(|visitor| visitor.as_str()).collect();
        let Ok(stored) = self.profiles.get_many(envelope.site.as_str(), &ids).await else { return HashMap::new() };
        let known = visitors.into_iter().zip(stored).filter_map(|(visitor, stored)| {
            let profile = Profile::decode(&stored?.blob).ok()?;
            Some((visitor.clone(), profile.consent))
        });
        known.collect()
    }

    /// Returns whether an event may be kept, by its own word and by what is known.
    pub async fn is_allowed(&self, envelope: &Envelope, event: Event) -> bool {
        let (visitor, own) = (event.visitor.clone(), event.consent);
        let known = self.known_consents(envelope, &[Ok(event)], &[]).await;
        let purposes = known.get(&visitor).map_or(own.purposes, |known| overruled(own, *known, envelope));
        purposes.storage().is_some()
    }

    /// Keeps refused events of those who agreed to be remembered; of all others nothing but a count is left.
    fn keep_refused(
        &self,
        envelope: &Envelope,
        known: &HashMap<VisitorId, Consent>,
        batch: &[Result<Event, Rejection>],
        refused: Vec<Refused<'_>>,
        bot: bool,
    ) {
        for refused in refused {
            let Some(Err(rejection)) = batch.get(refused.index) else { continue };
            if bot {
                self.dead_letters.count("bot");
                continue;
            }
            let Refused { text, dialect, visitor, claim, .. } = refused;
            let known = visitor.as_ref().and_then(|visitor| known.get(visitor));
            match claim.map(|claim| granted_to_keep(envelope, claim, known)) {
                Some(Ok(granted)) => {
                    self.dead_letters.keep(Letter::new(envelope, visitor, rejection, dialect, text.into_owned()), granted);
                }
                denied => {
                    self.dead_letters.count("no_consent");
                    if let (Some(Err(Denied::BySaying)), Some(visitor)) = (denied, &visitor) {
                        self.dead_letters.forget(&envelope.site, visitor);
                    }
                }
            }
        }
    }

    /// Erases the dead letters of those whose word is now that nothing may be kept, whether or not they had a profile.
    fn forget_withdrawn(&self, envelope: &Envelope, known: &HashMap<VisitorId, Consent>, said: &BTreeMap<&VisitorId, Consent>) {
        for (visitor, said) in said {
            let purposes = known.get(*visitor).map_or(said.purposes, |known| overruled(*said, *known, envelope));
            // Only an explicit word, not a batch that forgot to say anything.
            if said.at.is_some() && purposes.storage().is_none() {
                self.dead_letters.forget(&envelope.site, visitor);
            }
        }
    }
}

/// Why a refused event may not be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Denied {
    /// It or its batch says something of consent, and nothing may be kept.
    BySaying,
    /// Nothing was said, or not said when.
    BySilence,
}

/// Returns proof that a refused event may be kept, given its own word and the one on record.
///
/// When it happened is not known. Unless it says when consent was given, it cannot be told which word is the later one, and both
/// have to allow it.
fn granted_to_keep(envelope: &Envelope, claim: ConsentClaim, known: Option<&Consent>) -> Result<Granted<Storage>, Denied> {
    let own = envelope.consent(Some(claim), envelope.received_at);
    let dated = claim.at.or(envelope.consent.at).is_some();
    let on_record = known.is_none_or(|known| dated || known.purposes.storage().is_some());
    let purposes = known.map_or(own.purposes, |known| overruled(own, *known, envelope));
    match purposes.storage() {
        Some(granted) if on_record => Ok(granted),
        None if own.at.is_some() => Err(Denied::BySaying),
        Some(_) | None => Err(Denied::BySilence),
    }
}

/// Returns the last word of this batch on each visitor's consent.
fn words<'a>(envelope: &'a Envelope, batch: &'a [Result<Event, Rejection>]) -> BTreeMap<&'a VisitorId, Consent> {
    // The batch speaks for everybody in it; an event does where the batch is silent, or where it says something later.
    let own = envelope.consent(None, envelope.received_at);
    let mut said: BTreeMap<&VisitorId, Consent> = envelope.visitor.iter().map(|visitor| (visitor, own)).collect();
    for event in batch.iter().filter_map(|event| event.as_ref().ok()) {
        let last = said.entry(&event.visitor).or_insert(own);
        if event.consent.at > last.at {
            *last = event.consent;
        } else if own.at.is_none() {
            *last = last.later(event.consent);
        }
    }
    said
}

/// Returns the records of withdrawals, where this batch or one of its events withdraws something that had been granted.
///
/// Nothing of a visitor who refused is kept, but that somebody we remember withdrew must be: it is what stops late
/// batches, and what shows that the withdrawal was honoured.
fn withdrawals(envelope: &Envelope, known: &HashMap<VisitorId, Consent>, said: &BTreeMap<&VisitorId, Consent>) -> Vec<Keep> {
    said.iter().filter_map(|(visitor, said)| withdrawal(envelope, visitor, known.get(*visitor)?, *said)).collect()
}

fn withdrawal(envelope: &Envelope, visitor: &VisitorId, known: &Consent, said: Consent) -> Option<Keep> {
    let lost = known.purposes.bits() & !said.purposes.bits();
    let ahead = from_the_future(known, envelope);
    if said.at.is_none() || lost == 0 || (!ahead && known.later(said) == *known) {
        return None;
    }
    // It has to count in every order of reading: of two words of one moment the one that allows less holds.
    let at = if ahead { known.at } else { said.at };
    let granted = Granted::<Storage>::to_record_a_withdrawal(known)?;
    let id = format!("consent-{:032x}", xxhash_rust::xxh3::xxh3_128(format!("{visitor}\0{:?}", said.at).as_bytes()));
    let event = Event {
        site: envelope.site.clone(),
        id: EventId::new(&id).ok()?,
        kind: EventKind::ConsentUpdate,
        visitor: visitor.clone(),
        customer: None,
        session: None,
        seq: None,
        ts: said.at?,
        client_ts: None,
        sent_at: envelope.sent_at,
        received_at: envelope.received_at,
        consent: Consent { at, ..said },
        source: envelope.source,
        items: Vec::new(),
        currency: None,
        value_minor: None,
        transaction_id: None,
        search_term: None,
        creative_id: None,
        placement: None,
        recommendation_id: None,
        params: None,
    };
    Some(Keep { event, hash: None, _granted: granted })
}

/// Returns whether a word on record is dated later than now: the clock was ahead when it came and has been set back since.
///
/// Which of it and a new word is the later one cannot be told, so that only what both allow is allowed: a withdrawal counts at once, a new
/// grant once the clock has caught up.
fn from_the_future(known: &Consent, envelope: &Envelope) -> bool {
    known.at > Some(envelope.received_at)
}

/// Returns the purposes of an event after the word on record has been heard.
fn overruled(own: Consent, known: Consent, envelope: &Envelope) -> crate::event::Purposes {
    let later = own.later(known).purposes;
    let unclear = own.at.is_some() && from_the_future(&known, envelope);
    if unclear {
        // Not `later`: of a grant on record and a denial now, the denial has to hold.
        crate::event::Purposes::from_bits(known.purposes.bits() & own.purposes.bits())
    } else if envelope.gpc {
        // The browser's signal denies now, whatever was granted before.
        crate::event::Purposes::from_bits(later.bits() & own.purposes.bits())
    } else {
        later
    }
}

fn note(event: &Event) -> Option<Note> {
    let money = matches!(event.kind, EventKind::Purchase | EventKind::Refund);
    if money && !event.source.is_trusted() {
        return Some(Note::MoneyUnverified);
    }
    (money && event.value_minor.is_none() && event.params.as_deref().is_some_and(|p| p.contains("\"value\"")))
        .then_some(Note::ValueWithoutCurrency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_an_outcome_also_where_nobody_waits_for_it() {
        let (metrics, site) = (Metrics::new(), SiteId::default_site());
        let count = |result: &str, code: &str| metrics.events.with_label_values(&[site.as_str(), result, code]).get();
        Counted::new(&metrics, &site, 2).settle(&[Outcome::Ok(None), Outcome::Duplicate]);
        assert_eq!([count("ok", ""), count("duplicate", ""), count("retry", "unanswered")], [1, 1, 0]);
        drop(Counted::new(&metrics, &site, 3));
        assert_eq!([count("ok", ""), count("retry", "unanswered")], [1, 3]);
        assert_eq!(metrics.events_received.with_label_values(&[site.as_str()]).get(), 5);
    }
}
