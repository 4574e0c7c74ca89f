//! The one function that turns events into profiles.

use super::{
    AFFINITY_BUCKETS, CART_CHANGES, CartChange, CartOp, Memory, PURCHASES, Profile, RECENT_ITEMS, SEARCHES, Search, Seen, Tally,
};
use crate::event::consent::{Granted, Personalization};
use crate::event::{Event, EventKind, Line, Timestamp};

/// What an interaction says about interest, relative to a view.
const VIEW: u32 = 1;
const CART: u32 = 3;
const BUY: u32 = 5;

/// Returns the profile after one more event.
///
/// Pure and order-free: folding the same events in any order gives an equal profile. The consent that travelled with
/// the event decides what may be remembered.
#[must_use]
pub fn fold(mut profile: Profile, event: &Event) -> Profile {
    profile.consent = profile.consent.later(event.consent);
    if event.kind == EventKind::ConsentUpdate {
        // Our own record of a withdrawal: nothing the visitor did in the shop.
        return profile;
    }
    if let Some(granted) = event.consent.purposes.personalization() {
        remember(&mut profile.memory, event, granted);
    }
    profile
}

fn remember(memory: &mut Memory, event: &Event, _granted: Granted<Personalization>) {
    memory.first_seen = Some(memory.first_seen.map_or(event.ts, |t| t.min(event.ts)));
    memory.last_seen = memory.last_seen.max(Some(event.ts));
    let hash = hash(event);
    let day = event.ts.day();
    tally(&mut memory.counts, day, event.kind.as_str(), 1);
    match &event.kind {
        EventKind::ViewItem | EventKind::SelectItem => {
            for line in &event.items {
                saw(&mut memory.viewed, event.ts, hash, line);
                interest(memory, day, line, VIEW);
            }
        }
        EventKind::AddToCart => {
            for (index, line) in (0u32..).zip(&event.items) {
                saw(&mut memory.carted, event.ts, hash, line);
                interest(memory, day, line, CART);
                cart(memory, event.ts, hash, index, CartOp::Add(line.item.clone(), pieces(line)));
            }
        }
        EventKind::RemoveFromCart => {
            for (index, line) in (0u32..).zip(&event.items) {
                cart(memory, event.ts, hash, index, CartOp::Remove(line.item.clone(), pieces(line)));
            }
        }
        EventKind::Purchase => {
            for line in &event.items {
                // Every time, for habit shows in how often something is bought.
                keep(&mut memory.bought, Seen { at: event.ts, event: hash, item: line.item.clone() }, PURCHASES);
                interest(memory, day, line, BUY);
            }
            cart(memory, event.ts, hash, 0, CartOp::Clear);
        }
        EventKind::AddToWishlist => {
            for line in &event.items {
                interest(memory, day, line, CART);
            }
        }
        EventKind::Search => {
            if let Some(term) = &event.search_term {
                keep(&mut memory.searches, Search { at: event.ts, event: hash, term: term.clone() }, SEARCHES);
            }
        }
        EventKind::ViewPromotion => {
            if let Some(creative) = &event.creative_id {
                tally(&mut memory.impressions, day, creative, 1);
            }
        }
        // They count above, and say nothing more about the visitor.
        EventKind::ViewItemList
        | EventKind::ViewCart
        | EventKind::BeginCheckout
        | EventKind::AddShippingInfo
        | EventKind::AddPaymentInfo
        | EventKind::Refund
        | EventKind::RemoveFromWishlist
        | EventKind::SelectPromotion
        | EventKind::PageView
        | EventKind::Login
        | EventKind::SignUp
        | EventKind::ConsentUpdate
        | EventKind::Other(_) => {}
    }
}

/// A stable hash that orders events of the same moment.
fn hash(event: &Event) -> u64 {
    xxhash_rust::xxh3::xxh3_64(event.id.as_str().as_bytes())
}

