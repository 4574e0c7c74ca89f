//! A table by small numbers that is cheap to change and never changes under a reader.
//!
//! Values stand in pages that versions of the table share; a change copies the pages it touches and nothing else. A
//! lookup is two steps through arrays, without a hash or a lock.

use std::sync::Arc;

/// Values of a page: small enough to copy for one change, large enough that the list of pages stays short.
const PAGE: usize = 256;

/// Values by number; most numbers have none.
#[derive(Debug, Clone)]
pub(super) struct Pages<T> {
    pages: Vec<Option<Arc<Page<T>>>>,
}

type Page<T> = Vec<Option<Arc<T>>>;

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { pages: Vec::new() }
    }
}

impl<T> Pages<T> {
    /// Returns the value of a number.
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let number = number as usize;
        self.pages.get(number / PAGE)?.as_ref()?.get(number % PAGE)?.as_deref()
    }

    /// Sets or removes the value of a number; returns whether there was one.
    pub(super) fn set(&mut self, number: u32, value: Option<T>) -> bool {
        let (page, place) = (number as usize / PAGE, number as usize % PAGE);
        if page >= self.pages.len() {
            if value.is_none() {
                return false;
            }
            self.pages.resize_with(page + 1, || None);
        }
        if value.is_none() && self.pages[page].is_none() {
            return false;
        }
        let values = self.pages[page].get_or_insert_with(|| Arc::new((0..PAGE).map(|_| None).collect()));
        std::mem::replace(&mut Arc::make_mut(values)[place], value.map(Arc::new)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_earlier_versions_as_they_were() {
        let mut table = Pages::default();
        assert!(!table.set(700, None), "nothing to remove");
        assert!(!table.set(700, Some('a')));
        let before = table.clone();
        assert!(table.set(700, Some('b')));
        assert!(!table.set(3, Some('c')));
        assert_eq!((table.get(700), table.get(3), table.get(701)), (Some(&'b'), Some(&'c'), None));
        assert_eq!((before.get(700), before.get(3)), (Some(&'a'), None));
        assert!(table.set(700, None));
        assert_eq!((table.get(700), table.get(u32::MAX)), (None, None));
    }
}
