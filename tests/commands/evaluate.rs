//! `rapport evaluate` on published sessions, whose figures are known.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Ran, run};
use crate::support::server::shared_data;

const FIELDS: &[&str] = &[
    "strategy",
    "k",
    "hit_rate",
    "recall",
    "mrr",
    "ndcg",
    "coverage",
    "popularity_bias",
    "novelty",
    "prefixes",
    "us_per_query_p50",
    "us_per_query_p99",
    "train_seconds",
    "peak_rss_mb",
];

#[test]
fn diginetica_gives_the_known_figures() {
    let (Some(train), Some(test)) =
        (shared_data("diginetica_gnn/train_sessions.txt.gz"), shared_data("diginetica_gnn/test_sessions.txt.gz"))
    else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("var");
    let evaluate = |strategy: &str| -> Value {
        let files = ["--train", train.to_str().unwrap(), "--test", test.to_str().unwrap()];
        run(&data, &[&["evaluate", "--format", "sessions", "--strategy", strategy, "--k", "20", "--json"], &files[..]].concat())
            .json()
    };
    let popularity = evaluate("popularity");
    let names: BTreeSet<&str> = popularity.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, FIELDS.iter().copied().collect());
    assert_eq!((popularity["prefixes"].as_u64(), popularity["k"].as_u64()), (Some(60_858), Some(20)));
    let near = |value: &Value, expected: f64| (value.as_f64().unwrap() - expected).abs() < 0.000_05;
    assert!(near(&popularity["hit_rate"], 0.0093), "{popularity}");
    assert!(near(&popularity["mrr"], 0.0021), "{popularity}");

    let next = evaluate("co_visitation");
    assert!(next["hit_rate"].as_f64().unwrap() > 0.49, "{next}");
    assert!(next["mrr"].as_f64().unwrap() > 0.16, "{next}");
    let hits = |figures: &Value| figures["hit_rate"].as_f64().unwrap();
    let neighbors = evaluate("session_knn");
    assert!(hits(&neighbors) > 0.52 && neighbors["mrr"].as_f64().unwrap() > 0.18, "{neighbors}");
    // The learned order takes minutes to learn; what it orders is better than any of its parts already.
    let blend = evaluate("blend");
    assert!(hits(&blend) > 0.53 && hits(&blend) > hits(&neighbors), "{blend}");
    assert!(!data.exists(), "evaluating makes no data directory");
}

#[test]
fn small_cases_are_worked_out_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    // Of the training events a has 4, b 3, c 1; the test asks for b, then for z, which is not in training.
    let (train, test) = (file("train", "a b\na b a\nb a c\n"), file("test", "a b z\n"));
    let evaluate = |more: &[&str]| -> Ran {
        run(&dir.path().join("var"), &[&["evaluate", "--train", &train, "--test", &test, "--json"], more].concat())
    };
    let figures = evaluate(&["--strategy", "popularity", "--k", "2"]).json();
    assert_eq!(
        (&figures["prefixes"], &figures["hit_rate"], &figures["mrr"]),
        (&2.into(), &0.5.into(), &0.25.into()),
        "{figures}"
    );
    let figures = evaluate(&["--strategy", "popularity", "--k", "1"]).json();
    assert_eq!(figures["hit_rate"], 0.0, "{figures}");

    let ran = evaluate(&["--strategy", "magic"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("magic") && ran.err.contains("co_visitation"), "it names those there are: {}", ran.err);
    let ran = run(dir.path(), &["evaluate", "--train", "/nowhere/train", "--test", &test]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("/nowhere/train"), "{}", ran.err);
}

#[test]
fn invoices_are_cut_and_every_strategy_is_judged() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n".to_owned();
    let mut line = |invoice: &str, item: &str, quantity: i32, date: &str, customer: &str| {
        text.push_str(&format!("{invoice},{item},THING {item},{quantity},{date} 10:00:00,1.5,{customer},United Kingdom\n"));
    };
    for (invoice, customer) in [("1", "100"), ("2", "200")] {
        line(invoice, "10001", 1, "2011-01-01", customer);
        line(invoice, "10002", 1, "2011-01-01", customer);
        line(invoice, "POST", 1, "2011-01-01", customer);
    }
    line("3", "10003", 1, "2011-01-02", "");
    line("4", "10001", 1, "2011-03-01", "100");
    line("4", "10003", 1, "2011-03-01", "100");
    line("C5", "10002", -1, "2011-03-01", "100");
    line("6", "10001", 1, "2011-03-01", "300");
    let file = dir.path().join("invoices.csv");
    std::fs::write(&file, text).unwrap();
    let split = dir.path().join("split");
    let data = ["evaluate", "--format", "online-retail", "--data", file.to_str().unwrap()];
    let figures = run(dir.path(), &[&data[..], &["--json", "--write-split", split.to_str().unwrap()]].concat()).json();
    assert_eq!((&figures["test_days"], &figures["k"]), (&30.into(), &20.into()));
    assert_eq!((&figures["train_orders"], &figures["cases"], &figures["mean_basket"]), (&2.into(), &1.into(), &2.0.into()));
    let reports = figures["strategies"].as_array().unwrap();
    let of = |question: &str, strategy: &str| {
        reports.iter().find(|r| r["question"] == question && r["strategy"] == strategy).unwrap_or_else(|| panic!("{figures}"))
    };
    // 10001 was bought before and is bought again; nobody known had ever bought 10003.
    let habit = of("for_you", "personal");
    assert_eq!((&habit["recall"], &habit["recall_capped"]), (&0.5.into(), &0.5.into()), "{habit}");
    assert_eq!(of("for_you_new", "default")["recall"], 0.0);
    assert_eq!(of("bought_together", "llr")["cases"], 2);
    let written = std::fs::read_to_string(split.join("test.csv")).unwrap();
    assert_eq!(written, "customer,item\n100,10001\n100,10003\n");

    let ran = run(dir.path(), &[&data[..], &["--strategy", "magic"]].concat());
    assert!(ran.code == Some(1) && ran.err.contains("buy_again"), "{}", ran.err);
    let ran = run(dir.path(), &["evaluate", "--format", "online-retail"]);
    assert!(ran.code != Some(0) && ran.err.contains("--data"), "{}", ran.err);
}
