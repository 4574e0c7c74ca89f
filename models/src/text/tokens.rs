//! From a text to its words, in any script.

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A word between spaces or punctuation, folded.
    Word(&'a str),
    /// Characters of a script that does not part its words, or whose words take endings: Chinese, Japanese, Korean.
    Ideographs(&'a str),
}

/// Tells `each` the words of a text in their order, in lower case, without accents, wide letters narrowed.
///
/// `word` is memory the words are put together in.
pub(crate) fn tokens(text: &str, word: &mut String, mut each: impl FnMut(Token<'_>)) {
    let mut ideographs = false;
    word.clear();
    for raw in text.chars() {
        let character = fold(raw);
        let of_run = is_ideograph(character);
        if !character.is_alphanumeric() && !of_run {
            // "women's" is one word.
            if !matches!(character, '\'' | '’') {
                flush(word, ideographs, &mut each);
            }
            continue;
        }
        if of_run != ideographs {
            flush(word, ideographs, &mut each);
            ideographs = of_run;
        }
        word.extend(character.to_lowercase());
    }
    flush(word, ideographs, &mut each);
}

fn flush(word: &mut String, ideographs: bool, each: &mut impl FnMut(Token<'_>)) {
    if !word.is_empty() {
        each(if ideographs { Token::Ideographs(word) } else { Token::Word(word) });
        word.clear();
    }
}

/// Han, kana and Hangul; with the marks that stand inside of words (々, ー).
fn is_ideograph(character: char) -> bool {
    matches!(character,
        '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{3096}' | '\u{30A1}'..='\u{30FA}' | '\u{30FC}'..='\u{30FF}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFF}')
}

/// Returns whether a run is Korean, which parts its words by spaces.
pub(crate) fn is_hangul(run: &str) -> bool {
    run.starts_with(|first| matches!(first, '\u{AC00}'..='\u{D7A3}'))
}

/// Takes accents off letters of Western European languages, and narrows full-width letters and digits.
fn fold(character: char) -> char {
    match character {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(character) - 0xFEE0).unwrap_or(character),
        'À'..='Å' | 'à'..='å' | 'Ā'..='ą' => 'a',
        'Ç' | 'ç' | 'Ć'..='č' => 'c',
        'È'..='Ë' | 'è'..='ë' | 'Ē'..='ě' => 'e',
        'Ì'..='Ï' | 'ì'..='ï' | 'Ĩ'..='ı' => 'i',
        'Ñ' | 'ñ' | 'Ń'..='ň' => 'n',
        'Ò'..='Ö' | 'Ø' | 'ò'..='ö' | 'ø' | 'Ō'..='ő' => 'o',
        'Ù'..='Ü' | 'ù'..='ü' | 'Ũ'..='ų' => 'u',
        'Ý' | 'ý' | 'ÿ' => 'y',
        'Ś'..='š' => 's',
        'Ź'..='ž' => 'z',
        'Ł' | 'ł' => 'l',
        'Đ' | 'đ' | 'Ď' | 'ď' => 'd',
        'Ř' | 'ř' => 'r',
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let mut found = Vec::new();
        tokens(text, &mut String::new(), |token| {
            found.push(match token {
                Token::Word(word) => word.to_owned(),
                Token::Ideographs(run) => format!("[{run}]"),
            });
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn words_of_many_scripts() {
        check("WHITE HANGING HEART T-LIGHT HOLDER", &["white", "hanging", "heart", "t", "light", "holder"]);
        check("Women's café crème, 3/4 l", &["womens", "cafe", "creme", "3", "4", "l"]);
        check("Ärmelloses Kleid – größe ４２", &["armelloses", "kleid", "große", "42"]);
        check("红色连衣裙 XL", &["[红色连衣裙]", "xl"]);
        check("赤いマグカップ300ml", &["[赤いマグカップ]", "300ml"]);
        check("빨간 머그컵", &["[빨간]", "[머그컵]"]);
        check("красный чайник", &["красный", "чайник"]);
        check(" ?! ", &[]);
    }
}
