//! Every format on small files, bad rows included.

use std::io::Write as _;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::catalog::draft::Availability;

/// Writes a file and reads it.
fn read(name: &str, content: &[u8], format: Format, options: &Options) -> Result<Vec<Parsed>, ImportError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    open(&path, format, options)?.collect()
}

fn parse(content: &str, format: Format) -> Vec<Parsed> {
    let options = Options::default();
    let parsed = read("file", content.as_bytes(), format, &options).unwrap();
    let rows: u64 = parsed.iter().map(|p| u64::from(p.rows())).sum();
    assert_eq!(rows, options.progress.rows(), "every row ends in one outcome");
    assert_eq!(options.progress.words().values().sum::<u64>(), rows, "every row has a word, or was unreadable");
    parsed
}

fn drafts(parsed: &[Parsed]) -> Vec<(&Draft, u32, u64)> {
    parsed
        .iter()
        .filter_map(|p| match p {
            Parsed::Event { draft, rows, line } => Some((&**draft, *rows, *line)),
            Parsed::Item { .. } | Parsed::Rejected { .. } => None,
        })
        .collect()
}

fn items(parsed: &[Parsed]) -> Vec<&ItemDraft> {
    parsed
        .iter()
        .filter_map(|p| match p {
            Parsed::Item { draft, .. } => Some(&**draft),
            Parsed::Event { .. } | Parsed::Rejected { .. } => None,
        })
        .collect()
}

fn rejected(parsed: &[Parsed]) -> Vec<(u64, &str)> {
    parsed
        .iter()
        .filter_map(|p| match p {
            Parsed::Rejected { line, reason, .. } => Some((*line, *reason)),
            Parsed::Event { .. } | Parsed::Item { .. } => None,
        })
        .collect()
}

const REES46: &str = "\
event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,s-1
2019-10-01 00:00:01 UTC,cart,17200506,2053,furniture.living_room.sofa,,543.10,519107250,s-2
2019-10-01 00:00:01 UTC,cart,17200506,2053,furniture.living_room.sofa,,543.10,519107250,s-2
2019-10-01 00:00:02 UTC,purchase,1,2053,,,0.00,7,s-2
2019-10-01 00:00:02 UTC,purchase,1,2053,,,5.00,7,s-2
2019-10-01 00:00:02 UTC,remove_from_cart,1,2053,,,5.00,7,
";

#[test]
fn rees46_rows_are_events() {
    let parsed = parse(REES46, Format::Rees46);
    let events = drafts(&parsed);
    let kinds: Vec<&str> = events.iter().map(|(d, ..)| d.kind.as_str()).collect();
    assert_eq!(kinds, ["view_item", "add_to_cart", "add_to_cart", "purchase", "purchase", "remove_from_cart"]);
    let (first, rows, line) = events[0];
    assert_eq!((rows, line), (1, 2));
    assert_eq!(first.visitor_id.as_deref(), Some("541312140"));
    assert_eq!(first.session_id.as_deref(), Some("s-1"));
    assert_eq!(first.time.ts, Timestamp::parse("2019-10-01T00:00:00Z"));
    assert_eq!(first.items[0].brand.as_deref(), Some("shiseido"));
    assert_eq!((first.items[0].price, first.currency.as_deref()), (Some(35.79), Some("USD")));
    assert_eq!(first.params["category_id"], "2103807459595387724");
    assert_eq!(events[1].0.items[0].categories, ["furniture", "living_room", "sofa"]);
    assert_eq!((events[3].0.value, events[3].0.currency.as_deref()), (None, None), "0 is no price");
    assert_eq!((events[4].0.value, events[4].0.items[0].quantity), (Some(5.0), Some(1)));
    assert_eq!(events[4].0.transaction_id, None);
    assert_eq!(events[5].0.session_id, None);
    assert_ne!(events[1].0.id, events[2].0.id, "exact duplicates have ids of their own");
    assert_eq!(parsed, parse(REES46, Format::Rees46), "and the same in every run");
}

