//! Queries to learn an order from, in bins.

/// Bins of a feature; a bin fits a byte and two sums for each fit the first-level cache.
pub(super) const BINS: usize = 64;
/// Rows that are looked at before the edges of the bins are drawn.
const SAMPLE: usize = 200_000;

/// Lists of candidates with their features and which of them are right.
///
/// Features are kept as one byte each: the first rows decide where the bins lie, later ones are put into them as they come.
#[derive(Debug, Clone)]
pub struct Dataset {
    n_features: usize,
    /// Where each query's rows start, and one end.
    starts: Vec<usize>,
    relevance: Vec<f32>,
    /// Row by row; as numbers until the edges are drawn.
    waiting: Vec<f32>,
    bins: Vec<u8>,
    /// For each feature ascending values; a row is in the bin of how many of them it exceeds.
    edges: Vec<Vec<f32>>,
}

impl Dataset {
    /// Creates an empty data set of candidates with `n_features` features.
    pub fn new(n_features: usize) -> Self {
        Self { n_features, starts: vec![0], relevance: Vec::new(), waiting: Vec::new(), bins: Vec::new(), edges: Vec::new() }
    }

    /// Adds a query: one relevance for each candidate (0 is wrong), and its features row by row.
    ///
    /// # Panics
    /// If there are not `n_features` features for each candidate.
    pub fn push(&mut self, features: &[f32], relevance: &[f32]) {
        assert_eq!(features.len(), relevance.len() * self.n_features, "features come row by row");
        self.relevance.extend_from_slice(relevance);
        self.starts.push(self.relevance.len());
        if self.edges.is_empty() {
            self.waiting.extend_from_slice(features);
            if self.relevance.len() >= SAMPLE {
                self.draw_edges();
            }
        } else {
            self.put(features);
        }
    }

    /// Returns the number of queries.
    pub fn n_queries(&self) -> usize {
        self.starts.len() - 1
    }

    /// Returns the number of candidates of all queries.
    pub fn n_rows(&self) -> usize {
        self.relevance.len()
    }

    /// Draws the edges from what there is, if that has not been done, and returns the finished bins.
    pub(super) fn binned(&self) -> std::borrow::Cow<'_, Self> {
        if self.edges.is_empty() {
            let mut drawn = self.clone();
            drawn.draw_edges();
            std::borrow::Cow::Owned(drawn)
        } else {
            std::borrow::Cow::Borrowed(self)
        }
    }

    pub(super) fn n_features(&self) -> usize {
        self.n_features
    }

    pub(super) fn starts(&self) -> &[usize] {
        &self.starts
    }

    pub(super) fn relevance(&self) -> &[f32] {
        &self.relevance
    }

    pub(super) fn row(&self, row: usize) -> &[u8] {
        &self.bins[row * self.n_features..(row + 1) * self.n_features]
    }

    pub(super) fn edges(&self) -> &[Vec<f32>] {
        &self.edges
    }

    fn draw_edges(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        self.edges = (0..self.n_features)
            .map(|feature| {
                let mut values: Vec<f32> = waiting.iter().skip(feature).step_by(self.n_features).copied().collect();
                values.retain(|value| !value.is_nan());
                values.sort_unstable_by(f32::total_cmp);
                quantiles(&values)
            })
            .collect();
        self.put(&waiting);
    }

    fn put(&mut self, features: &[f32]) {
        for row in features.chunks_exact(self.n_features) {
            // At most 63 edges, so the bin fits.
            self.bins.extend(row.iter().zip(&self.edges).map(|(value, edges)| edges.partition_point(|edge| value > edge) as u8));
        }
    }
}

/// Returns at most `BINS - 1` distinct values that cut the sorted ones into parts of about equal size.
fn quantiles(sorted: &[f32]) -> Vec<f32> {
    let mut distinct = sorted.to_vec();
    distinct.dedup();
    // Nothing exceeds the greatest, so it cuts nothing.
    distinct.pop();
    if distinct.len() < BINS {
        return distinct;
    }
    let mut edges: Vec<f32> = (1..BINS).map(|part| sorted[part * sorted.len() / BINS]).collect();
    edges.dedup();
    if edges.last() == sorted.last() {
        edges.pop();
    }
    // Where one value fills many parts, the rest is cut by value instead.
    let step = distinct.len().div_ceil(BINS - edges.len().min(BINS - 1)).max(1);
    edges.extend(distinct.into_iter().step_by(step));
    edges.sort_unstable_by(f32::total_cmp);
    edges.dedup();
    edges.truncate(BINS - 1);
    edges
}
