//! From the log to sessions and baskets.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use crate::collect::dedupe::IdHash;
use crate::event::time::SESSION_SILENCE;
use crate::event::{Event, EventKind, ItemId, Signal, SiteId, Timestamp};
use crate::event_log::{Archive, FromNode, LogError, NodesReader, Position};

/// What an interaction is worth for popularity, relative to a view; the live overlay counts alike.
pub const VIEW: f32 = 1.0;
pub const CART: f32 = 3.0;
pub const BUY: f32 = 5.0;

/// Everything a build learns from.
#[derive(Debug, Default)]
pub struct Learned {
    /// Ids by number, in the order the log names them.
    pub items: Vec<ItemId>,
    pub sessions: Vec<Group>,
    pub baskets: Vec<Group>,
    pub interest: Vec<Interest>,
    pub oldest: Option<Timestamp>,
    pub newest: Option<Timestamp>,
    /// The last record that was read of each node.
    pub positions: BTreeMap<u64, Position>,
    pub events: u64,
    pub visitors: u64,
    /// Events that may not be learnt from.
    pub without_consent: u64,
    /// Events and orders the log holds twice.
    pub repeated: u64,
    /// Interactions beyond what one visitor may teach.
    pub capped: u64,
}

/// Items that go together: of a basket, or of a visit in its order.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Whose it is.
    pub visitor: u32,
    /// When it began.
    pub at: Timestamp,
    pub items: Vec<u32>,
    /// The price of one of each item of a basket, in major units, 0 where it is not known; empty for a visit.
    pub prices: Vec<f32>,
}

/// One sign of interest in an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interest {
    pub item: u32,
    pub at: Timestamp,
    pub weight: f32,
}

#[derive(Debug)]
struct View {
    visitor: u32,
    at: Timestamp,
    order: u64,
    item: u32,
}

#[derive(Debug)]
struct Basket {
    visitor: u32,
    at: Timestamp,
    trusted: bool,
    /// A browser's word for an order of which the server has spoken.
    overruled: bool,
    items: Vec<u32>,
    prices: Vec<f32>,
}

/// What tells one basket from another.
#[derive(Debug, PartialEq, Eq, Hash)]
enum BasketKey {
    Transaction(Box<str>),
    /// An order without a number: everything a visitor bought in a client's session.
    Session(u32, Box<str>),
    /// And without a session: the event itself.
    Event(u64),
}

struct Gather {
    cap: u32,
    learned: Learned,
    numbers: HashMap<ItemId, u32>,
    visitors: HashMap<Box<str>, u32>,
    seen: HashSet<IdHash>,
    taught: HashMap<(u32, u32, i32), u32>,
    views: Vec<View>,
    baskets: Vec<Basket>,
    basket_of: HashMap<BasketKey, usize>,
}

/// Reads what the logs of all nodes teach about one site, `node`'s own from its folder: events with consent for analytics, each once.
///
/// One visitor teaches no more than `cap` interactions with an item a day, so that nobody can push a product alone.
pub fn read(site: &SiteId, (node, log_dir): (u64, &Path), archive: &Archive, cap: u32) -> Result<Learned, LogError> {
    let mut gather = Gather {
        cap,
        learned: Learned::default(),
        numbers: HashMap::new(),
        visitors: HashMap::new(),
        seen: HashSet::new(),
        taught: HashMap::new(),
        views: Vec::new(),
        baskets: Vec::new(),
        basket_of: HashMap::new(),
    };
    for committed in NodesReader::open(log_dir, archive, node)? {
        let FromNode { node, committed } = committed?;
        gather.learned.positions.insert(node, committed.position);
        if committed.event.site == *site {
            gather.take(&committed.event);
        }
    }
    Ok(gather.finish())
}

impl Gather {
    fn take(&mut self, event: &Event) {
        if event.kind == EventKind::ConsentUpdate {
            return;
        }
        if event.consent.purposes.analytics().is_none() {
            self.learned.without_consent += 1;
            return;
        }
        if !self.seen.insert(IdHash::of_event(event)) {
            self.learned.repeated += 1;
            return;
        }
        self.learned.events += 1;
        self.learned.oldest = Some(self.learned.oldest.map_or(event.ts, |t| t.min(event.ts)));
        self.learned.newest = self.learned.newest.max(Some(event.ts));
        let next = u32::try_from(self.visitors.len()).unwrap_or(u32::MAX);
        let visitor = match self.visitors.get(event.visitor.as_str()) {
            Some(&known) => known,
            None => {
                self.visitors.insert(event.visitor.as_str().into(), next);
                next
            }
        };
        match event.kind.signal() {
            Some(Signal::View) => self.look(event, visitor, VIEW),
            Some(Signal::Cart) => self.look(event, visitor, CART),
            Some(Signal::Purchase) => self.buy(event, visitor),
            None => {}
        }
    }

