//! What shoppers care about, and what goes with what.
//!
//! These are the truths the recommendations should discover; the server never sees this file.

use super::super::catalog::Shape;

/// Something a person shops for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Theme {
    Tea,
    Table,
    Cosy,
    Garden,
    Trail,
    Desk,
    Party,
    Child,
    Tidy,
    Bath,
    Dog,
}

impl Theme {
    pub(super) const ALL: [Self; 11] = [
        Self::Tea,
        Self::Table,
        Self::Cosy,
        Self::Garden,
        Self::Trail,
        Self::Desk,
        Self::Party,
        Self::Child,
        Self::Tidy,
        Self::Bath,
        Self::Dog,
    ];
}

/// Returns the themes a kind of product belongs to, the first being the stronger.
pub(super) fn themes(shape: Shape) -> &'static [Theme] {
    match shape {
        Shape::Mug | Shape::EspressoCup | Shape::Teapot | Shape::Cafetiere | Shape::TeaTowel => &[Theme::Tea],
        Shape::Jug | Shape::Tray => &[Theme::Tea, Theme::Table],
        Shape::StorageJar | Shape::Tin => &[Theme::Tidy, Theme::Tea],
        Shape::Apron | Shape::Board | Shape::Saucepan => &[Theme::Table, Theme::Tea],
        Shape::Plate | Shape::Bowl | Shape::Tumbler | Shape::Carafe | Shape::Napkins | Shape::Cutlery => &[Theme::Table],
        Shape::Cushion | Shape::Throw | Shape::Candle | Shape::Lamp | Shape::Clock => &[Theme::Cosy],
        Shape::Vase | Shape::Frame => &[Theme::Cosy, Theme::Party],
        Shape::DinnerCandles | Shape::Candlestick => &[Theme::Table, Theme::Cosy],
        Shape::Lantern => &[Theme::Cosy, Theme::Garden],
        Shape::Towel | Shape::Soap | Shape::HandWash => &[Theme::Bath],
        Shape::Basket | Shape::PegRail | Shape::Box => &[Theme::Tidy],
        Shape::PlantPot | Shape::WateringCan | Shape::Trowel | Shape::Gloves | Shape::BirdHouse | Shape::Seeds => {
            &[Theme::Garden]
        }
        Shape::Flask | Shape::Bottle | Shape::Torch | Shape::PicnicRug | Shape::Umbrella => &[Theme::Trail],
        Shape::LunchBox => &[Theme::Trail, Theme::Child],
        Shape::Notebook | Shape::Pencils | Shape::DeskTidy => &[Theme::Desk],
        Shape::Card | Shape::Wrap | Shape::Bunting => &[Theme::Party],
        Shape::Bear | Shape::Rabbit | Shape::Train | Shape::Puzzle | Shape::Blocks => &[Theme::Child],
        Shape::Kite => &[Theme::Child, Theme::Trail],
        Shape::DogBowl | Shape::DogLead => &[Theme::Dog, Theme::Trail],
    }
}

