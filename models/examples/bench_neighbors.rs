//! Measures the index of item vectors: recall, searches a second, time to build and to open.
//!
//! ```text
//! cargo build --release -p rapport-models --example bench_neighbors
//! bench_neighbors generate DIR [N [D]]   clustered vectors and queries from a fixed seed, and the true neighbours
//! bench_neighbors build DIR              builds the index and checks it
//! bench_neighbors search DIR [EF…]       opens it; recall and searches a second, one line of JSON for each EF
//! bench_neighbors scan DIR               the same without the graph
//! bench_neighbors filter DIR             the same under filters that let fewer and fewer pass
//! bench_neighbors crate DIR [EF…]        builds and searches with `hnsw_rs` itself
//! ```
//!
//! `models/peers/ann.py` measures other libraries on the same files and core.

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use hnsw_rs::prelude::{Distance, Hnsw};
use rapport_models::artifact::{Artifact, Draft, Manifest};
use rapport_models::model::Model;
use rapport_models::neighbors::{Examples, Floor, Index, Options, Query};
use rayon::prelude::*;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const K: usize = 10;
const CENTRES: usize = 1_000;
const NOISE: f32 = 0.5;
const QUERIES: usize = 1_000;
const EFS: [usize; 7] = [10, 14, 16, 20, 32, 40, 80];

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [command, dir, rest @ ..] = args.as_slice() else {
        return Err("usage: bench_neighbors generate|build|search|scan|filter|crate DIR [NUMBER…]".into());
    };
    let numbers = rest.iter().map(|text| text.parse()).collect::<Result<Vec<usize>, _>>()?;
    let dir = Path::new(dir);
    let efs = if numbers.is_empty() { &EFS[..] } else { &numbers };
    match command.as_str() {
        "generate" => generate(dir, numbers.first().copied().unwrap_or(100_000), numbers.get(1).copied().unwrap_or(64)),
        "build" => build(dir),
        "search" => search(dir, efs),
        "scan" => scan(dir),
        "filter" => filter(dir),
        "crate" => search_crate(dir, efs),
        other => Err(format!("no such command: {other}").into()),
    }
}

/// Vectors, queries and for each query its true neighbours.
struct Data {
    dimension: usize,
    vectors: Vec<f32>,
    queries: Vec<f32>,
    truth: Vec<u32>,
}

impl Data {
    fn read(dir: &Path) -> Outcome<Self> {
        let dimension = fs::read_to_string(dir.join("dimension"))?.trim().parse()?;
        let words = |name| fs::read(dir.join(name)).map(|bytes| bytes.as_chunks::<4>().0.to_vec());
        let floats = |name| words(name).map(|words| words.into_iter().map(f32::from_le_bytes).collect());
        Ok(Self {
            dimension,
            vectors: floats("vectors.f32")?,
            queries: floats("queries.f32")?,
            truth: words("truth.u32")?.into_iter().map(u32::from_le_bytes).collect(),
        })
    }

    fn queries(&self) -> impl Iterator<Item = &[f32]> {
        self.queries.chunks_exact(self.dimension)
    }

    /// Share of the true neighbours among `found`, which has up to [`K`] for each query.
    fn recall(&self, found: &[Vec<u32>]) -> f64 {
        let hits = found
            .iter()
            .zip(self.truth.chunks_exact(K))
            .map(|(found, truth)| found.iter().filter(|item| truth.contains(item)).count());
        hits.sum::<usize>() as f64 / self.truth.len() as f64
    }
}

/// Draws around [`CENTRES`] centres, as products lie around their kinds.
fn generate(dir: &Path, n: usize, dimension: usize) -> Outcome {
    let mut state = 42_u64;
    let mut normal = move || {
        // The sum of twelve uniforms (Irwin–Hall), each from a step of SplitMix64: the same on every machine.
        let uniform = |state: &mut u64| {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 40) as f32 / (1_u64 << 24) as f32
        };
        (0..12).map(|_| uniform(&mut state)).sum::<f32>() - 6.0
    };
    let centres: Vec<f32> = (0..CENTRES * dimension).map(|_| normal()).collect();
    let mut draw = |n: usize| {
        let mut rows = Vec::with_capacity(n * dimension);
        for at in 0..n {
            let centre = at.wrapping_mul(7_919) % CENTRES * dimension;
            let row: Vec<f32> = centres[centre..centre + dimension].iter().map(|c| c + NOISE * normal()).collect();
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            rows.extend(row.iter().map(|x| x / norm));
        }
        rows
    };
    let (vectors, queries) = (draw(n), draw(QUERIES));
    let nearest = |query: &[f32]| {
        let dot = |row: &[f32]| row.iter().zip(query).map(|(a, b)| a * b).sum::<f32>();
        let mut scores: Vec<(f32, u32)> = vectors.chunks_exact(dimension).map(dot).zip(0..).collect();
        scores.select_nth_unstable_by(K - 1, |a, b| b.0.total_cmp(&a.0));
        scores[..K].iter().map(|&(_, item)| item).collect::<Vec<_>>()
    };
    let truth: Vec<u32> = queries.par_chunks_exact(dimension).flat_map(nearest).collect();
    fs::create_dir_all(dir)?;
    fs::write(dir.join("dimension"), dimension.to_string())?;
    fs::write(dir.join("vectors.f32"), bytemuck::cast_slice(&vectors))?;
    fs::write(dir.join("queries.f32"), bytemuck::cast_slice(&queries))?;
    fs::write(dir.join("truth.u32"), bytemuck::cast_slice(&truth))?;
    Ok(())
}

