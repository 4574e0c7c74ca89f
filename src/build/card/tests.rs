use std::collections::BTreeMap;

use rapport_models::artifact::Window;
use serde_json::json;

use super::*;
use crate::build::groups::{Group, Interest};
use crate::event::time::DAY;
use crate::event::{ItemId, Timestamp};

/// A site and an item that would like to be markup.
const NASTY: &str = "<script>alert('1')</script>|*b*\n# x";

fn manifest() -> Manifest {
    Manifest {
        site: NASTY.to_owned(),
        rapport_version: "0.1.0".to_owned(),
        created_at: 3 * DAY,
        window: Window { from: 0, to: 2 * DAY },
        counts: BTreeMap::from([("events_repeated".to_owned(), 7)]),
        parameters: BTreeMap::from([
            ("next.importance".to_owned(), json!({"age": 0.25, "like_sessions": 0.75, "unused": 0.0})),
            ("next.weights".to_owned(), json!({"popularity": -0.5})),
            ("next".to_owned(), json!({"share": 0.1_f32})),
        ]),
        evaluation: BTreeMap::from([("next_item_hit_rate_20".to_owned(), 0.5), ("next_item_cases".to_owned(), 40.0)]),
        ..Manifest::default()
    }
}

fn learned() -> Learned {
    let interest = |item, day| Interest { item, at: Timestamp(day * DAY), weight: 1.0 };
    Learned {
        items: vec![ItemId::new(&NASTY.replace('\n', " ")).unwrap(), ItemId::new("mug").unwrap()],
        interest: vec![interest(0, 0), interest(0, 0), interest(0, 2), interest(1, 2)],
        sessions: vec![Group { visitor: 0, at: Timestamp(0), items: vec![0, 0, 1], prices: Vec::new() }],
        ..Learned::default()
    }
}

fn rendered(active: Option<(&BuildId, &Manifest)>, gate: Option<&str>) -> (String, String) {
    let (manifest, learned) = (manifest(), learned());
    let subject = Subject { manifest: &manifest, active, gate, learned: &learned };
    let (title, blocks) = (content::title(&subject), content::of(&subject));
    (markdown::render(&title, &blocks), html::render(&title, &blocks))
}

#[test]
fn what_comes_from_outside_is_text() {
    assert_eq!(escape::html("<a b='\"&\u{7}"), "&lt;a b=&#39;&quot;&amp; ");
    assert_eq!(escape::markdown("a|b_c\n<i>\\`"), "a\\|b\\_c &lt;i&gt;\\\\\\`");
    let (markdown, html) = rendered(None, None);
    for text in [&markdown, &html] {
        assert!(!text.contains("<script") && text.contains("&lt;script&gt;"), "{text}");
    }
    assert!(!markdown.lines().any(|line| line.starts_with("# x")), "{markdown}");
}

#[test]
fn a_card_says_what_the_build_knows() {
    let (markdown, html) = rendered(None, None);
    for text in [
        "from 1970-01-01 00:00 UTC to 1970-01-03 00:00 UTC",
        "| events repeated | 7 |",
        "| next item hit rate 20 | 40 | 0.5000 |  |  |",
        "no active build to compare",
        "| like sessions | 0.750 |\n| age | 0.250 |\n",
        "| popularity | -0.500 |",
        "| 50 % | 75.0 % |",
        "3 days from 1970-01-01 to 1970-01-03, least 0, median 2, most 2",
        "| 3 to 5 items | 1 |",
        "| next.share | 0.1 |",
        "## Intended use and limits",
    ] {
        assert!(markdown.contains(text), "{text} is missing:\n{markdown}");
    }
    assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
    assert!(html.matches("<svg").count() >= 4 && html.contains("class=\"below\""), "{html}");
    assert!(!html.contains("NaN") && !html.contains("http"), "the page is sound and fetches nothing: {html}");
    assert_eq!((markdown, html), rendered(None, None), "the same build has the same card");
}

#[test]
fn a_card_compares_with_the_active_build() {
    let id = BuildId::parse("2026-01-01T00-00Z-beef").unwrap();
    let before = Manifest { evaluation: BTreeMap::from([("next_item_hit_rate_20".to_owned(), 0.4)]), ..Manifest::default() };
    let (markdown, _) = rendered(Some((&id, &before)), None);
    assert!(markdown.contains("| 0.5000 | 0.4000 | +0.1000 (+25.0 %) |"), "{markdown}");
    assert!(markdown.contains("It passed the gate"), "{markdown}");
    let (markdown, _) = rendered(Some((&id, &before)), Some("too low"));
    assert!(markdown.contains("It did not pass the gate: too low."), "{markdown}");
}