#[test]
fn rees46_bad_rows_are_named_with_their_line() {
    let bad = "\
event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
2019-10-01 00:00:00 UTC,look,1,,,,1,1,s

yesterday,view,1,,,,1,1,s
2019-10-01 00:00:00 UTC,view,,,,,1,1,s
2019-10-01 00:00:00 UTC,view,1,,,,cheap,1,s
2019-10-01 00:00:00 UTC,view,1,,,,-1,1,s
2019-10-01 00:00:00 UTC,purchase,1,,,,1,,s
2019-10-01 00:00:00 UTC,view,1,,,\"two
lines\",1,1,s
2019-10-01 00:00:00 UTC,view,1,,,,1,1,s,extra
2019-10-01 00:00:00 UTC,view,1,,,,1,1,s";
    let options = Options::default();
    let parsed = read("f.csv", bad.as_bytes(), Format::Rees46, &options).unwrap();
    let expected = [
        (2, "invalid_type"),
        (4, "invalid_time"),
        (5, "missing_item_id"),
        (6, "invalid_price"),
        (7, "invalid_price"),
        (8, "missing_visitor"),
        (11, "wrong_column_count"),
    ];
    assert_eq!(rejected(&parsed), expected);
    let lines: Vec<u64> = drafts(&parsed).iter().map(|(_, _, line)| *line).collect();
    assert_eq!(lines, [9, 12]);
    assert_eq!(options.progress.rows(), 9);
    // The same with a byte order mark, the line ends of Windows, and packed in two gzip members.
    let dos = format!("\u{feff}{}", bad.replace('\n', "\r\n"));
    let mut packed = Vec::new();
    for half in [&dos.as_bytes()[..200], &dos.as_bytes()[200..]] {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(half).unwrap();
        packed.extend(gzip.finish().unwrap());
    }
    for (name, content) in [("f.csv", dos.as_bytes()), ("f.csv.gz", &packed)] {
        let options = Options::default();
        let again = read(name, content, Format::Rees46, &options).unwrap();
        assert_eq!(again, parsed, "{name}");
        assert_eq!(options.progress.bytes(), options.progress.total_bytes(), "{name}");
    }
}

#[test]
fn a_row_that_is_not_utf8_is_one_bad_row() {
    let mut content = REES46.as_bytes().to_vec();
    content.extend(b"2019-10-01 00:00:02 UTC,view,1,2053,,caf\xe9,5.00,7,s\n");
    content.extend(b"2019-10-01 00:00:02 UTC,view,1,2053,,cafe,5.00,7,s\n");
    let parsed = read("f.csv", &content, Format::Rees46, &Options::default()).unwrap();
    assert_eq!(rejected(&parsed), [(8, "invalid_utf8")]);
    assert_eq!(drafts(&parsed).len(), 7);
}

#[test]
fn an_open_quote_is_found() {
    let text = format!("{REES46}2019-10-01 00:00:02 UTC,view,1,2053,,\"open,5.00,7,s\n{}", "a,b\n".repeat(3));
    let parsed = read("f.csv", text.as_bytes(), Format::Rees46, &Options::default()).unwrap();
    assert_eq!(rejected(&parsed), [(8, "unclosed_quote")]);
    let endless = format!("{REES46}2019-10-01 00:00:02 UTC,view,1,2053,,\"open,5.00,7,s\n{}", "a,b\n".repeat(5_000_000));
    let error = read("f.csv", endless.as_bytes(), Format::Rees46, &Options::default()).unwrap_err();
    assert!(matches!(error, ImportError::RowTooLong { line: 8, .. }), "{error}");
}

#[test]
fn retailrocket_transactions_are_purchases_of_several_lines() {
    let text = "\
timestamp,visitorid,event,itemid,transactionid
1433221332117,257597,view,355908,
1433221332118,257597,addtocart,355908,
1433222276276,599528,transaction,356475,4000
1433221337106,552148,view,102019,
1433222276277,599528,transaction,15335,4000
x,1,view,2,
1433222276277,599528,transaction,,4001
1433222276277,599528,transaction,9,
";
    let parsed = parse(text, Format::Retailrocket);
    assert_eq!(rejected(&parsed), [(7, "invalid_time"), (8, "missing_item_id")]);
    let events = drafts(&parsed);
    assert_eq!(events.len(), 5);
    let (order, rows, line) = *events.last().unwrap();
    assert_eq!((order.kind.as_str(), rows, line), ("purchase", 2, 4));
    assert_eq!(order.transaction_id.as_deref(), Some("4000"));
    assert_eq!(order.visitor_id.as_deref(), Some("599528"));
    assert_eq!(order.time.ts, Timestamp::from_millis(1_433_222_276_276));
    assert_eq!(order.value, None);
    let bought: Vec<&str> = order.items.iter().map(|i| i.item_id.as_str()).collect();
    assert_eq!(bought, ["356475", "15335"]);
    assert_eq!(events[3].0.transaction_id, None);
}

