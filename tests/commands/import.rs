//! `rapport import`: real files to the last row, and files with mistakes.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::run;
use crate::support::server::{Server, shared_data};

/// What an online shop writes on invoices and nobody can buy.
const NO_PRODUCTS: &[&str] = &["POST", "DOT", "M", "D", "C2", "BANK CHARGES", "AMAZONFEE", "S", "B", "PADS", "CRUK"];

fn import(server: &Server, format: &str, file: &Path) -> Value {
    serde_json::from_str(&server.run(&["import", "--format", format, "--json", file.to_str().unwrap()])).unwrap()
}

/// Returns the items a placement shows, after checking that each can be bought.
#[track_caller]
fn shown(server: &Server, secret: &str, placement: &str, more: &str) -> Vec<String> {
    let path = format!("/v1/recommendations/{placement}?{more}");
    let answer = server.send("GET", &path, &[("Authorization", &format!("Bearer {secret}"))], b"");
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let items: Vec<String> =
        answer.json()["items"].as_array().unwrap().iter().map(|i| i["item_id"].as_str().unwrap().to_owned()).collect();
    for item in &items {
        let is_no_product = NO_PRODUCTS.contains(&item.to_uppercase().as_str()) || item.to_lowercase().starts_with("gift_");
        assert!(!is_no_product, "{path} shows {item}");
    }
    items
}

#[test]
fn three_hours_of_clicks() {
    let Some(file) = shared_data("rees46_oct2019_sample/events.csv.gz") else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("var");
    let file = file.to_str().unwrap();
    let report = run(&data, &["import", "--format", "rees46", "--json", file]).json();
    assert_eq!((&report["rows_read"], &report["accepted"]), (&json!(17_434), &json!(17_434)), "{report}");
    assert_eq!(report["by_type"], json!({"view_item": 17_055, "add_to_cart": 165, "purchase": 214}));
    assert_eq!(report["rejected"], json!({}));
    assert!(report["seconds"].as_f64().unwrap() > 0.0 && !report["advice"].as_array().unwrap().is_empty(), "{report}");

    let export = run(&data, &["export", "--events"]).out;
    assert_eq!(export.lines().count(), 17_434);
    let again = run(&data, &["import", "--format", "rees46", "--json", file]).json();
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(17_434)), "{again}");
    assert_eq!(again["by_type"], json!({}));
    assert!(run(&data, &["export", "--events"]).out == export, "importing twice changed the log");
}

#[test]
fn a_year_of_invoices_beside_a_running_server() {
    let Some(file) = shared_data("uci_online_retail/online_retail.csv.gz") else { return };
    let server = Server::start_with(&[("RAPPORT_BUILD__EXAMPLES", "0")]);
    let secret = server.key("secret", &[]);
    let report = import(&server, "online-retail", &file);
    assert_eq!(report["rows_read"], 541_909);
    assert_eq!(report["rejected"], json!({"stock_adjustment": 1_336, "non_positive_price": 1_181}));
    assert_eq!(report["accepted"], 541_909 - 1_336 - 1_181);
    assert_eq!(report["by_type"], json!({"purchase": 19_960, "refund": 3_836}));
    assert!(report["advice"].as_array().unwrap().iter().any(|a| a.as_str().unwrap().contains("AMAZONFEE")), "{report}");

    // What is imported is there at once: the catalog, and what customers bought.
    assert_eq!(shown(&server, &secret, "trending", "count=100").len(), 100);
    assert!(!shown(&server, &secret, "buy-again", "visitor_id=c-17850&count=100").is_empty());

    let export = server.run(&["export", "--events"]);
    assert_eq!(export.lines().count(), 19_960 + 3_836);
    let again = import(&server, "online-retail", &file);
    assert_eq!(
        (&again["accepted"], &again["duplicates"], &again["rejected"]),
        (&json!(0), &report["accepted"], &report["rejected"])
    );
    assert!(server.run(&["export", "--events"]) == export, "importing twice changed the log");

    let built: Value = serde_json::from_str(&server.run(&["build", "--json"])).unwrap();
    assert_eq!(built["activated"], true, "{built}");
    known_pairs(&server, &secret);
    things_of_a_kind(&server, &secret);
    nobody_is_sent_postage(&server, &secret, &export);
    assert_eq!(server.metric("rapport_unavailable_shown_total"), 0.0);
}

