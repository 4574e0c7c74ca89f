//! Drawn pictures of the products: one flat illustration per [`Shape`], coloured by the product.
//!
//! A drawing is SVG in which colours are words (`$base`, `$dark`, `$wood`) and `<surface d="…"/>` is an area that carries
//! the product's colour, its decoration and a soft shade. Everything is written as presentation attributes: a strict
//! content security policy would drop inline styles.

mod dining;
mod garden;
mod home;
mod kitchen;
mod outdoor;
mod paper;
mod toys;

use std::fmt::Write as _;

use super::catalog::{Motif, Product, Shape};

/// Where a thing is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Standing on a table.
    Table,
    /// Lying flat or hanging, seen from the front.
    Flat,
    /// Out in the open, with a horizon.
    Sky,
}

/// Returns the product's picture as an SVG document of 400 × 400.
pub fn svg(product: &Product) -> String {
    let (stage, drawing) = drawing(product.shape);
    let ink = Ink::of(product);
    let mut svg = String::with_capacity(6_000);
    svg.push_str(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400" width="400" height="400"><defs>"#);
    svg.push_str(r##"<linearGradient id="shade"><stop offset="0" stop-color="#fff" stop-opacity=".14"/><stop offset=".45" stop-color="#fff" stop-opacity="0"/><stop offset="1" stop-color="#201a16" stop-opacity=".2"/></linearGradient>"##);
    svg.push_str(motif(product.motif));
    svg.push_str("</defs>");
    svg.push_str(backdrop(stage, ink.seed));
    svg.push_str(&surfaces(drawing));
    svg.push_str("</svg>");
    ink.fill(&svg)
}

/// Returns the drawing with every `<surface>` spelt out: colour, decoration, shade.
fn surfaces(drawing: &str) -> String {
    let mut out = String::with_capacity(drawing.len() * 2);
    let mut parts = drawing.split("<surface d=\"");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (path, rest) = part.split_once("\"/>").unwrap_or((part, ""));
        let _ = write!(
            out,
            r##"<path d="{path}" fill="$base"/><path d="{path}" fill="url(#motif)"/><path d="{path}" fill="url(#shade)"/>"##
        );
        out.push_str(rest);
    }
    out
}

fn motif(motif: Motif) -> &'static str {
    match motif {
        Motif::Plain => r#"<pattern id="motif" width="40" height="40" patternUnits="userSpaceOnUse"/>"#,
        Motif::Stripes => {
            r#"<pattern id="motif" width="26" height="26" patternUnits="userSpaceOnUse"><rect width="26" height="8" fill="$mark" opacity=".85"/></pattern>"#
        }
        Motif::Leaves => {
            r#"<pattern id="motif" width="44" height="48" patternUnits="userSpaceOnUse"><g fill="$mark" opacity=".8"><path d="M11 21q-9-9 0-18q9 9 0 18z"/><path d="M33 45q-9-9 0-18q9 9 0 18z"/></g><path d="M11 21v4M33 45v3" stroke="$mark" stroke-width="2"/></pattern>"#
        }
        Motif::Speckles => {
            r#"<pattern id="motif" width="56" height="52" patternUnits="userSpaceOnUse"><g fill="$mark" opacity=".75"><circle cx="8" cy="9" r="2.4"/><circle cx="30" cy="20" r="1.6"/><circle cx="46" cy="6" r="2"/><circle cx="17" cy="36" r="1.8"/><circle cx="42" cy="41" r="2.6"/><circle cx="52" cy="26" r="1.4"/></g></pattern>"#
        }
        Motif::Dots => {
            r#"<pattern id="motif" width="32" height="32" patternUnits="userSpaceOnUse"><g fill="$mark" opacity=".85"><circle cx="8" cy="8" r="4"/><circle cx="24" cy="24" r="4"/></g></pattern>"#
        }
        Motif::Flowers => {
            r#"<pattern id="motif" width="50" height="50" patternUnits="userSpaceOnUse"><g fill="$mark" opacity=".9"><circle cx="13" cy="7" r="4"/><circle cx="13" cy="19" r="4"/><circle cx="7" cy="13" r="4"/><circle cx="19" cy="13" r="4"/><circle cx="38" cy="32" r="4"/><circle cx="38" cy="44" r="4"/><circle cx="32" cy="38" r="4"/><circle cx="44" cy="38" r="4"/></g><circle cx="13" cy="13" r="3" fill="$accent"/><circle cx="38" cy="38" r="3" fill="$accent"/></pattern>"#
        }
        Motif::Waves => {
            r#"<pattern id="motif" width="40" height="24" patternUnits="userSpaceOnUse"><path d="M0 12q10-12 20 0t20 0" fill="none" stroke="$mark" stroke-width="4" opacity=".75"/></pattern>"#
        }
        Motif::Band => {
            r#"<pattern id="motif" width="400" height="400" patternUnits="userSpaceOnUse"><rect y="244" width="400" height="156" fill="$pale" opacity=".85"/><rect y="230" width="400" height="5" fill="$pale" opacity=".85"/></pattern>"#
        }
        Motif::Checks => {
            r#"<pattern id="motif" width="36" height="36" patternUnits="userSpaceOnUse"><g fill="$mark" opacity=".42"><rect width="18" height="36"/><rect width="36" height="18"/></g></pattern>"#
        }
    }
}