const INVOICES: &str = "\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,\"WHITE HEART, HANGING\",6,2011-07-01 08:26:00,2.55,17850,United Kingdom
536365,POST,POSTAGE,1,2011-07-01 08:27:00,0.1,17850,United Kingdom
536366,71053,LANTERN,-3,2011-07-01 08:28:00,3.39,,United Kingdom
536367,71053,LANTERN,3,2011-07-01 08:28:00,0,,United Kingdom
536368,71053,LANTERN,3,2011-07-01 08:28:00,-5,,United Kingdom
536365,22386,BAG,2,2011-07-01 08:28:00,1,17850,United Kingdom
C536379,D,Discount,-1,2011-07-01 09:41:00,27.5,14527,United Kingdom
536370,22728,CLOCK,24,2011-07-01 08:45:00,3.75,,France
536370,,CLOCK,24,2011-07-01 08:45:00,3.75,,France
536370,22727,,24,2011-07-01 08:45:00,3.75,,France
536370,22727,X,many,2011-07-01 08:45:00,3.75,,France
536370,22727,X,1,soon,3.75,,France
,22727,X,1,2011-07-01 08:45:00,3.75,,France
";

#[test]
fn invoices_are_put_together() {
    let parsed = parse(INVOICES, Format::OnlineRetail);
    let expected = [
        (4, "stock_adjustment"),
        (5, "non_positive_price"),
        (6, "non_positive_price"),
        (10, "missing_item_id"),
        (11, "missing_description"),
        (12, "invalid_quantity"),
        (13, "invalid_time"),
        (14, "missing_invoice"),
    ];
    assert_eq!(rejected(&parsed), expected);
    let events = drafts(&parsed);
    assert_eq!(events.len(), 3);
    let (order, rows, line) = events[0];
    assert_eq!((order.kind.as_str(), rows, line), ("purchase", 3, 2));
    assert_eq!(order.transaction_id.as_deref(), Some("536365"));
    assert_eq!((order.visitor_id.as_deref(), order.customer_id.as_deref()), (Some("c-17850"), Some("17850")));
    assert_eq!(order.time.ts, Timestamp::parse("2011-07-01T07:26:00Z"), "London's summer time, of the first line");
    assert_eq!((order.value, order.currency.as_deref()), (Some(17.4), Some("GBP")));
    assert_eq!(order.items[0].name.as_deref(), Some("WHITE HEART, HANGING"));
    assert_eq!(order.params["country"], "United Kingdom");
    let (refund, ..) = events[1];
    assert_eq!((refund.kind.as_str(), refund.value, refund.items[0].quantity), ("refund", Some(27.5), Some(1)));
    assert_eq!(refund.transaction_id.as_deref(), Some("C536379"));
    let (guest, ..) = events[2];
    assert_eq!((guest.visitor_id.as_deref(), guest.customer_id.as_deref()), (Some("guest-536370"), None));
    assert_eq!(parsed, parse(INVOICES, Format::OnlineRetail));
    let mut non_products = NonProducts::default();
    for (draft, ..) in &events {
        non_products.observe(Format::OnlineRetail, draft);
    }
    assert_eq!(non_products.iter().collect::<Vec<_>>(), [("D", "discount"), ("POST", "postage")]);
}

#[test]
fn options_and_other_spellings_of_invoices() {
    let text = "\
Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country
489434,85048,LIGHTS,12.0,12/1/2009 7:45,6.95,13085.0,United Kingdom
";
    let options = Options {
        currency: Currency::parse("eur"),
        timezone: Some(TimeZone::get("Europe/Berlin").unwrap()),
        consent: Some(ConsentClaim { analytics: Some(true), ..ConsentClaim::default() }),
        ..Options::default()
    };
    let parsed = read("f.csv", text.as_bytes(), Format::OnlineRetail, &options).unwrap();
    let (order, ..) = drafts(&parsed)[0];
    assert_eq!(order.customer_id.as_deref(), Some("13085"));
    assert_eq!(order.currency.as_deref(), Some("EUR"));
    assert_eq!(order.time.ts, Timestamp::parse("2009-12-01T06:45:00Z"));
    assert_eq!(order.consent, options.consent);
}