/// The pairs of this shop that everybody finds.
fn known_pairs(server: &Server, secret: &str) {
    let first = |item: &str, n: usize| shown(server, secret, "also-bought", &format!("item_id={item}&count={n}"));
    assert!(first("22386", 3).contains(&"85099B".to_owned()), "{:?}", first("22386", 3));
    for (one, other) in [("22697", "22699"), ("22726", "22727")] {
        assert!(first(one, 3).contains(&other.to_owned()), "{one}: {:?}", first(one, 3));
        assert!(first(other, 3).contains(&one.to_owned()), "{other}: {:?}", first(other, 3));
    }
}

/// What this shop calls by the same name is similar: its file has titles and nothing else to go by.
fn things_of_a_kind(server: &Server, secret: &str) {
    for (item, name) in [("22386", "JUMBO BAG"), ("20727", "LUNCH BAG"), ("22726", "ALARM CLOCK"), ("47566", "BUNTING")] {
        let authorization = format!("Bearer {secret}");
        let path = format!("/v1/recommendations/similar?item_id={item}&count=5");
        let answer = server.send("GET", &path, &[("Authorization", &authorization)], b"").json();
        let titles: Vec<&str> = answer["items"].as_array().unwrap().iter().filter_map(|i| i["title"].as_str()).collect();
        let alike = titles.iter().filter(|title| title.contains(name)).count();
        assert!(answer["served_by"] == "similar" && alike >= 3, "{item}, a {name}: {titles:?}");
    }
}

/// Asks about many items, in every placement, for as much as there is.
fn nobody_is_sent_postage(server: &Server, secret: &str, export: &str) {
    let mut items = BTreeSet::new();
    for line in export.lines().step_by(50) {
        let event: Value = serde_json::from_str(line).unwrap();
        items.extend(event["items"].as_array().unwrap().iter().map(|i| i["item_id"].as_str().unwrap().to_owned()));
        if items.len() > 1_000 {
            break;
        }
    }
    let step = items.len() / 300;
    let plain = |item: &&String| item.bytes().all(|b| b.is_ascii_alphanumeric());
    for item in items.iter().filter(plain).step_by(step.max(1)).take(300) {
        shown(server, secret, "also-bought", &format!("item_id={item}&count=100"));
    }
    for item in ["POST", "M", "DOT", "BANK%20CHARGES", "never-sold", "85123A"] {
        for placement in ["also-bought", "also-viewed", "bought-together", "similar"] {
            let items = shown(server, secret, placement, &format!("item_id={item}&count=100"));
            assert_eq!(items.len(), 100, "{placement} of {item}");
        }
    }
    for more in ["count=100", "visitor_id=c-17850&count=100", "visitor_id=nobody&count=100"] {
        for placement in ["trending", "for-you", "recently-viewed", "buy-again"] {
            shown(server, secret, placement, more);
        }
    }
}