fn models(dir: &Path) -> PathBuf {
    dir.join("models")
}

fn build(dir: &Path) -> Outcome {
    let data = Data::read(dir)?;
    let start = Instant::now();
    let index = Index::fit(
        &Examples { values: &data.vectors, dimension: data.dimension },
        &Options { exact_below: 1, ..Options::default() },
    );
    let seconds = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let quality = index.check(&Floor::default())?;
    let check = start.elapsed().as_secs_f64();
    let line = serde_json::json!({
        "tool": "rapport", "vectors": index.n_vectors(), "build_seconds": seconds, "check_seconds": check,
        "deterministic": index.deterministic(), "quality": quality,
    });
    println!("{line}");
    let mut draft = Draft::in_dir(models(dir))?;
    index.save(&mut draft, "similar")?;
    let id = draft.finish(Manifest::default(), "2026-11-25T08-00Z")?;
    fs::write(dir.join("build"), id.to_string())?;
    Ok(())
}

/// Opens the build that was made last; prints how long the index took beyond the checksums, which every model shares.
fn open(dir: &Path) -> Outcome<Index> {
    let artifact = Arc::new(Artifact::open(models(dir).join(fs::read_to_string(dir.join("build"))?))?);
    let mut times = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        black_box(Index::open(&artifact, "similar")?);
        times.push(start.elapsed());
    }
    times.sort_unstable();
    eprintln!("open: median {:?}, first of 20 sorted {:?}", times[10], times[0]);
    Ok(Index::open(&artifact, "similar")?)
}

/// Asks all queries, several times over, and prints recall and the best rate by the processor's time, which a busy machine disturbs less than the clock's.
fn measure(data: &Data, label: serde_json::Value, mut ask: impl FnMut(&[f32], &mut Vec<u32>)) {
    let mut found = vec![Vec::with_capacity(K); data.queries().count()];
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let start = ThreadTime::now();
        for (query, found) in data.queries().zip(&mut found) {
            ask(query, found);
        }
        best = best.min(start.elapsed());
    }
    let qps = found.len() as f64 / best.as_secs_f64();
    println!("{}", serde_json::json!({ "what": label, "recall": data.recall(&found), "qps": qps.round() }));
}

fn search(dir: &Path, efs: &[usize]) -> Outcome {
    let (data, index) = (Data::read(dir)?, open(dir)?);
    let (mut scratch, mut out) = Default::default();
    for &ef in efs {
        measure(&data, serde_json::json!({ "tool": "rapport", "ef": ef }), |query, found| {
            index.predict(Query::vector(query).ef(ef), K, &mut scratch, &mut out);
            found.clear();
            found.extend(out.iter().map(|&(item, _)| item));
        });
    }
    Ok(())
}

fn scan(dir: &Path) -> Outcome {
    let data = Data::read(dir)?;
    let options = Options { exact_below: usize::MAX, ..Options::default() };
    let index = Index::fit(&Examples { values: &data.vectors, dimension: data.dimension }, &options);
    let (mut scratch, mut out) = Default::default();
    measure(&data, serde_json::json!({ "tool": "rapport", "exact": true }), |query, found| {
        index.predict(Query::vector(query), K, &mut scratch, &mut out);
        found.clear();
        found.extend(out.iter().map(|&(item, _)| item));
    });
    Ok(())
}

fn filter(dir: &Path) -> Outcome {
    let (data, index) = (Data::read(dir)?, open(dir)?);
    let (mut scratch, mut out) = Default::default();
    for one_in in [1_u32, 2, 5, 10, 20, 50, 100, 1_000, 10_000] {
        // Spread over the items by a multiplicative hash.
        let passes = move |item: u32| item.wrapping_mul(0x9e37_79b1).rotate_left(16).is_multiple_of(one_in);
        let mut answers = 0;
        let start = ThreadTime::now();
        for query in data.queries() {
            index.predict(Query::vector(query).filter(&passes), K, &mut scratch, &mut out);
            answers += out.len();
        }
        let qps = data.queries().count() as f64 / start.elapsed().as_secs_f64();
        let mean = answers as f64 / data.queries().count() as f64;
        println!("{}", serde_json::json!({ "one_in": one_in, "answers": mean, "qps": qps.round() }));
    }
    Ok(())
}

/// As fast as ours for the comparison's sake, and clamped: the crate's own panics on rounding.
struct Cosine;

impl Distance<f32> for Cosine {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        let mut sums = [0.0_f32; 16];
        for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
            for lane in 0..16 {
                sums[lane] += a[lane] * b[lane];
            }
        }
        (1.0 - sums.iter().sum::<f32>()).max(0.0)
    }
}

fn search_crate(dir: &Path, efs: &[usize]) -> Outcome {
    let data = Data::read(dir)?;
    let n = data.vectors.len() / data.dimension;
    let mut hnsw = Hnsw::<f32, _>::new(16, n, 16, 200, Cosine);
    let rows: Vec<(&[f32], usize)> = data.vectors.chunks_exact(data.dimension).zip(0..).collect();
    let start = Instant::now();
    hnsw.parallel_insert_slice(&rows);
    println!("{}", serde_json::json!({ "tool": "hnsw_rs", "vectors": n, "build_seconds": start.elapsed().as_secs_f64() }));
    hnsw.set_searching_mode(true);
    for &ef in efs {
        measure(&data, serde_json::json!({ "tool": "hnsw_rs", "ef": ef }), |query, found| {
            found.clear();
            found.extend(hnsw.search(query, K, ef).iter().map(|neighbour| neighbour.d_id as u32));
        });
    }
    Ok(())
}