fn pieces(line: &Line) -> u32 {
    line.quantity.map_or(1, |q| u32::try_from(q.max(0)).unwrap_or(u32::MAX))
}

fn interest(memory: &mut Memory, day: i32, line: &Line, weight: u32) {
    for category in &line.categories {
        tally(&mut memory.categories, day, category, weight);
    }
    if let Some(brand) = &line.brand {
        tally(&mut memory.brands, day, brand, weight);
    }
}

fn cart(memory: &mut Memory, at: Timestamp, event: u64, line: u32, what: CartOp) {
    keep(&mut memory.cart_changes, CartChange { at, event, line, what }, CART_CHANGES);
}

/// Puts an entry into a list that is sorted newest first and keeps the `most` greatest.
fn keep<T: Ord>(list: &mut Vec<T>, entry: T, most: usize) {
    match list.binary_search_by(|other| entry.cmp(other)) {
        Ok(_) => {}
        Err(at) if at < most => {
            list.insert(at, entry);
            list.truncate(most);
        }
        Err(_) => {}
    }
}

/// Keeps the latest sight of each item, and of the items the latest.
fn saw(list: &mut Vec<Seen>, at: Timestamp, event: u64, line: &Line) {
    let seen = Seen { at, event, item: line.item.clone() };
    if let Some(known) = list.iter().position(|s| s.item == seen.item) {
        if list[known] >= seen {
            return;
        }
        list.remove(known);
    }
    keep(list, seen, RECENT_ITEMS);
}

