use super::*;
use crate::event::time::{DAY, MINUTE};
use crate::event_log::Position;

const NODE: u64 = 7;

fn ledger() -> Ledger {
    Ledger::new(Rules { visitor_cap_per_day: 3, max_group: 60 })
}

fn fact(position: u64, who: u64, what: What, items: &[&str]) -> Fact {
    let items = items.iter().map(|id| ItemId::new(id).unwrap()).collect();
    Fact { node: NODE, position: Position(position), at: Timestamp(DAY), who, trusted: false, what, items }
}

fn buy(position: u64, who: u64, basket: u64, items: &[&str]) -> Fact {
    fact(position, who, What::Buy { basket }, items)
}

fn look(position: u64, who: u64, minutes: i64, item: &str) -> Fact {
    let at = Timestamp(DAY + minutes * MINUTE);
    Fact { at, ..fact(position, who, What::Look { weight: 1.0 }, &[item]) }
}

/// Returns (groups, groups with one, groups with other, groups with both, visitors).
fn table(ledger: &Ledger, relation: Relation, one: &str, other: &str) -> (u32, u32, u32, u32, usize) {
    let counts = ledger.counts(relation);
    let number = |id: &str| ledger.ids().iter().position(|known| known.as_str() == id).map(|n| u32::try_from(n).unwrap());
    let groups = |id| number(id).and_then(|n| counts.of(n)).map_or(0, |tally| tally.groups);
    let pair = |one, other| {
        let tally = number(one).and_then(|n| counts.of(n))?;
        tally.partners.get(&number(other)?).copied()
    };
    assert_eq!(pair(one, other), pair(other, one), "pairs are kept both ways");
    let pair = pair(one, other).unwrap_or_default();
    (counts.groups, groups(one), groups(other), pair.together, pair.visitors())
}

/// Returns all counts, by name.
/// By item: the groups that hold it, and for each partner how many hold both.
type Tallies = BTreeMap<String, (u32, BTreeMap<String, u32>)>;

fn everything(ledger: &Ledger) -> Vec<(Relation, u32, Tallies)> {
    let name = |n: u32| ledger.ids()[n as usize].as_str().to_owned();
    [Relation::Bought, Relation::Viewed]
        .map(|relation| {
            let counts = ledger.counts(relation);
            let items = counts.items().filter(|(_, tally)| tally.groups > 0).map(|(item, tally)| {
                (name(item), (tally.groups, tally.partners.iter().map(|(other, pair)| (name(*other), pair.together)).collect()))
            });
            (relation, counts.groups, items.collect())
        })
        .into()
}

#[test]
fn baskets_are_counted_once() {
    let mut ledger = ledger();
    for (position, who) in [(1, 11), (2, 12), (3, 13)] {
        ledger.take(&buy(position, who, 100 + who, &["tea", "mug", "tea"]));
    }
    ledger.take(&buy(3, 13, 113, &["tea", "mug"]));
    ledger.take(&buy(4, 13, 113, &["mug"]));
    assert_eq!(table(&ledger, Relation::Bought, "tea", "mug"), (3, 3, 3, 3, 3));
    assert_eq!(table(&ledger, Relation::Viewed, "tea", "mug"), (0, 0, 0, 0, 0));
}

#[test]
fn one_visitor_is_one_visitor_and_teaches_no_more_than_the_cap() {
    let mut ledger = ledger();
    for n in 1..=50 {
        ledger.take(&buy(n, 11, n, &["tea", "mug"]));
    }
    assert_eq!(table(&ledger, Relation::Bought, "tea", "mug"), (3, 3, 3, 3, 1));
    assert_eq!(ledger.take_left_out(), LeftOut { capped: 94, no_room: 0 });
    for n in 51..=100 {
        ledger.take(&Fact { trusted: true, ..buy(n, 11, n, &["tea", "pot"]) });
    }
    assert_eq!(table(&ledger, Relation::Bought, "tea", "pot").3, 50, "the server's word has no cap,");
    assert_eq!(table(&ledger, Relation::Bought, "tea", "pot").4, 1, "but it is one visitor all the same");
}

#[test]
fn the_server_overrules_the_browser_in_either_order() {
    let mut ledger = ledger();
    ledger.take(&buy(1, 11, 100, &["tea", "mug"]));
    ledger.take(&Fact { trusted: true, ..buy(2, 11, 100, &["tea", "pot"]) });
    ledger.take(&buy(3, 11, 100, &["tea", "spoon"]));
    assert_eq!(table(&ledger, Relation::Bought, "tea", "mug"), (1, 1, 0, 0, 0));
    assert_eq!(table(&ledger, Relation::Bought, "tea", "pot"), (1, 1, 1, 1, 1));
    assert_eq!(table(&ledger, Relation::Bought, "tea", "spoon"), (1, 1, 0, 0, 0));
}