#[test]
fn long_and_torn_invoices() {
    let header = INVOICES.lines().next().unwrap();
    let row = |invoice: usize| format!("{invoice},1,X,1,2011-07-01 08:26:00,1,,UK\n");
    // 5,000 lines are one order, 5,001 are refused as a whole.
    let text = format!("{header}\n{}{}", row(1).repeat(5_000), row(2).repeat(5_001));
    let parsed = parse(&text, Format::OnlineRetail);
    assert_eq!(drafts(&parsed)[0].0.items.len(), 5_000);
    assert_eq!(rejected(&parsed), [(5_002, "too_many_items")]);
    // Lines that come long after their order make one more event, under a number of its own.
    let between: String = (2..200).map(row).collect();
    let parsed = parse(&format!("{header}\n{}{between}{}", row(1), row(1)), Format::OnlineRetail);
    let numbers: Vec<_> = drafts(&parsed).iter().filter_map(|(d, ..)| d.transaction_id.clone()).collect();
    assert_eq!((numbers[0].as_str(), numbers.last().unwrap().as_str()), ("1", "1#2"));
    let ids: std::collections::HashSet<_> = drafts(&parsed).iter().map(|(d, ..)| d.id.clone()).collect();
    assert_eq!(ids.len(), 200);
}

#[test]
fn sessions_get_times_from_their_order() {
    let parsed = parse("1 2 3\n\n2 2\n", Format::Sessions);
    let events = drafts(&parsed);
    let seen: Vec<_> = events
        .iter()
        .map(|(d, rows, line)| {
            let ts = d.time.ts.unwrap().since(Options::default().base_time) / 1_000_000;
            (d.visitor_id.as_deref().unwrap(), d.items[0].item_id.as_str(), ts, *rows, *line)
        })
        .collect();
    let expected = [
        ("session-0", "1", 0, 1, 1),
        ("session-0", "2", 1, 0, 1),
        ("session-0", "3", 2, 0, 1),
        ("session-1", "2", 60, 1, 3),
        ("session-1", "2", 61, 0, 3),
    ];
    assert_eq!(seen, expected);
    assert_eq!(Options::default().base_time, Timestamp::parse("2000-01-01T00:00:00Z").unwrap());
}

