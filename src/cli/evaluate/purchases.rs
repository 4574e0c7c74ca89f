//! Evaluating the next purchase on a shop's invoices.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use rapport_models::evaluate::purchases::PurchaseSplit;
use rapport_models::evaluate::{PURCHASE_STRATEGIES, PurchaseFigures, evaluate_purchases};
use rapport_models::orders::Orders;
use rapport_models::purchase::Options;
use serde_json::json;

use super::peak_rss_mb;
use crate::cli::print_json;
use crate::event::EventKind;
use crate::event::time::SECOND;
use crate::import::{self, Format, Parsed, non_products};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Invoices to learn from and to predict; with `--format online-retail`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["train", "test"])]
    data: Option<PathBuf>,
    /// Newest days that are predicted and not learnt from.
    #[arg(long, value_name = "DAYS", default_value_t = 30, requires = "data", value_parser = clap::value_parser!(u16).range(1..=3650))]
    test_days: u16,
    /// Newest days that are left out altogether, so that settings can be compared without a look at the days they will be judged by.
    #[arg(long, value_name = "DAYS", default_value_t = 0, requires = "data")]
    leave_out_days: u16,
    /// File with settings of the models that differ from the defaults, as JSON.
    #[arg(long, value_name = "FILE", requires = "data")]
    options: Option<PathBuf>,
    /// Writes what is learnt from and what is predicted as `train.csv` and `test.csv`, for other programs to be judged by the same cases.
    #[arg(long, value_name = "DIR", requires = "data")]
    write_split: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn is_given(&self) -> bool {
        self.data.is_some()
    }

    pub(super) fn run(&self, strategy: Option<&str>, k: usize, json: bool) -> anyhow::Result<()> {
        let path = self.data.as_deref().context("--format online-retail needs --data FILE")?;
        let options = match &self.options {
            Some(path) => options(path)?,
            None => Options::default(),
        };
        let invoices = read(path)?;
        let kept = invoices.orders.newest() - f64::from(self.leave_out_days) * 86_400.0;
        let orders =
            if self.leave_out_days > 0 { invoices.orders.first(invoices.orders.before(kept)) } else { invoices.orders.clone() };
        let split = PurchaseSplit::new(&orders, f64::from(self.test_days));
        anyhow::ensure!(!split.cases.is_empty(), "no customer bought both before and within the newest {} days", self.test_days);
        if let Some(dir) = &self.write_split {
            write_split(dir, &invoices, &split).with_context(|| format!("cannot write to {}", dir.display()))?;
        }
        let strategies = strategy.map_or_else(|| PURCHASE_STRATEGIES.to_vec(), |name| vec![name]);
        let started = Instant::now();
        let figures = evaluate_purchases(&split, &strategies, &options, k, || started.elapsed())?;
        if json { self.print_json(&split, &figures, k) } else { print_table(&split, &figures, k) }
    }

    fn print_json(&self, split: &PurchaseSplit, figures: &PurchaseFigures, k: usize) -> anyhow::Result<()> {
        let about = About::of(split);
        print_json(&json!({
            "format": Format::OnlineRetail.as_str(),
            "test_days": self.test_days,
            "k": k,
            "train_orders": about.orders,
            "customers": about.customers,
            "items": about.items,
            "cases": split.cases.len(),
            "mean_basket": about.mean_basket,
            "strategies": figures.reports,
            "train_seconds": figures.train_seconds.iter().cloned().collect::<BTreeMap<_, _>>(),
            "importance": figures.importance,
            "peak_rss_mb": peak_rss_mb(),
        }))
    }
}

fn options(path: &Path) -> anyhow::Result<Options> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} does not hold settings of the models", path.display()))
}

/// What is known of the training orders.
struct About {
    orders: usize,
    customers: usize,
    items: usize,
    mean_basket: f64,
}

impl About {
    fn of(split: &PurchaseSplit) -> Self {
        let sold: std::collections::HashSet<u32> =
            split.train.iter().flat_map(|order| order.lines).map(|line| line.item).collect();
        let bought: usize = split.cases.iter().map(|(_, items)| items.len()).sum();
        Self {
            orders: split.train.len(),
            customers: split.train.by_customer().iter().count(),
            items: sold.len(),
            mean_basket: bought as f64 / split.cases.len() as f64,
        }
    }
}