fn backdrop(stage: Stage, seed: u64) -> &'static str {
    match (stage, seed % 3) {
        (Stage::Table, 0) => {
            r#"<rect width="400" height="400" fill="$wall"/><path d="M60 300V210a140 140 0 0 1 280 0v90z" fill="$glow"/><rect y="298" width="400" height="102" fill="$floor"/><ellipse cx="206" cy="312" rx="130" ry="13" fill="$ink" opacity=".13"/>"#
        }
        (Stage::Table, 1) => {
            r#"<rect width="400" height="400" fill="$wall"/><circle cx="290" cy="120" r="76" fill="$glow"/><rect y="298" width="400" height="102" fill="$floor"/><ellipse cx="206" cy="312" rx="130" ry="13" fill="$ink" opacity=".13"/>"#
        }
        (Stage::Table, _) => {
            r#"<rect width="400" height="400" fill="$wall"/><path d="M0 0h150L30 298H0z" fill="$glow"/><path d="M205 0h70L155 298H85z" fill="$glow"/><rect y="298" width="400" height="102" fill="$floor"/><ellipse cx="206" cy="312" rx="130" ry="13" fill="$ink" opacity=".13"/>"#
        }
        (Stage::Flat, 0) => r#"<rect width="400" height="400" fill="$wall"/><circle cx="200" cy="200" r="168" fill="$glow"/>"#,
        (Stage::Flat, 1) => {
            r#"<rect width="400" height="400" fill="$wall"/><path d="M0 400V150Q120 70 230 150T400 120V400z" fill="$glow"/>"#
        }
        (Stage::Flat, _) => {
            r#"<rect width="400" height="400" fill="$wall"/><path d="M45 400V200a155 155 0 0 1 310 0v200z" fill="$glow"/>"#
        }
        (Stage::Sky, _) => {
            r##"<rect width="400" height="400" fill="#dcebf1"/><g fill="#fff" opacity=".85"><path d="M40 118h82a19 19 0 0 0-8-36 32 32 0 0 0-59-2 20 20 0 0 0-15 38z"/><path d="M272 86h76a17 17 0 0 0-7-32 28 28 0 0 0-52-2 18 18 0 0 0-17 34z"/></g><path d="M0 340q110-54 220-18t180-14v92H0z" fill="#c5d6b4"/><path d="M0 372q140-44 400-8v36H0z" fill="#aec49a"/>"##
        }
    }
}

