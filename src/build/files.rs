//! The arrays of an artifact: written by `build`, read by `live`, named once.

/// The ids of the items, in the order of their numbers.
pub const ITEMS: &str = "items";
/// Prefix of the neighbours by basket.
pub const ALSO_BOUGHT: &str = "also_bought";
/// Prefix of the neighbours by session.
pub const ALSO_VIEWED: &str = "also_viewed";
/// Baskets that hold each item.
pub const BOUGHT_COUNTS: &str = "bought.counts.u32";
/// Sessions that hold each item.
pub const VIEWED_COUNTS: &str = "viewed.counts.u32";
/// Prefix of what comes next in a visit.
pub const NEXT: &str = "next";
/// Prefix of what is bought next; only where people came back to buy.
pub const PURCHASE: &str = "purchase";
/// Prefix of the items' vectors.
pub const FACTORS: &str = "factors";
/// Items by decayed popularity.
pub const POPULAR_ITEMS: &str = "popular.items.u32";
pub const POPULAR_SCORES: &str = "popular.scores.f32";
/// Items that rise.
pub const TRENDING_ITEMS: &str = "trending.items.u32";
pub const TRENDING_SCORES: &str = "trending.scores.f32";
/// The manifest's parameter for the G² that pairs bought together had to reach.
pub const BOUGHT_FLOOR: &str = "also_bought.min_llr";
/// Prefix of the index over the factors: who keeps like company.
pub const NEAR: &str = "near";
