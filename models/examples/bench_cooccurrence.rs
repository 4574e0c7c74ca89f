//! Speed and memory of the nearest neighbours of every item, on data that other programs can read as well.
//!
//! ```text
//! bench_cooccurrence generate DIR INTERACTIONS    writes DIR/indptr.i64 and DIR/items.i32, groups × items in compressed rows
//! bench_cooccurrence run DIR [SCORE] [THREADS]    100 neighbours of each item; prints one JSON object, writes DIR/ours.*
//! ```
//!
//! `models/peers/cooccurrence.py` runs other libraries on the same files and compares their neighbours with `DIR/ours.*`.
//! The memory of a run is that of its whole process, so each run is a process of its own.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::time::Instant;

use rapport_models::cooccurrence::{Neighbors, Options, Score, neighbors};
use rapport_models::interactions::{Interactions, InteractionsBuilder};
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ITEMS: usize = 50_000;
const CLUSTERS: usize = 100;
/// Chance that a shopper stays within the cluster he came for.
const LOYALTY: f64 = 0.6;
const ZIPF_EXPONENT: f64 = 0.9;
/// Mean and spread of the logarithm of a group's length: 8 items on average, with a long tail.
const LOG_LENGTH: (f64, f64) = (1.7, 0.95);
const LONGEST: usize = 200;
/// Ticks of `/proc/self/stat`, which Linux fixes at 100 a second for programs.
const TICKS: f64 = 100.0;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["generate", dir, interactions] => generate(Path::new(dir), interactions.parse()?),
        ["run", dir] => run(Path::new(dir), "cosine", 2),
        ["run", dir, score] => run(Path::new(dir), score, 2),
        ["run", dir, score, threads] => run(Path::new(dir), score, threads.parse()?),
        _ => Err("usage: bench_cooccurrence generate DIR INTERACTIONS | run DIR [SCORE] [THREADS]".into()),
    }
}

/// Writes groups of distinct items: Zipf popularity, and groups that keep mostly to one cluster of items.
fn generate(dir: &Path, interactions: usize) -> Result<()> {
    fs::create_dir_all(dir)?;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let everything = Zipf::new(ITEMS);
    let cluster_ranks = Zipf::new(ITEMS / CLUSTERS);
    // Numbers say nothing about popularity, as in a log that names items in any order.
    let mut number_of_rank: Vec<u32> = (0..ITEMS as u32).collect();
    for last in (1..ITEMS).rev() {
        number_of_rank.swap(last, random.below(last + 1));
    }

    let mut indptr = BufWriter::new(File::create(dir.join("indptr.i64"))?);
    let mut items = BufWriter::new(File::create(dir.join("items.i32"))?);
    let (mut written, mut groups, mut pairs) = (0_usize, 0_u64, 0_u64);
    let mut group = Vec::new();
    indptr.write_all(&0_i64.to_le_bytes())?;
    while written < interactions {
        let length = ((LOG_LENGTH.0 + LOG_LENGTH.1 * random.normal()).exp() as usize + 1).min(LONGEST);
        let cluster = random.below(CLUSTERS);
        group.clear();
        for _ in 0..length {
            let rank = if random.unit() < LOYALTY {
                cluster_ranks.draw(&mut random) * CLUSTERS + cluster
            } else {
                everything.draw(&mut random)
            };
            group.push(number_of_rank[rank]);
        }
        group.sort_unstable();
        group.dedup();
        for item in &group {
            items.write_all(&i32::try_from(*item)?.to_le_bytes())?;
        }
        written += group.len();
        groups += 1;
        pairs += (group.len() * group.len()) as u64;
        indptr.write_all(&i64::try_from(written)?.to_le_bytes())?;
    }
    indptr.flush()?;
    items.flush()?;
    println!("{}", json!({"groups": groups, "interactions": written, "items": ITEMS, "pairs": pairs}));
    Ok(())
}

fn run(dir: &Path, score: &str, threads: usize) -> Result<()> {
    let score: Score = serde_json::from_value(json!(score))?;
    let options = Options { top: 100, min_support: 1, score, ..Options::default() };
    let groups = read(dir)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let loaded = status("VmRSS")?;
    let (start, cpu) = (Instant::now(), cpu_seconds()?);
    let found = pool.install(|| neighbors(&groups, &options));
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    let peak = status("VmHWM")?;
    let sum: f64 = found.scores.iter().map(|&score| f64::from(score)).sum();
    let figures = json!({
        "program": "rapport", "score": options.score, "threads": threads, "interactions": groups.len(), "wall_s": wall,
        "cpu_s": cpu, "peak_mb": peak, "above_input_mb": peak - loaded, "neighbors": found.items.len(), "score_sum": sum,
    });
    println!("{figures}");
    write(dir, &found)
}

/// Reads what [`generate`] wrote, one group at a time.
fn read(dir: &Path) -> Result<Interactions> {
    let mut indptr = BufReader::new(File::open(dir.join("indptr.i64"))?);
    let mut items = BufReader::new(File::open(dir.join("items.i32"))?);
    let mut builder = InteractionsBuilder::new(ITEMS).max_group(LONGEST);
    let (mut bytes, mut group) = (Vec::new(), Vec::new());
    let mut bound = [0; 8];
    indptr.read_exact(&mut bound)?;
    let mut start = i64::from_le_bytes(bound);
    while indptr.read_exact(&mut bound).is_ok() {
        let end = i64::from_le_bytes(bound);
        bytes.resize(usize::try_from(end - start)? * 4, 0);
        items.read_exact(&mut bytes)?;
        group.clear();
        group.extend(bytes.chunks_exact(4).map(|item| u32::from_le_bytes([item[0], item[1], item[2], item[3]])));
        builder.push_group(&group);
        start = end;
    }
    Ok(builder.finish())
}

fn write(dir: &Path, found: &Neighbors) -> Result<()> {
    fs::write(dir.join("ours.indptr.u32"), bytemuck::cast_slice(&found.indptr))?;
    fs::write(dir.join("ours.items.u32"), bytemuck::cast_slice(&found.items))?;
    fs::write(dir.join("ours.scores.f32"), bytemuck::cast_slice(&found.scores))?;
    Ok(())
}

/// Returns user and system time of this process so far.
fn cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name in brackets may hold blanks; user and system time are the 12th and 13th field after it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: f64 = fields.map(|field| field.parse::<f64>().unwrap_or(0.0)).sum();
    Ok(ticks / TICKS)
}

/// Returns a figure of `/proc/self/status` in megabytes.
fn status(name: &str) -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name)).ok_or("no such figure")?;
    let kib: f64 = line.split_whitespace().nth(1).ok_or("no value")?.parse()?;
    Ok(kib * 1024.0 / 1e6)
}

/// Xorshift: the same data everywhere, without a dependency.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n - 1)
    }

    /// Box and Muller's normal deviate.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// Ranks drawn with probability ∝ `1 / (rank + 1)^exponent`.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(n: usize) -> Self {
        let mut sum = 0.0;
        let mut cumulative: Vec<f64> = Vec::with_capacity(n);
        for rank in 1..=n {
            sum += (rank as f64).powf(-ZIPF_EXPONENT);
            cumulative.push(sum);
        }
        Self(cumulative)
    }

    fn draw(&self, random: &mut Random) -> usize {
        let target = random.unit() * self.0[self.0.len() - 1];
        self.0.partition_point(|&sum| sum < target).min(self.0.len() - 1)
    }
}