fn drawing(shape: Shape) -> (Stage, &'static str) {
    use Stage::{Flat, Sky, Table};
    match shape {
        Shape::Mug => (Table, kitchen::MUG),
        Shape::EspressoCup => (Table, kitchen::ESPRESSO_CUP),
        Shape::Teapot => (Table, kitchen::TEAPOT),
        Shape::Jug => (Table, kitchen::JUG),
        Shape::Cafetiere => (Table, kitchen::CAFETIERE),
        Shape::StorageJar => (Table, kitchen::STORAGE_JAR),
        Shape::TeaTowel => (Flat, kitchen::TEA_TOWEL),
        Shape::Apron => (Flat, kitchen::APRON),
        Shape::Board => (Table, kitchen::BOARD),
        Shape::Tray => (Flat, kitchen::TRAY),
        Shape::Saucepan => (Table, kitchen::SAUCEPAN),
        Shape::Plate => (Flat, dining::PLATE),
        Shape::Bowl => (Table, dining::BOWL),
        Shape::Tumbler => (Table, dining::TUMBLER),
        Shape::Carafe => (Table, dining::CARAFE),
        Shape::Napkins => (Table, dining::NAPKINS),
        Shape::Cutlery => (Flat, dining::CUTLERY),
        Shape::Cushion => (Table, home::CUSHION),
        Shape::Throw => (Table, home::THROW),
        Shape::Vase => (Table, home::VASE),
        Shape::Frame => (Flat, home::FRAME),
        Shape::Clock => (Flat, home::CLOCK),
        Shape::Candle => (Table, home::CANDLE),
        Shape::DinnerCandles => (Table, home::DINNER_CANDLES),
        Shape::Candlestick => (Table, home::CANDLESTICK),
        Shape::Lantern => (Table, home::LANTERN),
        Shape::Lamp => (Table, home::LAMP),
        Shape::Towel => (Table, home::TOWEL),
        Shape::Soap => (Table, home::SOAP),
        Shape::HandWash => (Table, home::HAND_WASH),
        Shape::Basket => (Table, home::BASKET),
        Shape::PegRail => (Flat, home::PEG_RAIL),
        Shape::Box => (Table, home::BOX),
        Shape::Tin => (Table, home::TIN),
        Shape::PlantPot => (Table, garden::PLANT_POT),
        Shape::WateringCan => (Table, garden::WATERING_CAN),
        Shape::Trowel => (Flat, garden::TROWEL),
        Shape::Gloves => (Flat, garden::GLOVES),
        Shape::BirdHouse => (Sky, garden::BIRD_HOUSE),
        Shape::Seeds => (Flat, garden::SEEDS),
        Shape::Flask => (Table, outdoor::FLASK),
        Shape::Bottle => (Table, outdoor::BOTTLE),
        Shape::LunchBox => (Table, outdoor::LUNCH_BOX),
        Shape::Torch => (Flat, outdoor::TORCH),
        Shape::PicnicRug => (Table, outdoor::PICNIC_RUG),
        Shape::Umbrella => (Flat, outdoor::UMBRELLA),
        Shape::Notebook => (Flat, paper::NOTEBOOK),
        Shape::Pencils => (Flat, paper::PENCILS),
        Shape::DeskTidy => (Table, paper::DESK_TIDY),
        Shape::Card => (Table, paper::CARD),
        Shape::Wrap => (Table, paper::WRAP),
        Shape::Bunting => (Flat, paper::BUNTING),
        Shape::Bear => (Table, toys::BEAR),
        Shape::Rabbit => (Table, toys::RABBIT),
        Shape::Train => (Table, toys::TRAIN),
        Shape::Puzzle => (Flat, toys::PUZZLE),
        Shape::Kite => (Sky, toys::KITE),
        Shape::Blocks => (Table, toys::BLOCKS),
        Shape::DogBowl => (Table, outdoor::DOG_BOWL),
        Shape::DogLead => (Flat, outdoor::DOG_LEAD),
    }
}

