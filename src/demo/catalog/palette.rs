//! Colours, decorations and the collections that join the two.

/// A colour with the name the shop gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Colour {
    pub name: &'static str,
    pub rgb: u32,
}

/// How a surface is decorated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Motif {
    Plain,
    Stripes,
    Leaves,
    Speckles,
    Dots,
    Flowers,
    Waves,
    Band,
    Checks,
}

/// What a product of some design looks like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) name: &'static str,
    pub(super) colour: Colour,
    pub(super) motif: Motif,
    pub(super) collection: Option<&'static str>,
}

const COLOURS: &[Colour] = &[
    Colour { name: "chalk", rgb: 0xf1ece0 },
    Colour { name: "oat", rgb: 0xd8c4a0 },
    Colour { name: "oak", rgb: 0xc4955f },
    Colour { name: "walnut", rgb: 0x8a5f41 },
    Colour { name: "sage", rgb: 0x9cb08e },
    Colour { name: "fern", rgb: 0x5f8f63 },
    Colour { name: "forest", rgb: 0x2f5d50 },
    Colour { name: "teal", rgb: 0x2b7f86 },
    Colour { name: "sky", rgb: 0x92bdd6 },
    Colour { name: "blue", rgb: 0x4272ab },
    Colour { name: "navy", rgb: 0x2f3f66 },
    Colour { name: "heather", rgb: 0x9b88bb },
    Colour { name: "plum", rgb: 0x74415f },
    Colour { name: "rose", rgb: 0xdb919c },
    Colour { name: "red", rgb: 0xb9473f },
    Colour { name: "terracotta", rgb: 0xcb6f4e },
    Colour { name: "mustard", rgb: 0xdba743 },
    Colour { name: "charcoal", rgb: 0x4a4e56 },
];

const COLLECTIONS: &[(&str, &str, Motif)] = &[
    ("Saltmarsh", "sage", Motif::Leaves),
    ("Harbour", "blue", Motif::Stripes),
    ("Fernhill", "fern", Motif::Leaves),
    ("Ember", "terracotta", Motif::Band),
    ("Oatfield", "oat", Motif::Speckles),
    ("Midnight", "navy", Motif::Dots),
    ("Heather", "heather", Motif::Flowers),
    ("Bramble", "plum", Motif::Dots),
    ("Dog Rose", "rose", Motif::Flowers),
    ("Buttercup", "mustard", Motif::Flowers),
    ("Tidepool", "teal", Motif::Waves),
    ("Chalk", "chalk", Motif::Speckles),
    ("Coal", "charcoal", Motif::Plain),
    ("Skylark", "sky", Motif::Stripes),
    ("Redcurrant", "red", Motif::Checks),
];

/// Returns the look of a design: a collection's name, or `name=colour` for a product outside all collections.
pub(super) fn look(design: &'static str) -> Look {
    if let Some((name, colour)) = design.split_once('=') {
        return Look { name, colour: named(colour), motif: Motif::Plain, collection: None };
    }
    let known = COLLECTIONS.iter().find(|(name, ..)| *name == design);
    let &(name, colour, motif) = known.unwrap_or(&COLLECTIONS[0]);
    Look { name, colour: named(colour), motif, collection: Some(name) }
}

fn named(name: &str) -> Colour {
    COLOURS.iter().copied().find(|colour| colour.name == name).unwrap_or(COLOURS[0])
}

#[cfg(test)]
mod tests {
    use super::super::kinds::KINDS;
    use super::*;

    #[test]
    fn every_design_names_a_known_collection_or_colour() {
        for design in KINDS.iter().flat_map(|kind| kind.designs) {
            match design.split_once('=') {
                Some((_, colour)) => assert_eq!(named(colour).name, colour, "{design}"),
                None => assert_eq!(look(design).collection, Some(*design)),
            }
        }
    }
}
