//! What models of visits learn from.

/// Visits in the order of time, each oldest item first.
///
/// Items at or above `n_items` (by custom `u32::MAX`) are outside the catalog: they keep their place and teach nothing.
#[derive(Debug, Clone, Copy)]
pub struct Sessions<'a> {
    pub sessions: &'a [&'a [u32]],
    /// When each began, ascending, in any unit; where nobody knows, the number of the session will do.
    pub at: &'a [f32],
    pub n_items: usize,
}

impl<'a> Sessions<'a> {
    /// Returns the sessions up to but without number `end`.
    pub fn before(&self, end: usize) -> Self {
        let end = end.min(self.sessions.len());
        Self { sessions: &self.sessions[..end], at: &self.at[..end.min(self.at.len())], n_items: self.n_items }
    }

    /// Returns how long ago a session began, as a share of the time that all of them span: the newest is 0, the oldest 1.
    pub fn age(&self, session: usize) -> f32 {
        let (Some(first), Some(last)) = (self.at.first(), self.at.last()) else { return 0.0 };
        let span = last - first;
        if span > 0.0 { (last - self.at.get(session).unwrap_or(last)) / span } else { 0.0 }
    }
}
