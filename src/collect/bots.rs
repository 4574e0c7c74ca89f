//! Robots that say so.

/// Words by which crawlers, monitors and scripts name themselves, in lower case. Self-declared only: guessing from
/// behaviour would drop people. Headless browsers are not among them: shops test their own pages with those.
const WORDS: &[&str] = &[
    "bot",
    "crawl",
    "spider",
    "slurp",
    "facebookexternalhit",
    "mediapartners",
    "lighthouse",
    "pingdom",
    "uptimerobot",
    "statuscake",
    "bytespider",
    "archiver",
    "scrapy",
    "python-requests",
    "go-http-client",
    "libwww-perl",
];

/// Names that hold such a word and are people all the same.
const PEOPLE: &[&str] = &["cubot"];

/// Returns whether a User-Agent calls itself a robot. None at all is no robot.
pub fn is_bot(user_agent: Option<&str>) -> bool {
    let Some(agent) = user_agent else { return false };
    let agent = agent.to_ascii_lowercase();
    WORDS.iter().any(|word| agent.contains(word)) && !PEOPLE.iter().any(|name| agent.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn robots_that_say_so_are_known() {
        for agent in ["Mozilla/5.0 (compatible; Googlebot/2.1)", "bingbot/2.0", "AhrefsBot"] {
            assert!(is_bot(Some(agent)), "{agent}");
        }
        for agent in [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
            "Mozilla/5.0 (Linux; Android 11; CUBOT X50) AppleWebKit/537.36",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0 Safari/537.36",
            "curl/8.5.0",
            "",
        ] {
            assert!(!is_bot(Some(agent)), "{agent}");
        }
        assert!(!is_bot(None));
    }
}
