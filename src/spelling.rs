//! What somebody who misspelt a name may have meant.

/// Returns the name most like `wrong`, where one is near enough to be meant.
pub fn nearest<'a>(wrong: &str, names: &'a [impl AsRef<str>]) -> Option<&'a str> {
    let best = names.iter().map(AsRef::as_ref).min_by_key(|name| distance(wrong, name))?;
    (distance(wrong, best) <= wrong.len().max(6) / 3).then_some(best)
}

/// Levenshtein distance: the fewest letters to insert, remove or replace.
fn distance(a: &str, b: &str) -> usize {
    // A name that long is no slip of the finger, and may come from outside.
    let a = a.chars().take(100);
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let change = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let names = ["availability", "stock", "price"];
        assert_eq!(nearest("availabilty", &names), Some("availability"));
        assert_eq!(nearest("stok", &names), Some("stock"));
        assert_eq!(nearest("material", &names), None);
        assert_eq!(nearest("", &names), None);
    }
}
