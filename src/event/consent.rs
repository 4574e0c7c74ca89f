//! What a visitor has agreed to, and the proof that code which stores needs.
//!
//! `analytics` or `personalization` opens the event log; only `personalization` folds into a profile; only `analytics`
//! is learnt from and counted in reports.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// The purposes granted, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Purposes {
    pub analytics: bool,
    pub personalization: bool,
    pub marketing: bool,
    pub sale_share: bool,
}

/// What was agreed to, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Consent {
    pub purposes: Purposes,
    /// When the visitor said so; nothing where the site's policy was applied.
    pub at: Option<Timestamp>,
}

/// What a sender says was agreed to; a purpose it does not mention is the site's policy to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConsentClaim {
    pub analytics: Option<bool>,
    pub personalization: Option<bool>,
    pub marketing: Option<bool>,
    pub sale_share: Option<bool>,
    pub at: Option<Timestamp>,
}

impl ConsentClaim {
    /// Returns the consent that holds under a site's policy.
    pub fn resolve(self, policy: Purposes) -> Consent {
        let purposes = Purposes {
            analytics: self.analytics.unwrap_or(policy.analytics),
            personalization: self.personalization.unwrap_or(policy.personalization),
            marketing: self.marketing.unwrap_or(policy.marketing),
            sale_share: self.sale_share.unwrap_or(policy.sale_share),
        };
        Consent { purposes, at: self.at }
    }

    /// Returns whether it takes anything back.
    pub fn denies_something(&self) -> bool {
        [self.analytics, self.personalization, self.marketing, self.sale_share].contains(&Some(false))
    }

    /// Returns the claim that says exactly this consent.
    pub fn from_consent(consent: Consent) -> Self {
        let Purposes { analytics, personalization, marketing, sale_share } = consent.purposes;
        Self {
            analytics: Some(analytics),
            personalization: Some(personalization),
            marketing: Some(marketing),
            sale_share: Some(sale_share),
            at: consent.at,
        }
    }
}

/// Keeping the event and learning from it.
#[derive(Debug)]
pub enum Storage {}
/// Remembering it in the visitor's profile.
#[derive(Debug)]
pub enum Personalization {}
/// Learning from it and counting it.
#[derive(Debug)]
pub enum Analytics {}

/// Proof that a purpose was granted. Only [`Purposes`] can make one, so code that takes it cannot be called without.
#[derive(Debug, Clone, Copy)]
pub struct Granted<P> {
    purpose: PhantomData<P>,
}

impl Purposes {
    /// Nothing is allowed.
    pub const NONE: Self = Self { analytics: false, personalization: false, marketing: false, sale_share: false };

    /// Everything is allowed.
    pub const ALL: Self = Self { analytics: true, personalization: true, marketing: true, sale_share: true };

    /// Returns proof that the event may be kept at all.
    pub fn storage(self) -> Option<Granted<Storage>> {
        (self.analytics || self.personalization).then_some(Granted { purpose: PhantomData })
    }

    /// Returns proof that the event may be folded into a profile.
    pub fn personalization(self) -> Option<Granted<Personalization>> {
        self.personalization.then_some(Granted { purpose: PhantomData })
    }

    /// Returns proof that the event may be learnt from.
    pub fn analytics(self) -> Option<Granted<Analytics>> {
        self.analytics.then_some(Granted { purpose: PhantomData })
    }

    /// Returns the set packed into four bits.
    pub fn bits(self) -> u8 {
        u8::from(self.analytics)
            | u8::from(self.personalization) << 1
            | u8::from(self.marketing) << 2
            | u8::from(self.sale_share) << 3
    }

    /// Returns the set of four bits.
    pub fn from_bits(bits: u8) -> Self {
        Self { analytics: bits & 1 != 0, personalization: bits & 2 != 0, marketing: bits & 4 != 0, sale_share: bits & 8 != 0 }
    }
}

impl Granted<Storage> {
    /// Returns proof that a withdrawal may be recorded: only of someone of whom something was allowed to be kept.
    pub fn to_record_a_withdrawal(from: &Consent) -> Option<Self> {
        from.purposes.storage()
    }
}

impl Consent {
    /// Returns whichever was said later, so that an offline batch cannot undo a withdrawal.
    ///
    /// What was said beats a policy; of two statements of the same moment the one that allows less holds.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        match (self.at, other.at) {
            (None, Some(_)) => other,
            (Some(_), None) => self,
            (Some(a), Some(b)) if a > b => self,
            (Some(a), Some(b)) if a < b => other,
            (None, None) | (Some(_), Some(_)) => {
                let bits = self.purposes.bits() & other.purposes.bits();
                Self { purposes: Purposes::from_bits(bits), at: self.at }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_word_holds() {
        let all = |at| Consent { purposes: Purposes::ALL, at };
        let none = |at| Consent { purposes: Purposes::NONE, at };
        let cases = [
            ("withdrawn later", all(Some(Timestamp(1))), none(Some(Timestamp(2))), Purposes::NONE),
            ("an old batch arrives late", none(Some(Timestamp(2))), all(Some(Timestamp(1))), Purposes::NONE),
            ("granted later", none(Some(Timestamp(1))), all(Some(Timestamp(2))), Purposes::ALL),
            ("at once: the lesser", all(Some(Timestamp(2))), none(Some(Timestamp(2))), Purposes::NONE),
            ("said beats policy", all(None), none(Some(Timestamp(1))), Purposes::NONE),
        ];
        for (name, one, two, expected) in cases {
            assert_eq!(one.later(two).purposes, expected, "{name}");
            assert_eq!(two.later(one).purposes, expected, "{name}, reversed");
        }
    }

    #[test]
    fn storing_needs_analytics_or_personalization() {
        for bits in 0..16u8 {
            let purposes = Purposes::from_bits(bits);
            assert_eq!(purposes.bits(), bits);
            assert_eq!(purposes.storage().is_some(), bits & 3 != 0);
            assert_eq!(purposes.personalization().is_some(), bits & 2 != 0);
        }
    }
}