/// The colours of one picture.
struct Ink {
    seed: u64,
    words: Vec<(&'static str, String)>,
}

impl Ink {
    fn of(product: &Product) -> Self {
        let base = product.colour.rgb;
        let seed = xxhash_rust::xxh3::xxh3_64(product.id.as_bytes());
        let bright = brightness(base) > 0.72;
        // A pale thing needs a wall it stands out from.
        let walls: &[u32] =
            if bright { &[0xcfdbd6, 0xdfcabd, 0xccd4e0, 0xd4d8c0] } else { &[0xf1e9dc, 0xe6eeeb, 0xf3e6e0, 0xe8eaf2, 0xedf0e0] };
        let wall = walls[(seed >> 8) as usize % walls.len()];
        let warm = (base >> 16) & 255 > base & 255;
        let mark = if bright { mix(base, 0x6b5137, 0.5) } else { mix(base, 0xfff8ec, 0.62) };
        let hex = |rgb: u32| format!("#{rgb:06x}");
        Self {
            seed,
            words: vec![
                ("$base", hex(base)),
                ("$darker", hex(mix(base, 0x241c1a, 0.42))),
                ("$dark", hex(mix(base, 0x241c1a, 0.2))),
                ("$light", hex(mix(base, 0xffffff, 0.35))),
                ("$pale", hex(mix(base, 0xfffaf0, 0.72))),
                ("$mark", hex(mark)),
                ("$accent", hex(if warm { 0x5d9398 } else { 0xe3a95c })),
                ("$wall", hex(wall)),
                ("$glow", hex(mix(wall, 0xffffff, 0.5))),
                ("$floor", hex(mix(wall, 0x8a6a4a, 0.17))),
                ("$woodd", hex(0x9d7145)),
                ("$wood", hex(0xc99d6a)),
                ("$metald", hex(0x8e959f)),
                ("$metal", hex(0xc7ccd2)),
                ("$brass", hex(0xd0a64c)),
                ("$cream", hex(0xfcf7ed)),
                ("$leaf", hex(0x6f9a63)),
                ("$leafd", hex(0x4d7a50)),
                ("$ink", hex(0x37343a)),
            ],
        }
    }

    fn fill(&self, svg: &str) -> String {
        let mut out = String::with_capacity(svg.len() + 1_000);
        let mut parts = svg.split('$');
        out.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(part.len());
            let (word, rest) = part.split_at(end);
            let colour = self.words.iter().find(|(name, _)| &name[1..] == word);
            out.push_str(colour.map_or("#000", |(_, hex)| hex));
            out.push_str(rest);
        }
        out
    }
}

fn channels(rgb: u32) -> [f64; 3] {
    [16, 8, 0].map(|shift| f64::from((rgb >> shift) & 255))
}

fn brightness(rgb: u32) -> f64 {
    let [red, green, blue] = channels(rgb);
    (0.299 * red + 0.587 * green + 0.114 * blue) / 255.0
}

fn mix(from: u32, to: u32, share: f64) -> u32 {
    let (from, to) = (channels(from), channels(to));
    (0..3).fold(0, |rgb, i| (rgb << 8) | (from[i] + (to[i] - from[i]) * share).round() as u32)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::super::catalog;
    use super::*;

    /// Checks that tags nest and attributes are quoted.
    #[track_caller]
    fn check_well_formed(svg: &str) {
        let mut open = Vec::new();
        for tag in svg.split('<').skip(1) {
            let (tag, text) = tag.split_once('>').expect("every tag ends");
            assert!(text.trim().is_empty() || open.last() == Some(&"text"), "stray text {text:?} in {svg}");
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name), "{svg}");
            } else if !tag.ends_with('/') {
                open.push(tag.split(' ').next().unwrap());
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn every_picture_is_well_formed_and_fully_coloured() {
        for product in catalog::products(7) {
            let svg = svg(&product);
            check_well_formed(&svg);
            assert!(!svg.contains('$') && !svg.contains("#000\"") && !svg.contains("<surface"), "{}", product.title);
            assert!(!svg.contains("style") && !svg.contains("script"), "{}", product.title);
            assert_eq!(svg, super::svg(&product));
        }
    }

    #[test]
    fn every_shape_has_a_drawing_of_its_own() {
        let shapes: HashMap<_, _> = catalog::products(7).iter().map(|p| (p.shape, drawing(p.shape).1)).collect();
        let drawings: HashSet<_> = shapes.values().collect();
        assert!(shapes.len() >= 24, "{}", shapes.len());
        assert_eq!(drawings.len(), shapes.len());
    }
}