#[test]
fn catalogs_in_csv_and_json() {
    let server = Server::start();
    let secret = server.key("secret", &[]);
    let dir = tempfile::tempdir().unwrap();
    let feed = dir.path().join("feed.csv");
    std::fs::write(
        &feed,
        "id,title,price,sale_price,availability,link,image_link,brand,product_type\n\
         tea,Green tea,12.50 EUR,9.99 EUR,in_stock,https://shop.example/tea,https://shop.example/tea.jpg,Leaf,Drinks > Tea\n\
         mug,\"Mug, blue\",5.00 EUR,,out_of_stock,https://shop.example/mug,,,Kitchen\n\
         pot,Pot,free,,in_stock,,,,\n",
    )
    .unwrap();
    let report = import(&server, "catalog-csv", &feed);
    assert_eq!(
        (&report["rows_read"], &report["accepted"], &report["rejected"]),
        (&json!(3), &json!(2), &json!({"invalid_price": 1}))
    );
    assert_eq!(report["by_type"], json!({"item": 2}));
    let example = &report["examples"]["invalid_price"][0];
    assert_eq!((&example["file"], &example["line"]), (&json!(feed.to_str().unwrap()), &json!(4)), "{report}");
    assert!(example["detail"].as_str().unwrap().contains("`price`"), "{report}");
    let item =
        |id: &str| server.send("GET", &format!("/v1/catalog/items/{id}"), &[("Authorization", &format!("Bearer {secret}"))], b"");
    assert_eq!(item("tea").json()["title"], "Green tea");
    assert_eq!(item("mug").json()["title"], "Mug, blue");
    assert_eq!(item("pot").status, 404);
    // What is sold out is not shown, from the first answer on.
    assert_eq!(shown(&server, &secret, "trending", "count=10"), ["tea"]);

    let lines = dir.path().join("items.jsonl");
    let content = [
        json!({"item_id": "mug", "title": "Mug", "availability": "in_stock", "price": 5, "currency": "EUR"}).to_string(),
        json!({"item_id": "tea", "title": "Tea", "price": "cheap"}).to_string(),
        "{\"item_id\":".to_owned(),
        json!({"title": "Nameless"}).to_string(),
    ];
    std::fs::write(&lines, content.join("\n")).unwrap();
    let report = import(&server, "catalog-jsonl", &lines);
    assert_eq!((&report["rows_read"], &report["accepted"]), (&json!(4), &json!(1)), "{report}");
    let rejected: u64 = report["rejected"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(rejected, 3, "{report}");
    let details: Vec<(u64, String)> = (report["examples"].as_object().unwrap().values().flat_map(|e| e.as_array().unwrap()))
        .map(|e| (e["line"].as_u64().unwrap(), e["detail"].as_str().unwrap().to_owned()))
        .collect();
    for (line, word) in [(2, "`price`"), (3, "JSON"), (4, "`item_id`")] {
        assert!(details.iter().any(|(l, d)| *l == line && d.contains(word)), "line {line}, {word}: {details:?}");
    }
    assert_eq!(shown(&server, &secret, "trending", "count=10").into_iter().collect::<BTreeSet<_>>().len(), 2);
}

#[test]
fn mistakes_name_file_line_and_field() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("var");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let head = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n";
    let good = "2019-10-01 00:00:00 UTC,view,1,2,,b,1.50,u1,s1\n";
    let rows = file(
        "rows.csv",
        &format!(
            "{head}{good}yesterday,view,1,2,,b,1.50,u1,s1\n2019-10-01 00:00:01 UTC,view,,2,,b,1.50,u1,s1\n2019-10-01 00:00:02 UTC,view,1,2,,b,dear,u1,s1\n"
        ),
    );
    let ran = run(&data, &["import", "--format", "rees46", &rows]);
    assert_eq!(ran.code, Some(0), "what can be read is read: {ran:?}");
    for (line, field) in [(3, "event_time"), (4, "product_id"), (5, "price")] {
        let place = format!("{rows}:{line}: ");
        let found = ran.out.lines().find(|l| l.contains(&place)).unwrap_or_else(|| panic!("{place} is not named:\n{}", ran.out));
        assert!(found.contains(field), "{found}");
    }

    // A file that cannot be read at all is a failure, and says which file and why.
    for (name, text, format, words) in [
        ("columns.csv", "a,b\n1,2\n", "rees46", &["`event_time`"][..]),
        (
            "other.csv",
            "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n",
            "rees46",
            &["online-retail"],
        ),
        ("broken.csv.gz", "this is not gzip", "rees46", &["gz"]),
    ] {
        let path = file(name, text);
        let ran = run(&data, &["import", "--format", format, "--json", &path]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{name}: {ran:?}");
        assert!(ran.err.contains(&path), "{name}: {}", ran.err);
        for word in words {
            assert!(ran.err.contains(word), "{name} should name {word}: {}", ran.err);
        }
    }
    let ran = run(&data, &["import", "--format", "rees46", "/nowhere.csv"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("/nowhere.csv"), "{}", ran.err);
    // What is no value of an option is a mistake in usage.
    for option in
        [&["--consent", "everything"][..], &["--currency", "Euro"], &["--timezone", "Mars/Base"], &["--site", "no site"]]
    {
        let ran = run(&data, &[&["import", "--format", "rees46", &rows], option].concat());
        assert_eq!(ran.code, Some(2), "{option:?}: {ran:?}");
        assert!(ran.err.contains(option[1]), "{option:?}: {}", ran.err);
    }
}

#[test]
fn sessions_teach_what_goes_together() {
    let server = Server::start();
    let secret = server.key("secret", &[]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sessions.txt");
    let mut text = "tea mug pot\n".repeat(30);
    text.push_str(&"kite rope\n".repeat(30));
    std::fs::write(&file, text).unwrap();
    let report = import(&server, "sessions", &file);
    assert_eq!((&report["rows_read"], &report["by_type"]), (&json!(60), &json!({"view_item": 150})), "{report}");
    let built: Value = serde_json::from_str(&server.run(&["build", "--json"])).unwrap();
    assert_eq!(built["activated"], true, "{built}");
    let viewed = shown(&server, &secret, "also-viewed", "item_id=kite&count=1");
    assert_eq!(viewed, ["rope"]);
    let both: BTreeSet<String> = shown(&server, &secret, "also-viewed", "item_id=tea&count=2").into_iter().collect();
    assert_eq!(both, BTreeSet::from(["mug".to_owned(), "pot".to_owned()]));
}
