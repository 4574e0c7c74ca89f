//! What Larkfield & Co. sells.
//!
//! About 360 products in twelve departments. Most belong to one of fifteen collections, which share a colour and a
//! decoration across kinds: a Saltmarsh teapot, Saltmarsh mugs, a Saltmarsh tea towel. Names are written down rather than
//! combined freely, so that none is absurd; the seed decides prices, brands and stock.

mod kinds;
mod palette;

use std::fmt::Write as _;

use serde_json::json;

use super::dice::Dice;
pub use kinds::Shape;
pub use palette::{Colour, Motif};

/// The shop's name, as its pages show it.
pub const SHOP: &str = "Larkfield & Co.";

/// ISO 4217 code of every price.
pub const CURRENCY: &str = "GBP";

/// One product of the shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    pub id: String,
    pub title: String,
    pub description: String,
    /// Department, then section.
    pub category: Vec<String>,
    pub brand: String,
    pub price_minor: i64,
    pub currency: &'static str,
    pub stock: i64,
    pub image_url: String,
    pub link: String,
    pub material: String,
    pub shape: Shape,
    pub colour: Colour,
    pub motif: Motif,
    /// The collection it belongs to, if any.
    pub collection: Option<&'static str>,
}

impl Product {
    /// Returns the price in units of the currency, as the wire has it.
    pub fn price(&self) -> f64 {
        self.price_minor as f64 / 100.0
    }

    fn catalog_item(&self) -> serde_json::Value {
        let mut attributes = json!({ "color": self.colour.name, "material": self.material });
        if let Some(collection) = self.collection {
            attributes["collection"] = collection.into();
        }
        json!({
            "item_id": self.id,
            "title": self.title,
            "description": self.description,
            "categories": self.category,
            "brand": self.brand,
            "price": self.price(),
            "currency": self.currency,
            "stock": self.stock,
            "visible": true,
            "image_url": self.image_url,
            "url": self.link,
            "attributes": attributes,
        })
    }
}

/// Returns the shop's products; the same for the same seed.
pub fn products(seed: u64) -> Vec<Product> {
    let mut dice = Dice::new(seed ^ 0x6c61_726b);
    let mut products = Vec::with_capacity(400);
    for (row, kind) in kinds::KINDS.iter().enumerate() {
        for (column, design) in kind.designs.iter().enumerate() {
            let look = palette::look(design);
            let title = match look.collection {
                Some(collection) => format!("{collection} {}", kind.noun),
                None => look.name.to_owned(),
            };
            let mut description = kind.text.replace("{colour}", look.colour.name);
            if let Some(collection) = look.collection {
                let _ = write!(description, " Part of our {collection} collection.");
            }
            let id = format!("LF-{}{:02}", 10 + row, column + 1);
            products.push(Product {
                title,
                description,
                category: vec![kind.department.to_owned(), kind.section.to_owned()],
                brand: kind.brands[dice.below(kind.brands.len())].to_owned(),
                price_minor: price(&mut dice, kind.price),
                currency: CURRENCY,
                stock: stock(&mut dice),
                image_url: format!("/demo/img/{id}.svg"),
                link: format!("/demo/product/{id}"),
                material: kind.material.to_owned(),
                shape: kind.shape,
                colour: look.colour,
                motif: look.motif,
                collection: look.collection,
                id,
            });
        }
    }
    products
}

/// Returns one JSON object a line, as `POST /v1/catalog/items` takes them.
pub fn catalog_ndjson(products: &[Product]) -> String {
    products.iter().fold(String::new(), |mut lines, product| {
        let _ = writeln!(lines, "{}", product.catalog_item());
        lines
    })
}

/// Returns the products as the storefront's pages read them: one JSON array.
pub fn storefront_json(products: &[Product]) -> String {
    let products: Vec<_> = products
        .iter()
        .map(|product| {
            json!({
                "id": product.id,
                "title": product.title,
                "description": product.description,
                "category": product.category,
                "brand": product.brand,
                "price": product.price(),
                "currency": product.currency,
                "stock": product.stock,
                "image_url": product.image_url,
                "url": product.link,
                "color": product.colour.name,
                "material": product.material,
                "collection": product.collection,
            })
        })
        .collect();
    serde_json::Value::from(products).to_string()
}

/// Returns a price in the range that ends as prices in shops do.
fn price(dice: &mut Dice, (low, high): (i64, i64)) -> i64 {
    let pounds = dice.between(low, high) / 100;
    let endings: &[i64] = if pounds < 10 { &[25, 50, 75, 95] } else { &[0, 50, 95] };
    (pounds * 100 + endings[dice.below(endings.len())]).clamp(low, high)
}

/// Returns units in stock: about one product in thirty is sold out, one in ten nearly.
fn stock(dice: &mut Dice) -> i64 {
    match dice.below(100) {
        0..=2 => 0,
        3..=12 => dice.between(1, 5),
        _ => dice.between(60, 900),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::*;

    #[test]
    fn products_are_many_valid_and_unique() {
        let products = products(7);
        assert!((340..=400).contains(&products.len()), "{} products", products.len());
        let ids: HashSet<_> = products.iter().map(|p| &p.id).collect();
        let titles: HashSet<_> = products.iter().map(|p| &p.title).collect();
        assert_eq!(ids.len(), products.len());
        assert_eq!(titles.len(), products.len());
        for product in &products {
            assert!(product.price_minor > 0 && product.stock >= 0, "{product:?}");
            assert_eq!(product.category.len(), 2, "{product:?}");
            assert!(!product.description.contains('{'), "{}", product.description);
            assert!(product.title.len() < 60, "{}", product.title);
        }
        let departments: BTreeSet<_> = products.iter().map(|p| p.category[0].as_str()).collect();
        assert_eq!(departments.len(), 12, "{departments:?}");
        assert!(products.iter().any(|p| p.stock == 0));
        assert!(products.iter().filter(|p| p.stock < 6).count() < products.len() / 4);
    }

    #[test]
    fn a_seed_gives_the_same_shop() {
        assert_eq!(products(7), products(7));
        assert_ne!(products(7), products(8));
    }

    #[test]
    fn every_line_of_the_catalog_is_an_item() {
        let products = products(7);
        let lines = catalog_ndjson(&products);
        assert_eq!(lines.lines().count(), products.len());
        for line in lines.lines() {
            let item: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(item["item_id"].is_string() && item["price"].is_number() && item["categories"].is_array());
        }
    }
}