/// Returns what people add to such a product, likeliest first.
pub(super) fn complements(shape: Shape) -> &'static [Shape] {
    match shape {
        Shape::Teapot => &[Shape::Mug, Shape::TeaTowel, Shape::Jug, Shape::Tray],
        Shape::Mug => &[Shape::Teapot, Shape::Mug, Shape::TeaTowel, Shape::Tray],
        Shape::EspressoCup => &[Shape::Cafetiere, Shape::EspressoCup],
        Shape::Cafetiere => &[Shape::EspressoCup, Shape::StorageJar],
        Shape::Jug => &[Shape::Teapot, Shape::Bowl, Shape::TeaTowel],
        Shape::StorageJar => &[Shape::StorageJar, Shape::Tin, Shape::Cafetiere],
        Shape::TeaTowel => &[Shape::Apron, Shape::Teapot, Shape::TeaTowel],
        Shape::Apron => &[Shape::TeaTowel, Shape::Board, Shape::Saucepan],
        Shape::Board => &[Shape::Apron, Shape::TeaTowel, Shape::Cutlery],
        Shape::Tray => &[Shape::Mug, Shape::Teapot, Shape::Napkins],
        Shape::Saucepan => &[Shape::Apron, Shape::Bowl, Shape::Board],
        Shape::Plate => &[Shape::Bowl, Shape::Napkins, Shape::Cutlery, Shape::Tumbler],
        Shape::Bowl => &[Shape::Plate, Shape::Napkins, Shape::Cutlery],
        Shape::Tumbler => &[Shape::Carafe, Shape::Plate],
        Shape::Carafe => &[Shape::Tumbler, Shape::Napkins],
        Shape::Napkins => &[Shape::Plate, Shape::DinnerCandles, Shape::Candlestick],
        Shape::Cutlery => &[Shape::Plate, Shape::Bowl, Shape::Napkins],
        Shape::Cushion => &[Shape::Throw, Shape::Cushion],
        Shape::Throw => &[Shape::Cushion, Shape::Candle],
        Shape::Vase => &[Shape::Candle, Shape::Vase],
        Shape::Frame => &[Shape::Frame, Shape::Clock],
        Shape::Clock => &[Shape::Frame, Shape::Lamp],
        Shape::Candle => &[Shape::Throw, Shape::Candle, Shape::Vase],
        Shape::DinnerCandles => &[Shape::Candlestick, Shape::Lantern, Shape::Napkins],
        Shape::Candlestick => &[Shape::DinnerCandles, Shape::Candlestick],
        Shape::Lantern => &[Shape::DinnerCandles, Shape::Lantern],
        Shape::Lamp => &[Shape::Cushion, Shape::Throw],
        Shape::Towel => &[Shape::Soap, Shape::HandWash, Shape::Towel],
        Shape::Soap => &[Shape::HandWash, Shape::Towel, Shape::Soap],
        Shape::HandWash => &[Shape::Soap, Shape::Towel],
        Shape::Basket => &[Shape::Box, Shape::PegRail],
        Shape::PegRail => &[Shape::Basket, Shape::Box],
        Shape::Box => &[Shape::Box, Shape::Basket],
        Shape::Tin => &[Shape::StorageJar, Shape::TeaTowel],
        Shape::PlantPot => &[Shape::WateringCan, Shape::Seeds, Shape::PlantPot, Shape::Trowel],
        Shape::WateringCan => &[Shape::PlantPot, Shape::Seeds, Shape::Gloves],
        Shape::Trowel => &[Shape::Gloves, Shape::Seeds, Shape::PlantPot],
        Shape::Gloves => &[Shape::Trowel, Shape::Seeds],
        Shape::BirdHouse => &[Shape::Seeds, Shape::BirdHouse],
        Shape::Seeds => &[Shape::Seeds, Shape::PlantPot, Shape::Trowel],
        Shape::Flask => &[Shape::LunchBox, Shape::PicnicRug, Shape::Bottle],
        Shape::Bottle => &[Shape::LunchBox, Shape::Flask],
        Shape::LunchBox => &[Shape::Bottle, Shape::Flask],
        Shape::Torch => &[Shape::Flask, Shape::Umbrella],
        Shape::PicnicRug => &[Shape::Flask, Shape::LunchBox, Shape::Kite],
        Shape::Umbrella => &[Shape::Torch, Shape::DogLead],
        Shape::Notebook => &[Shape::Pencils, Shape::DeskTidy, Shape::Notebook],
        Shape::Pencils => &[Shape::Notebook, Shape::DeskTidy],
        Shape::DeskTidy => &[Shape::Pencils, Shape::Notebook],
        Shape::Card => &[Shape::Wrap, Shape::Card, Shape::Bunting],
        Shape::Wrap => &[Shape::Card, Shape::Wrap],
        Shape::Bunting => &[Shape::Card, Shape::Wrap],
        Shape::Bear => &[Shape::Card, Shape::Rabbit, Shape::Blocks],
        Shape::Rabbit => &[Shape::Card, Shape::Bear],
        Shape::Train => &[Shape::Blocks, Shape::Wrap],
        Shape::Puzzle => &[Shape::Pencils, Shape::Puzzle],
        Shape::Kite => &[Shape::PicnicRug, Shape::LunchBox],
        Shape::Blocks => &[Shape::Train, Shape::Bear],
        Shape::DogBowl => &[Shape::DogLead],
        Shape::DogLead => &[Shape::DogBowl, Shape::Torch],
    }
}
