//! The storefront's pages, compiled in.

/// Returns an asset of the storefront and its content type.
///
/// `path` is what follows `/demo/`. The addresses of pages (the front page, `category/…`, `product/…`, `basket`,
/// `thank-you`) all answer the one document, whose script shows the page the address names.
pub fn asset(path: &str) -> Option<(&'static [u8], &'static str)> {
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    Some(match path {
        "assets/shop.css" => (include_bytes!("assets/shop.css"), "text/css; charset=utf-8"),
        "assets/shop.js" => (include_bytes!("assets/shop.js"), SCRIPT),
        "assets/pages.js" => (include_bytes!("assets/pages.js"), SCRIPT),
        "assets/shelves.js" => (include_bytes!("assets/shelves.js"), SCRIPT),
        "assets/basket.js" => (include_bytes!("assets/basket.js"), SCRIPT),
        "assets/consent.js" => (include_bytes!("assets/consent.js"), SCRIPT),
        "assets/live.js" => (include_bytes!("assets/live.js"), SCRIPT),
        "assets/dom.js" => (include_bytes!("assets/dom.js"), SCRIPT),
        "assets/icon.svg" => (include_bytes!("assets/icon.svg"), "image/svg+xml"),
        page if is_page(page) => (include_bytes!("assets/index.html"), "text/html; charset=utf-8"),
        _ => return None,
    })
}

fn is_page(path: &str) -> bool {
    let one_name = |rest: Option<&str>| rest.is_some_and(|name| !name.is_empty() && !name.contains('/'));
    matches!(path, "" | "index.html" | "basket" | "thank-you" | "wishlist")
        || one_name(path.strip_prefix("category/"))
        || one_name(path.strip_prefix("product/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_answer_the_document_and_strangers_nothing() {
        for page in ["", "category/kitchen", "product/LF-1001", "basket", "thank-you"] {
            assert!(asset(page).is_some_and(|(_, kind)| kind.starts_with("text/html")), "{page}");
        }
        for stranger in ["product/", "product/a/b", "assets/none.js", "../secret", "live.json"] {
            assert!(asset(stranger).is_none(), "{stranger}");
        }
    }

    #[test]
    fn a_strict_policy_lets_everything_work() {
        let html = std::str::from_utf8(asset("").unwrap().0).unwrap();
        assert!(!html.contains(" style=") && !html.contains(" on") && !html.contains("<style"));
        for tag in html.split("<script").skip(1) {
            assert!(tag.contains("src=\"") && tag.contains("></script>"), "{tag}");
        }
    }

    #[test]
    fn everything_the_pages_import_is_there() {
        let (html, _) = asset("").unwrap();
        let linked = std::str::from_utf8(html).unwrap().split("\"/demo/").skip(1);
        for path in linked.filter_map(|rest| rest.split('"').next()).filter(|path| path.starts_with("assets/")) {
            assert!(asset(path).is_some(), "{path}");
        }
        for script in ["shop", "pages", "shelves", "basket", "consent", "live", "dom"] {
            let (source, _) = asset(&format!("assets/{script}.js")).unwrap();
            let source = std::str::from_utf8(source).unwrap();
            for import in source.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(asset(&format!("assets/{import}")).is_some(), "{script}.js imports {import}");
            }
            assert!(!source.contains("innerHTML"), "{script}.js");
        }
    }
}