fn print_table(split: &PurchaseSplit, figures: &PurchaseFigures, k: usize) -> anyhow::Result<()> {
    let About { orders, customers, items, mean_basket } = About::of(split);
    println!(
        "learnt from {orders} orders of {customers} customers and {items} items; {} next orders of {mean_basket:.1} items",
        split.cases.len()
    );
    println!(
        "{:<22} {:<11} {:>6} {:>7} {:>7} {:>8} {:>7} {:>7} {:>8} {:>8}",
        "question", "strategy", "cases", "HR", "recall", "capped", "NDCG", "cover", "p50 µs", "p99 µs"
    );
    for report in &figures.reports {
        let question = serde_json::to_value(report.question)?;
        println!(
            "{:<22} {:<11} {:>6} {:>7.4} {:>7.4} {:>8.4} {:>7.4} {:>7.3} {:>8.1} {:>8.1}",
            question.as_str().unwrap_or_default(),
            report.strategy,
            report.cases,
            report.hit_rate,
            report.recall,
            report.recall_capped,
            report.ndcg,
            report.coverage,
            report.us_per_query_p50,
            report.us_per_query_p99
        );
    }
    for (strategy, seconds) in &figures.train_seconds {
        println!("{strategy} learnt in {seconds:.2} s");
    }
    for (feature, share) in figures.importance.iter().take(10) {
        println!("{:>5.1} % of the learned order: {feature}", share * 100.0);
    }
    println!(
        "lists of {k}; recall counts hits of all that was bought, capped of at most {k}; {:.0} MB at the most",
        peak_rss_mb()
    );
    Ok(())
}

/// Invoices by number.
struct Invoices {
    orders: Orders,
    items: Vec<String>,
    customers: Vec<String>,
}

/// Reads sales to known customers; what is no product is left out.
fn read(path: &Path) -> anyhow::Result<Invoices> {
    let (mut items, mut customers) = (Numbers::default(), Numbers::default());
    let mut orders = Vec::new();
    for parsed in import::open(path, Format::OnlineRetail, &import::Options::default())? {
        let Parsed::Event { draft, .. } = parsed? else { continue };
        let (Some(customer), Some(time)) = (&draft.customer_id, draft.time.ts) else { continue };
        if draft.kind != EventKind::Purchase.as_str() {
            continue;
        }
        let lines: Vec<(u32, f32)> = (draft.items.iter())
            .filter(|line| non_products::reason(&line.item_id, line.name.as_deref().unwrap_or_default()).is_none())
            .map(|line| (items.of(&line.item_id), line.price.unwrap_or(0.0) as f32))
            .collect();
        if !lines.is_empty() {
            orders.push((customers.of(customer), time.0 as f64 / SECOND as f64, lines));
        }
    }
    Ok(Invoices { orders: Orders::new(items.names.len(), orders), items: items.names, customers: customers.names })
}

/// Gives each name a number, in the order they come.
#[derive(Default)]
struct Numbers {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl Numbers {
    fn of(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.numbers.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        number
    }
}

/// Writes `order,customer,item,days` of what is learnt from (days before the cut) and `customer,item` of what is to be predicted.
fn write_split(dir: &Path, invoices: &Invoices, split: &PurchaseSplit) -> anyhow::Result<()> {
    fs::create_dir_all(dir)?;
    let name = |names: &[String], number: u32| names.get(number as usize).cloned().unwrap_or_default();
    let mut train = BufWriter::new(fs::File::create(dir.join("train.csv"))?);
    writeln!(train, "order,customer,item,days")?;
    for (number, order) in split.train.iter().enumerate() {
        let days = (split.cut - order.time) / 86_400.0;
        let customer = name(&invoices.customers, order.customer);
        for line in order.lines {
            writeln!(train, "{number},{customer},{},{days:.6}", name(&invoices.items, line.item))?;
        }
    }
    train.flush()?;
    let mut test = BufWriter::new(fs::File::create(dir.join("test.csv"))?);
    writeln!(test, "customer,item")?;
    for (customer, items) in &split.cases {
        for &item in items {
            writeln!(test, "{},{}", name(&invoices.customers, *customer), name(&invoices.items, item))?;
        }
    }
    Ok(test.flush()?)
}
