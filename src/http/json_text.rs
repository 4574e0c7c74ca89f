//! JSON written straight into the bytes of an answer.
//!
//! Most of a decision's answer is the same every time: names, brackets, words of ours. They are copied as they are; only
//! what comes from outside is escaped, and numbers are written as `serde_json` writes them.

use serde::Serialize;

/// JSON that is being written.
#[derive(Debug)]
pub struct Json(Vec<u8>);

impl Json {
    /// Returns an empty text with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Writes JSON as it is.
    pub fn raw(&mut self, json: &str) -> &mut Self {
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    /// Writes a text in quotes.
    pub fn text(&mut self, text: &str) -> &mut Self {
        // RFC 8259, section 7: what must be escaped.
        if text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
            return self.value(&text);
        }
        self.raw("\"").raw(text).raw("\"")
    }

    /// Writes any value; its maps must have texts as keys.
    pub fn value(&mut self, value: &impl Serialize) -> &mut Self {
        // Memory takes all that is written, and values with other keys than texts are not written here.
        if serde_json::to_writer(&mut self.0, value).is_err() {
            self.raw("null");
        }
        self
    }

    /// Writes items with commas between them.
    pub fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) -> &mut Self {
        for (number, item) in items.into_iter().enumerate() {
            if number > 0 {
                self.raw(",");
            }
            write(self, item);
        }
        self
    }

    /// Returns what was written, as text.
    pub fn into_text(self) -> Box<str> {
        // Texts and what serde writes are UTF-8; were they not, this would read as their replacement and not panic.
        String::from_utf8_lossy(&self.0).into()
    }

    /// Returns what was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_written_as_serde_writes_them() {
        for text in ["", "JUMBO BAG", "5\" plate", "a\\b", "tab\there", "Straße 商品 \u{7f}\u{2028}", "\u{0}"] {
            let mut json = Json::with_capacity(0);
            json.text(text);
            assert_eq!(json.into_bytes(), serde_json::to_vec(text).unwrap());
        }
    }
}