#[test]
fn our_own_events_are_believed() {
    let text = r#"{"id":"e1","type":"view_item","ts":"2020-01-01T00:00:00Z","sent_at":"2020-01-01T01:00:00Z","visitor_id":"v","items":[{"item_id":"1","price":2}]}
{"id":"e2","type":"purchase","age_ms":5000,"sent_at":"2020-01-01T01:00:00Z","visitor_id":"v","consent":{"analytics":false}}
{"id":"e3","type":"purchase","visitor_id":"v"}
{"type":"purchase","visitor_id":"v"}
{"id":"e5"
"#;
    let options = Options {
        currency: Currency::parse("EUR"),
        consent: Some(ConsentClaim { analytics: Some(true), ..ConsentClaim::default() }),
        ..Options::default()
    };
    let parsed = read("f.jsonl", text.as_bytes(), Format::EventsJsonl, &options).unwrap();
    let events = drafts(&parsed);
    assert_eq!(events[0].0.id, "e1");
    assert_eq!(events[0].0.time.ts, Timestamp::parse("2020-01-01T00:00:00Z"));
    assert_eq!(events[0].0.time.sent_at, Timestamp::parse("2020-01-01T01:00:00Z"));
    assert_eq!(events[0].0.currency.as_deref(), Some("EUR"));
    assert_eq!(events[0].0.consent, options.consent);
    assert_eq!(events[1].0.time.ts, Timestamp::parse("2020-01-01T00:59:55Z"));
    assert_eq!(events[1].0.currency, None);
    assert_eq!(events[1].0.consent.unwrap().analytics, Some(false), "an event's own consent wins");
    assert_eq!(rejected(&parsed), [(3, "missing_time"), (4, "missing_id"), (5, "invalid_json")]);
    let kinds: Vec<_> = parsed
        .iter()
        .filter_map(|p| match p {
            Parsed::Rejected { kind, .. } => Some(*kind),
            Parsed::Event { .. } | Parsed::Item { .. } => None,
        })
        .collect();
    assert_eq!(kinds, [Some("purchase"), Some("purchase"), None]);
}

#[test]
fn feeds_are_catalogs() {
    let text = "id,title,description,link,image link,availability,price,sale_price,product_type,google_product_category,item_group_id,color,quantity\n\
        1,Cup,\"A \"\"fine\"\" cup\",https://s.example/1,https://s.example/1.jpg,in stock,12.50 GBP,10 GBP,Home > Kitchen > Cups,672,cups,red,4\n\
        2,Bowl,,,,out_of_stock,\"1,299.00 USD\",,,Home & Garden > Bowls,,,\n\
        3,Bad,,,,sold,1 GBP,,,,,,\n\
        4,Bad,,,,,1 GBP,1 EUR,,,,,\n\
        ,Bad,,,,,1 GBP,,,,,,\n\
        6,Bad,,javascript:x,,,1 GBP,,,,,,\n\
        7,Bad,,,,,twelve,,,,,,\n";
    let comma = parse(text, Format::CatalogCsv);
    let expected =
        [(4, "invalid_availability"), (5, "invalid_currency"), (6, "missing_item_id"), (7, "wrong_type"), (8, "invalid_price")];
    assert_eq!(rejected(&comma), expected);
    let found = items(&comma);
    assert_eq!(found[0].item_id, "1");
    assert_eq!(found[0].description.as_deref(), Some("A \"fine\" cup"));
    assert_eq!(found[0].availability, Some(Availability::InStock));
    assert_eq!((found[0].price, found[0].sale_price, found[0].currency.as_deref()), (Some(12.5), Some(10.0), Some("GBP")));
    assert_eq!(found[0].categories, ["Home", "Kitchen", "Cups"]);
    assert_eq!((found[0].group_id.as_deref(), found[0].stock), (Some("cups"), Some(4)));
    assert_eq!(found[0].attributes["color"], "red");
    assert_eq!(found[1].categories, ["Home & Garden", "Bowls"]);
    assert_eq!((found[1].price, found[1].title.as_deref()), (Some(1299.0), Some("Bowl")));
    let tab = "id\ttitle\tprice\n1\tCup, red\t12.50 GBP\n";
    assert_eq!(items(&parse(tab, Format::CatalogCsv))[0].title.as_deref(), Some("Cup, red"));
    let jsonl = "{\"item_id\":\"1\",\"title\":\"Cup\",\"price\":2}\n{\"item_id\":\"2\",\"titel\":\"Cup\"}\n";
    let parsed = parse(jsonl, Format::CatalogJsonl);
    assert_eq!(items(&parsed)[0].price, Some(2.0));
    assert_eq!(rejected(&parsed), [(2, "wrong_type")]);
}

#[test]
fn the_wrong_file_is_said_to_be_wrong() {
    let jsonl = "{\"id\":\"1\",\"type\":\"view_item\"}\n";
    let cases: [(&str, Format, &[&str]); 9] = [
        (REES46, Format::OnlineRetail, &["line 1", "`InvoiceNo`", "event_time, event_type", "use --format rees46"]),
        (INVOICES, Format::Rees46, &["`event_time`", "use --format online-retail"]),
        (INVOICES, Format::Sessions, &["use --format online-retail"]),
        (INVOICES, Format::EventsJsonl, &["use --format online-retail"]),
        (jsonl, Format::Rees46, &["JSON", "use --format events-jsonl"]),
        ("[{\"id\":1}]", Format::EventsJsonl, &["one JSON array"]),
        ("title,price\n", Format::CatalogCsv, &["`id`", "title, price"]),
        ("1 2 3\n4 5\n", Format::EventsJsonl, &["use --format sessions"]),
        ("", Format::Rees46, &["`event_time`"]),
    ];
    for (text, format, parts) in cases {
        let error = read("file.csv", text.as_bytes(), format, &Options::default()).unwrap_err().to_string();
        assert!(error.contains("file.csv"), "{error}");
        for part in parts {
            assert!(error.contains(part), "{format}: {error} lacks {part}");
        }
    }
    let error = read("f.csv", b"\xff\xfei\0d\0", Format::CatalogCsv, &Options::default()).unwrap_err();
    assert!(error.to_string().contains("UTF-16"), "{error}");
    let error = read("f.parquet", b"PAR1 broken", Format::Rees46, &Options::default()).unwrap_err();
    assert!(matches!(error, ImportError::Parquet { .. }));
    let error = open(&PathBuf::from("/no/such/file"), Format::Rees46, &Options::default()).err().unwrap();
    assert!(matches!(error, ImportError::Open { .. }));
    let mut cut = GzEncoder::new(Vec::new(), Compression::default());
    cut.write_all(REES46.repeat(50).as_bytes()).unwrap();
    let mut cut = cut.finish().unwrap();
    cut.truncate(cut.len() - 20);
    let error = read("f.csv.gz", &cut, Format::Rees46, &Options::default()).unwrap_err();
    assert!(matches!(error, ImportError::Read { line: 2.., .. }), "{error}");
}

#[test]
fn formats_have_names() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse::<Format>(), Ok(*format));
    }
    assert!("csv".parse::<Format>().unwrap_err().to_string().contains("online-retail"));
}

