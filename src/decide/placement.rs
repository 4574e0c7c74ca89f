//! The built-in placements and the ladders they climb down.

/// A source of candidates. Its name is what an answer says it was served by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rung {
    /// Bought in the same basket, by log-likelihood ratio.
    CoOccurrence,
    /// Viewed in the same session, by cosine.
    CoView,
    /// Like it by its words, and by the company it keeps.
    Similar,
    /// What goes with the items of this visit.
    Session,
    /// What somebody who bought this, or who has that in the basket, buys next.
    NextPurchase,
    /// Popular in the categories this visitor likes.
    Affinity,
    /// What this visitor looked at.
    History,
    /// What this visitor bought before, what is due first.
    Repeat,
    Trending,
    /// Popular in the category of the item on the page.
    PopularInCategory,
    Popular,
    /// Anything the catalog has, in its order: there is always an answer.
    Catalog,
}

impl Rung {
    /// Returns the name in answers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CoOccurrence => "co_occurrence",
            Self::CoView => "co_view",
            Self::Similar => "similar",
            Self::Session => "session",
            Self::NextPurchase => "next_purchase",
            Self::Affinity => "affinity",
            Self::History => "history",
            Self::Repeat => "repeat",
            Self::Trending => "trending",
            Self::PopularInCategory => "popular_in_category",
            Self::Popular => "popular",
            Self::Catalog => "catalog",
        }
    }

    /// Returns the reason a shopper may be told.
    pub fn reason(self) -> &'static str {
        match self {
            Self::CoOccurrence => "bought_together",
            Self::CoView => "viewed_together",
            Self::Similar => "similar",
            Self::Session => "from_this_visit",
            Self::NextPurchase => "likely_next",
            Self::Affinity => "your_taste",
            Self::History => "recently_viewed",
            Self::Repeat => "bought_before",
            Self::Trending => "trending",
            Self::PopularInCategory => "popular_in_category",
            Self::Popular => "popular",
            Self::Catalog => "from_the_catalog",
        }
    }
}

/// A named spot on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    pub id: &'static str,
    pub kind: Kind,
    /// For people: what it shows.
    pub title: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Items, from the first rung that has any, filled up from the next.
    Items(&'static [Rung]),
    /// The same by two ladders: one while a visit has shown no interest yet, another from then on.
    ByVisit { idle: &'static [Rung], begun: &'static [Rung] },
    /// A banner.
    Creative,
}

impl Kind {
    /// Returns the ladder for a visit that has shown an interest, or not yet; a banner has none.
    pub fn ladder(self, begun: bool) -> Option<&'static [Rung]> {
        match self {
            Self::Items(rungs) | Self::ByVisit { begun: rungs, .. } if begun => Some(rungs),
            Self::Items(rungs) | Self::ByVisit { idle: rungs, .. } => Some(rungs),
            Self::Creative => None,
        }
    }
}

use Rung::{
    Affinity, Catalog, CoOccurrence, CoView, History, NextPurchase, Popular, PopularInCategory, Repeat, Session, Similar,
    Trending,
};

/// The placements present on a fresh site.
pub const BUILT_IN: &[Placement] = &[
    Placement {
        id: "also-bought",
        kind: Kind::Items(&[CoOccurrence, CoView, PopularInCategory, Popular, Catalog]),
        title: "Customers who bought this also bought",
    },
    Placement {
        id: "also-viewed",
        // Who looks at a thing looks at things like it. Who buys it does not: the ladders of what is bought go without.
        kind: Kind::Items(&[CoView, CoOccurrence, Similar, PopularInCategory, Popular, Catalog]),
        title: "Customers who viewed this also viewed",
    },
    Placement {
        id: "bought-together",
        kind: Kind::Items(&[NextPurchase, CoOccurrence, PopularInCategory, Popular, Catalog]),
        title: "Goes well with your basket",
    },
    Placement {
        id: "similar",
        kind: Kind::Items(&[Similar, CoView, PopularInCategory, Popular, Catalog]),
        title: "Similar items",
    },
    Placement {
        id: "for-you",
        // What somebody looks at now says more than what they bought; until then that says more than what they looked at last time.
        kind: Kind::ByVisit {
            idle: &[NextPurchase, Session, Affinity, Trending, Popular, Catalog],
            begun: &[Session, NextPurchase, Affinity, Trending, Popular, Catalog],
        },
        title: "For you",
    },
    Placement { id: "recently-viewed", kind: Kind::Items(&[History]), title: "The page you made" },
    Placement { id: "buy-again", kind: Kind::Items(&[Repeat]), title: "Buy again" },
    Placement { id: "trending", kind: Kind::Items(&[Trending, Popular, Catalog]), title: "Trending now" },
    Placement { id: "home-hero", kind: Kind::Creative, title: "The banner of the home page" },
];

/// Returns the placement of that name.
pub fn find(id: &str) -> Option<&'static Placement> {
    BUILT_IN.iter().find(|p| p.id == id)
}
