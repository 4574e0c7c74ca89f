//! Events for tests.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use crate::event::{
    Consent, Currency, CustomerId, Event, EventId, EventKind, ItemId, Line, Purposes, SiteId, Source, Timestamp, UnitPrice,
    VisitorId,
};

/// Returns a plain event; the same for the same `n`.
pub(super) fn sample(n: u64) -> Event {
    let ts = Timestamp(1_700_000_000_000_000 + i64::try_from(n).unwrap() * 1_000_000);
    Event {
        site: SiteId::default_site(),
        id: EventId::new(&format!("e-{n}")).unwrap(),
        kind: EventKind::ViewItem,
        visitor: VisitorId::new(&format!("v-{}", n % 7)).unwrap(),
        customer: None,
        session: Some("s".into()),
        seq: Some(1),
        ts,
        client_ts: None,
        sent_at: None,
        received_at: ts,
        consent: Consent { purposes: Purposes::ALL, at: None },
        source: Source::Browser,
        items: vec![Line { item: ItemId::new("85123A").unwrap(), price: Some(UnitPrice(2_550_000)), ..Line::default() }],
        currency: Currency::parse("GBP"),
        value_minor: None,
        transaction_id: None,
        search_term: None,
        creative_id: None,
        placement: None,
        recommendation_id: None,
        params: None,
    }
}

fn text() -> impl Strategy<Value = Box<str>> {
    prop_oneof!["[a-z]{0,12}", "\\PC{0,20}"].prop_map(Into::into)
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        (1_600_000_000_000_000i64..1_600_000_000_000_000 + 5 * crate::event::time::DAY).prop_map(Timestamp),
        (-60_000_000_000_000_000i64..250_000_000_000_000_000).prop_map(Timestamp),
    ]
}

fn kind() -> impl Strategy<Value = EventKind> {
    prop_oneof![select(EventKind::KNOWN), "[a-z][a-z0-9_]{0,39}".prop_map(|name| EventKind::parse(&name).unwrap())]
}

fn line() -> impl Strategy<Value = Line> {
    (
        "[^\\p{Cc}]{1,20}",
        (of(text()), of(text()), of(text())),
        vec(text(), 0..6),
        (of(any::<i64>()), of(any::<i64>()), of(any::<i64>())),
    )
        .prop_map(|(item, (name, brand, variant), categories, (price, quantity, index))| Line {
            item: ItemId::new(&item).unwrap(),
            name,
            brand,
            categories,
            variant,
            price: price.map(UnitPrice),
            quantity,
            index,
        })
}

/// Any event that a validator could let pass.
pub(super) fn any_event() -> impl Strategy<Value = Event> {
    let who = ("[a-zA-Z0-9_-]{1,3}", "[^\\p{Cc}]{1,20}", "[^\\p{Cc}]{1,20}", of("[^\\p{Cc}]{1,20}"));
    let when = (time(), of(time()), of(time()), time(), of(time()), 0..16u8);
    let what = (kind(), vec(line(), 0..6), of("[A-Z]{3}"), of(any::<i64>()), of(any::<i64>()));
    let source = select(vec![Source::Browser, Source::Server, Source::Import]);
    let texts = (of(text()), of(text()), of(text()), of(text()), of(text()), of(text()), of(text()));
    (who, when, what, source, texts).prop_map(|(who, when, what, source, texts)| {
        let (site, id, visitor, customer) = who;
        let (ts, client_ts, sent_at, received_at, at, bits) = when;
        let (kind, items, currency, value_minor, seq) = what;
        let (session, transaction_id, search_term, creative_id, placement, recommendation_id, params) = texts;
        Event {
            site: SiteId::parse(&site).unwrap(),
            id: EventId::new(&id).unwrap(),
            kind,
            visitor: VisitorId::new(&visitor).unwrap(),
            customer: customer.map(|c| CustomerId::new(&c).unwrap()),
            session,
            seq,
            ts,
            client_ts,
            sent_at,
            received_at,
            consent: Consent { purposes: Purposes::from_bits(bits), at },
            source,
            items,
            currency: currency.and_then(|c| Currency::parse(&c)),
            value_minor,
            transaction_id,
            search_term,
            creative_id,
            placement,
            recommendation_id,
            params,
        }
    })
}