#[test]
fn the_doctor_speaks_of_placements() {
    let diagnose = |text: &str, format: Format| {
        let mut doctor = Doctor::default();
        let mut non_products = NonProducts::default();
        for parsed in parse(text, format) {
            match parsed {
                Parsed::Event { draft, .. } => {
                    non_products.observe(format, &draft);
                    doctor.observe(&draft);
                }
                Parsed::Item { draft, .. } => doctor.observe_item(&draft),
                Parsed::Rejected { kind, reason, rows, .. } => doctor.observe_rejected(kind, reason, rows),
            }
        }
        doctor.advice(&non_products).join("\n")
    };
    let invoices = diagnose(INVOICES, Format::OnlineRetail);
    for part in [
        "No views: also-viewed and for-you will be served from purchases.",
        "lack an item id",
        "Only 1 basket holds two or more items",
        "No customer ids on 50 % of purchases",
        "2 item ids are no products (D, POST)",
        "were rejected",
    ] {
        assert!(invoices.contains(part), "{invoices}\nlacks {part}");
    }
    let clicks = diagnose(REES46, Format::Rees46);
    assert!(clicks.contains("Only 0 minutes of data") && !clicks.contains("No views"), "{clicks}");
    let sessions = diagnose("1 2\n3 4\n", Format::Sessions);
    assert!(sessions.contains("No purchases") && sessions.contains("Prices missing: import a catalog"), "{sessions}");
    let items = diagnose("id,title\n1,Cup\n2,\n", Format::CatalogCsv);
    assert!(items.contains("50 % of items lack a title") && items.contains("100 % of items lack a price"), "{items}");
    assert!(diagnose("id,title\n", Format::CatalogCsv).contains("Nothing was accepted"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever stands in a file, reading it ends, panics nowhere, and every row has one outcome.
    #[test]
    fn garbage_is_counted(noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), at in 0usize..400) {
        let feed = "id,title,price\n1,Cup,2 GBP\n";
        let jsonl = "{\"id\":\"1\",\"type\":\"view_item\",\"item_id\":\"1\"}\n1 2 3\n";
        for format in Format::ALL {
            let text = match format {
                Format::Rees46 => REES46,
                Format::OnlineRetail => INVOICES,
                Format::Retailrocket => "timestamp,visitorid,event,itemid,transactionid\n1,1,transaction,1,1\n",
                Format::CatalogCsv => feed,
                Format::EventsJsonl | Format::CatalogJsonl | Format::Sessions => jsonl,
            };
            let mut content = text.as_bytes().to_vec();
            let at = at.min(content.len());
            content.splice(at..at, noise.iter().copied());
            let options = Options::default();
            if let Ok(parsed) = read("f", &content, *format, &options) {
                let rows: u64 = parsed.iter().map(|p| u64::from(p.rows())).sum();
                proptest::prop_assert_eq!(rows, options.progress.rows());
            }
        }
    }
}