/// Adds to a bucket; the buckets kept are the greatest by (day, key), so an evicted one can never come back.
fn tally(list: &mut Vec<Tally>, day: i32, key: &str, weight: u32) {
    match list.binary_search_by(|t| (day, key).cmp(&(t.day, &*t.key))) {
        Ok(at) => list[at].weight = list[at].weight.saturating_add(weight),
        Err(at) if at < AFFINITY_BUCKETS => {
            list.insert(at, Tally { day, key: key.into(), weight });
            list.truncate(AFFINITY_BUCKETS);
        }
        Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{Consent, EventId, ItemId, Purposes, SiteId, Source, VisitorId, time};
    use crate::profile::view;

    /// Reads `view a, cart b 2, uncart b, buy a, search x` as events a minute apart.
    fn events(script: &str) -> Vec<Event> {
        (0i64..)
            .zip(script.split(',').map(str::trim).filter(|s| !s.is_empty()))
            .map(|(n, step)| {
                let mut words = step.split(' ');
                let kind = words.next().unwrap();
                let what = words.next().unwrap_or("x");
                let quantity = words.next().map(|q| q.parse().unwrap());
                let (kind, term) = match kind {
                    "view" => (EventKind::ViewItem, None),
                    "cart" => (EventKind::AddToCart, None),
                    "uncart" => (EventKind::RemoveFromCart, None),
                    "buy" => (EventKind::Purchase, None),
                    "banner" => (EventKind::ViewPromotion, None),
                    "search" => (EventKind::Search, Some(what.into())),
                    other => panic!("{other}"),
                };
                Event {
                    site: SiteId::default_site(),
                    id: EventId::new(&format!("e{n}")).unwrap(),
                    visitor: VisitorId::new("v").unwrap(),
                    customer: None,
                    session: None,
                    seq: None,
                    ts: Timestamp(n * time::MINUTE),
                    client_ts: None,
                    sent_at: None,
                    received_at: Timestamp(n * time::MINUTE),
                    consent: Consent { purposes: Purposes::ALL, at: None },
                    source: Source::Browser,
                    items: vec![Line {
                        item: ItemId::new(what).unwrap(),
                        categories: vec![format!("category {}", what.len()).into()],
                        brand: Some("brand".into()),
                        quantity,
                        ..Line::default()
                    }],
                    currency: None,
                    value_minor: None,
                    transaction_id: None,
                    search_term: term,
                    creative_id: (kind == EventKind::ViewPromotion).then(|| what.into()),
                    placement: None,
                    recommendation_id: None,
                    params: None,
                    kind,
                }
            })
            .collect()
    }

    fn folded(events: &[Event]) -> Profile {
        events.iter().fold(Profile::default(), fold)
    }

    #[track_caller]
    fn check_cart(script: &str, expected: &[(&str, u32)]) {
        let profile = folded(&events(script));
        let cart = view::cart(&profile.memory);
        let cart: Vec<(&str, u32)> = cart.iter().map(|(item, n)| (item.as_str(), *n)).collect();
        assert_eq!(cart, expected, "{script}");
    }

    #[test]
    fn the_cart_follows_what_was_done() {
        check_cart("cart a, cart b 2, cart a", &[("a", 2), ("b", 2)]);
        check_cart("cart a, cart b 2, uncart b", &[("a", 1), ("b", 1)]);
        check_cart("cart a, uncart a", &[]);
        check_cart("cart a, cart b, buy a", &[]);
        check_cart("cart a, buy a, cart c", &[("c", 1)]);
    }

    #[test]
    fn recently_viewed_holds_each_item_once_newest_first() {
        let profile = folded(&events("view a, view b, view a, search tea, view c"));
        let items: Vec<&str> = profile.memory.viewed.iter().map(|s| s.item.as_str()).collect();
        assert_eq!(items, ["c", "a", "b"]);
        assert_eq!(&*profile.memory.searches[0].term, "tea");
    }

    #[test]
    fn nothing_is_remembered_without_personalization() {
        let mut list = events("view a, cart b, search x");
        for event in &mut list {
            event.consent.purposes = Purposes { analytics: true, ..Purposes::NONE };
        }
        assert_eq!(folded(&list).memory, Memory::default());
    }

    #[test]
    fn affinity_decays_when_it_is_read() {
        let profile = folded(&events("view a, view bb, view bb, banner spring, banner spring"));
        let now = Timestamp(0);
        let affinities = view::affinities(&profile.memory.categories, now);
        assert_eq!(affinities[0].0, "category 2");
        let later = view::affinities(&profile.memory.categories, Timestamp(30 * time::DAY));
        assert!(later[0].1 < affinities[0].1);
        assert_eq!(view::impressions(&profile.memory, "spring", now, 7), 2);
        assert_eq!(view::impressions(&profile.memory, "spring", Timestamp(8 * time::DAY), 7), 0);
    }

    fn scripts() -> impl Strategy<Value = Vec<Event>> {
        let step = (prop::sample::select(vec!["view", "cart", "uncart", "buy", "search", "banner"]), 0u32..40, 1u32..4);
        prop::collection::vec(step, 0..300).prop_map(|steps| {
            let script: Vec<String> = steps.iter().map(|(k, item, n)| format!("{k} i{item} {n}")).collect();
            let mut list = events(&script.join(","));
            for (n, event) in list.iter_mut().enumerate() {
                // Several days, many moments twice.
                let at = Timestamp((n as i64 / 2) * 3 * time::HOUR);
                event.ts = at;
                event.consent.at = (n % 3 == 0).then_some(at);
                event.items[0].categories = vec![format!("c{}", n % 150).into()];
            }
            list
        })
    }

    proptest! {
        #[test]
        fn any_order_gives_the_same_bytes(list in scripts(), seed in any::<u64>()) {
            let mut shuffled = list.clone();
            shuffled.sort_by_key(|e| xxhash_rust::xxh3::xxh3_64_with_seed(e.id.as_str().as_bytes(), seed));
            prop_assert_eq!(folded(&list).encode(), folded(&shuffled).encode());
        }

        #[test]
        fn stored_and_read_back_it_is_the_same(list in scripts()) {
            let profile = folded(&list);
            prop_assert_eq!(Profile::decode(&profile.encode()).unwrap(), profile);
        }

        #[test]
        fn decoding_anything_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Profile::decode(&bytes);
        }
    }
}