#[test]
fn silence_ends_a_visit() {
    let mut ledger = ledger();
    for (position, minutes, item) in [(1, 0, "tea"), (2, 29, "mug"), (3, 58, "pot"), (4, 89, "kite")] {
        ledger.take(&look(position, 11, minutes, item));
    }
    assert_eq!(table(&ledger, Relation::Viewed, "tea", "pot"), (2, 1, 1, 1, 1));
    assert_eq!(table(&ledger, Relation::Viewed, "pot", "kite"), (2, 1, 1, 0, 0));
}

#[test]
fn a_build_takes_over_what_it_knows_and_gives_it_back() {
    let mut ledger = ledger();
    for n in 1..=6 {
        ledger.take(&buy(10 * n, n, n, &["tea", "mug"]));
    }
    ledger.take(&Fact { node: 8, ..buy(5, 9, 99, &["tea", "mug"]) });
    let all = everything(&ledger);
    assert_eq!(table(&ledger, Relation::Bought, "tea", "mug"), (7, 7, 7, 7, 5), "five visitors are as good as more");
    ledger.rebase(BTreeMap::from([(NODE, 40)]));
    assert_eq!(table(&ledger, Relation::Bought, "tea", "mug").3, 3, "two of this node, and another node's");
    ledger.rebase(BTreeMap::from([(NODE, 60), (8, 5)]));
    assert_eq!(table(&ledger, Relation::Bought, "tea", "mug"), (0, 0, 0, 0, 2));
    assert_eq!(ledger.counts(Relation::Bought).recent, 2, "the build before did not know these");
    assert_eq!(ledger.fresh_entries().count(), 0);
    ledger.rebase(BTreeMap::new());
    assert_eq!(everything(&ledger), all);
}

#[test]
fn what_the_build_knows_the_beginning_of_goes_on() {
    let mut ledger = ledger();
    ledger.rebase(BTreeMap::from([(NODE, 2)]));
    // The build has seen the browser's order, and the first page of a visit.
    ledger.take(&buy(1, 11, 100, &["tea", "mug"]));
    ledger.take(&look(2, 12, 0, "tea"));
    ledger.take(&Fact { trusted: true, ..buy(3, 11, 100, &["tea", "mug"]) });
    ledger.take(&look(4, 12, 5, "mug"));
    assert_eq!(table(&ledger, Relation::Bought, "tea", "mug"), (0, 0, 0, 0, 0));
    assert_eq!(table(&ledger, Relation::Viewed, "tea", "mug"), (0, 0, 1, 1, 1), "no new visit and no new view of tea");
}

#[test]
fn room_is_made_by_giving_up_the_oldest() {
    let mut ledger = Ledger::new(Rules { visitor_cap_per_day: 3, max_group: 2 });
    let n = MAX_ENTRIES as u64 / 2 + 10;
    for position in 1..=n {
        ledger.take(&buy(position, position, position, &["tea", "mug"]));
    }
    let kept = u32::try_from(MAX_ENTRIES / 2).unwrap();
    assert_eq!(table(&ledger, Relation::Bought, "tea", "mug"), (kept, kept, kept, kept, 5));
    assert_eq!(ledger.complete_from(NODE), 10);
    assert_eq!(ledger.take_left_out().no_room, 20);
}

#[test]
fn counting_in_steps_is_counting_at_once() {
    // Facts from a small generator: taken one by one, or counted anew as a whole, they come to the same.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut ledger = ledger();
    let mut learnt = BTreeMap::new();
    for position in 1..=3_000 {
        let item = names[usize::try_from(next(8)).unwrap()];
        let mut fact = match next(2) {
            0 => look(position, next(20), i64::try_from(next(200)).unwrap(), item),
            _ => buy(position, next(20), next(400), &[item, names[usize::try_from(next(8)).unwrap()]]),
        };
        fact.trusted = next(3) > 0;
        fact.node = next(2);
        ledger.take(&fact);
        if position % 700 == 0 {
            learnt.insert(next(2), position - 350);
            ledger.rebase(learnt.clone());
        }
        if position % 100 == 0 {
            let stepwise = everything(&ledger);
            ledger.rebase(learnt.clone());
            assert_eq!(stepwise, everything(&ledger), "after {position}");
        }
    }
    assert!(everything(&ledger).iter().all(|(_, _, items)| items.len() == names.len()), "a test of next to nothing");
}
