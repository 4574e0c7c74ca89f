//! Public data sets, read whole and counted. Skipped, with a word, where they are absent.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;

fn data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("RAPPORT_SHARED_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is absent", path.display());
    None
}

#[derive(Debug, Default)]
struct Count {
    report: Report,
    ids: Vec<String>,
    /// Σ of the values of purchases and refunds, in pence.
    money: [i64; 2],
    customers: std::collections::HashSet<String>,
    largest: usize,
    non_products: NonProducts,
    doctor: Doctor,
}

fn count(path: &std::path::Path, format: Format) -> Count {
    let options = Options::default();
    let mut count = Count::default();
    for parsed in open(path, format, &options).unwrap() {
        match parsed.unwrap() {
            Parsed::Event { draft, rows, .. } => {
                count.report.accepted(&draft.kind, rows);
                count.doctor.observe(&draft);
                count.non_products.observe(format, &draft);
                count.largest = count.largest.max(draft.items.len());
                if let (Some(value), Some(currency)) = (draft.value, &draft.currency) {
                    let minor = Currency::parse(currency).unwrap().to_minor(value).unwrap();
                    count.money[usize::from(draft.kind == "refund")] += minor;
                }
                count.customers.extend(draft.customer_id);
                count.ids.push(draft.id);
            }
            Parsed::Item { .. } => count.report.accepted("item", 1),
            Parsed::Rejected { line, rows, kind, rejection, reason } => {
                count.report.rejected("file", line, rows, reason, &rejection.detail);
                count.doctor.observe_rejected(kind, reason, rows);
            }
        }
    }
    let advice = count.doctor.advice(&count.non_products);
    count.report.finish(&options.progress, 0.0, advice);
    assert!(count.report.adds_up(), "{}", count.report);
    let unique: std::collections::HashSet<&String> = count.ids.iter().collect();
    assert_eq!(unique.len(), count.ids.len(), "no two events share an id");
    eprintln!("{}: {}{:?}", path.display(), count.report, count.non_products);
    count
}

fn map(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(key, n)| ((*key).to_owned(), *n)).collect()
}

#[test]
fn rees46_sample() {
    let Some(path) = data("rees46_oct2019_sample/events.csv.gz") else { return };
    let count = count(&path, Format::Rees46);
    assert_eq!(count.report.rows_read, 17_434);
    assert_eq!(count.report.accepted, 17_434);
    assert_eq!(count.report.read_by_type, map(&[("cart", 165), ("purchase", 214), ("view", 17_055)]));
    assert_eq!(count.report.by_type, map(&[("add_to_cart", 165), ("purchase", 214), ("view_item", 17_055)]));
    assert!(count.report.advice.iter().any(|a| a.contains("Only 2.8 hours of data")), "{}", count.report);
}

#[test]
fn a_year_of_invoices_in_csv_and_parquet() {
    let Some(path) = data("uci_online_retail/online_retail.csv.gz") else { return };
    let csv = count(&path, Format::OnlineRetail);
    assert_eq!(csv.report.rows_read, 541_909);
    assert_eq!(csv.report.rejected, map(&[("non_positive_price", 1_181), ("stock_adjustment", 1_336)]));
    assert_eq!(csv.report.accepted, 530_104 + 9_288);
    assert_eq!(csv.report.by_type, map(&[("purchase", 19_960), ("refund", 3_836)]));
    assert_eq!(csv.customers.len(), 4_371);
    // The whole file sums to 9,747,747.934; the two rows of negative debt are no sales.
    let [sold, refunded] = csv.money;
    let all = 974_774_793 + 2 * 1_106_206;
    assert!((sold - refunded - all).abs() < 20, "{sold} - {refunded}, {all}");
    let Some(path) = data("uci_online_retail/online_retail.parquet") else { return };
    let parquet = count(&path, Format::OnlineRetail);
    assert_eq!(parquet.report.rows_read, csv.report.rows_read);
    assert_eq!(parquet.money, csv.money);
    assert!(parquet.ids == csv.ids, "the same rows have the same ids, whatever the container");
}

#[test]
fn published_sessions() {
    let Some(path) = data("yoochoose64_mtd/test_sessions.txt.gz") else { return };
    let count = count(&path, Format::Sessions);
    assert_eq!(count.report.rows_read, 15_233);
    assert_eq!(count.report.by_type, map(&[("view_item", 55_400 + 15_233)]));
}
