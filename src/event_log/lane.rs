//! What is shed first when more comes in than the disk takes.

use crate::event::{Event, EventKind};

/// How much an append matters. Of what may wait, each lane may fill a part; the last one all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Views and the like, of which the next will come in a moment.
    Browse,
    /// What says what somebody wants: carts, searches, wish lists.
    Intent,
    /// Purchases, refunds, and words on consent: shed last.
    Binding,
}

impl Lane {
    /// All lanes, the first to be shed first.
    pub const ALL: [Self; 3] = [Self::Browse, Self::Intent, Self::Binding];

    /// Returns the lane of a batch: that of its most important event.
    pub fn of(events: &[Event]) -> Self {
        events.iter().map(|event| Self::of_kind(&event.kind)).max().unwrap_or(Self::Browse)
    }

    fn of_kind(kind: &EventKind) -> Self {
        match kind {
            EventKind::Purchase | EventKind::Refund | EventKind::ConsentUpdate => Self::Binding,
            EventKind::AddToCart
            | EventKind::RemoveFromCart
            | EventKind::BeginCheckout
            | EventKind::AddShippingInfo
            | EventKind::AddPaymentInfo
            | EventKind::AddToWishlist
            | EventKind::RemoveFromWishlist
            | EventKind::Search
            | EventKind::Login
            | EventKind::SignUp => Self::Intent,
            EventKind::ViewItemList
            | EventKind::SelectItem
            | EventKind::ViewItem
            | EventKind::ViewCart
            | EventKind::ViewPromotion
            | EventKind::SelectPromotion
            | EventKind::PageView
            | EventKind::Other(_) => Self::Browse,
        }
    }

    /// Returns how much of `most` this lane may fill.
    pub fn share(self, most: usize) -> usize {
        let quarters = match self {
            Self::Browse => 2,
            Self::Intent => 3,
            Self::Binding => 4,
        };
        (most.saturating_mul(quarters) / 4).max(1)
    }

    /// Returns the name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Browse => "browse",
            Self::Intent => "intent",
            Self::Binding => "binding",
        }
    }
}
