//! What kind of thing happened, by its GA4 name.

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// The kind of an event. Known kinds carry the GA4 e-commerce names; any other valid name is kept as it is.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum EventKind {
            /// A name that means nothing to us but something to the shop. First, so that the list below can grow.
            Other(Box<str>),
            $($name,)*
        }

        impl EventKind {
            /// Every kind we know by name.
            pub const KNOWN: &[EventKind] = &[$(EventKind::$name),*];

            /// Returns the name on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other(name) => name,
                }
            }

            /// Returns the kind of that name; nothing where it is no valid name (GA4: a letter, then up to 39 letters,
            /// digits and underscores).
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$name),)*
                    _ => {
                        let mut bytes = name.bytes();
                        let valid = bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
                            && name.len() <= 40
                            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
                        valid.then(|| Self::Other(name.into()))
                    }
                }
            }
        }
    };
}

// The log stores the position in this list: append only.
kinds! {
    ViewItemList = "view_item_list",
    SelectItem = "select_item",
    ViewItem = "view_item",
    AddToCart = "add_to_cart",
    RemoveFromCart = "remove_from_cart",
    ViewCart = "view_cart",
    BeginCheckout = "begin_checkout",
    AddShippingInfo = "add_shipping_info",
    AddPaymentInfo = "add_payment_info",
    Purchase = "purchase",
    Refund = "refund",
    AddToWishlist = "add_to_wishlist",
    RemoveFromWishlist = "remove_from_wishlist",
    ViewPromotion = "view_promotion",
    SelectPromotion = "select_promotion",
    Search = "search",
    PageView = "page_view",
    Login = "login",
    SignUp = "sign_up",
    ConsentUpdate = "consent_update",
}

impl EventKind {
    /// Returns whether an event of this kind says nothing without items.
    pub fn needs_items(&self) -> bool {
        matches!(
            self,
            Self::SelectItem
                | Self::ViewItem
                | Self::AddToCart
                | Self::RemoveFromCart
                | Self::Purchase
                | Self::AddToWishlist
                | Self::RemoveFromWishlist
        )
    }

    /// Returns what models learn from an event of this kind; nothing where they learn nothing from it.
    ///
    /// One answer for the build and for what is counted between builds: the two must agree.
    pub fn signal(&self) -> Option<Signal> {
        match self {
            Self::ViewItem | Self::SelectItem => Some(Signal::View),
            Self::AddToCart => Some(Signal::Cart),
            Self::Purchase => Some(Signal::Purchase),
            Self::ViewItemList
            | Self::RemoveFromCart
            | Self::ViewCart
            | Self::BeginCheckout
            | Self::AddShippingInfo
            | Self::AddPaymentInfo
            | Self::Refund
            | Self::AddToWishlist
            | Self::RemoveFromWishlist
            | Self::ViewPromotion
            | Self::SelectPromotion
            | Self::Search
            | Self::PageView
            | Self::Login
            | Self::SignUp
            | Self::ConsentUpdate
            | Self::Other(_) => None,
        }
    }
}

/// What an event says about the items it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Somebody looked at them.
    View,
    /// Somebody put them into a cart.
    Cart,
    /// Somebody bought them together.
    Purchase,
}