    fn number(&mut self, id: &ItemId) -> u32 {
        if let Some(&number) = self.numbers.get(id) {
            return number;
        }
        let number = u32::try_from(self.learned.items.len()).unwrap_or(u32::MAX);
        self.learned.items.push(id.clone());
        self.numbers.insert(id.clone(), number);
        number
    }

    /// Returns whether this visitor may still teach about this item today.
    fn may_teach(&mut self, visitor: u32, item: u32, event: &Event) -> bool {
        if event.source.is_trusted() {
            return true;
        }
        let times = self.taught.entry((visitor, item, event.ts.day())).or_insert(0);
        *times += 1;
        if *times > self.cap {
            self.learned.capped += 1;
        }
        *times <= self.cap
    }

    fn look(&mut self, event: &Event, visitor: u32, weight: f32) {
        for line in &event.items {
            let item = self.number(&line.item);
            if self.may_teach(visitor, item, event) {
                let order = self.views.len() as u64;
                self.views.push(View { visitor, at: event.ts, order, item });
                self.learned.interest.push(Interest { item, at: event.ts, weight });
            }
        }
    }

    fn buy(&mut self, event: &Event, visitor: u32) {
        let key = match (&event.transaction_id, &event.session) {
            (Some(transaction), _) => BasketKey::Transaction(transaction.clone()),
            (None, Some(session)) => BasketKey::Session(visitor, session.clone()),
            (None, None) => BasketKey::Event(self.learned.events),
        };
        let trusted = event.source.is_trusted();
        let place = match self.basket_of.get(&key) {
            Some(&place) => place,
            None => {
                self.baskets.push(Basket {
                    visitor,
                    at: event.ts,
                    trusted,
                    overruled: false,
                    items: Vec::new(),
                    prices: Vec::new(),
                });
                self.basket_of.insert(key, self.baskets.len() - 1);
                self.baskets.len() - 1
            }
        };
        if self.baskets[place].trusted != trusted {
            self.learned.repeated += 1;
            if !trusted {
                // The server has spoken of this order; the browser's copy adds nothing.
                return;
            }
            let basket = &mut self.baskets[place];
            basket.trusted = true;
            basket.overruled = true;
            basket.items.clear();
            basket.prices.clear();
        }
        for line in &event.items {
            let item = self.number(&line.item);
            if self.may_teach(visitor, item, event) {
                self.baskets[place].items.push(item);
                #[expect(clippy::cast_possible_truncation, reason = "a price; its size matters, not its digits")]
                self.baskets[place].prices.push(line.price.map_or(0.0, |price| price.to_decimal() as f32));
                if !self.baskets[place].overruled {
                    self.learned.interest.push(Interest { item, at: event.ts, weight: BUY });
                }
            }
        }
    }

    fn finish(mut self) -> Learned {
        // By visitor and time; the log's order decides between views of the same moment.
        self.views.sort_unstable_by_key(|v| (v.visitor, v.at, v.order));
        let mut sessions: Vec<Group> = Vec::new();
        let mut last: Option<(u32, Timestamp)> = None;
        for view in &self.views {
            match (last, sessions.last_mut()) {
                (Some((visitor, at)), Some(session)) if visitor == view.visitor && view.at.since(at) <= SESSION_SILENCE => {
                    session.items.push(view.item);
                }
                _ => sessions.push(Group { visitor: view.visitor, at: view.at, items: vec![view.item], prices: Vec::new() }),
            }
            last = Some((view.visitor, view.at));
        }
        sessions.sort_by_key(|s| s.at);
        let filled = self.baskets.into_iter().filter(|b| !b.items.is_empty());
        let mut baskets: Vec<Group> =
            filled.map(|b| Group { visitor: b.visitor, at: b.at, items: b.items, prices: b.prices }).collect();
        baskets.sort_by_key(|b| b.at);
        Learned { sessions, baskets, visitors: self.visitors.len() as u64, ..self.learned }
    }
}
