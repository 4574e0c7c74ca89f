//! Withdrawals that another node has heard.

use std::collections::{BTreeMap, BTreeSet};

use super::{LettersError, Select};
use crate::app::App;
use crate::event::SiteId;
use crate::profile::Profile;
use crate::profile::store::ProfileStore;

/// Removes the letters of those who are on record with a later word that nothing of them may be kept, and returns how many.
pub async fn honour(app: &App) -> Result<u64, LettersError> {
    let letters = &app.collector.dead_letters;
    let (mut select, mut removed) = (Select::default(), 0);
    loop {
        let page = letters.page(select.clone()).await?;
        let mut by_site: BTreeMap<&SiteId, Vec<_>> = BTreeMap::new();
        for letter in &page.letters {
            if let Some(visitor) = &letter.visitor {
                by_site.entry(&letter.site).or_default().push((letter, visitor.as_str()));
            }
        }
        let mut withdrawn = BTreeSet::new();
        for (site, of_site) in by_site {
            let visitors: BTreeSet<&str> = of_site.iter().map(|(_, visitor)| *visitor).collect();
            let visitors: Vec<&str> = visitors.into_iter().collect();
            let stored = app.profiles.get_many(site.as_str(), &visitors).await?;
            let consents: BTreeMap<&str, _> = visitors
                .into_iter()
                .zip(stored)
                .filter_map(|(visitor, stored)| Some((visitor, Profile::decode(&stored?.blob).ok()?.consent)))
                .collect();
            withdrawn.extend(of_site.into_iter().filter_map(|(letter, visitor)| {
                let consent = consents.get(visitor)?;
                // A letter that came after that word was judged by it, and says when consent was given anew.
                let withdrawn = consent.purposes.storage().is_none() && consent.at >= Some(letter.received_at);
                withdrawn.then_some(letter.position)
            }));
        }
        if !withdrawn.is_empty() {
            removed += letters.remove(withdrawn).await?;
        }
        let Some(next) = page.next else { return Ok(removed) };
        select.from = next;
    }
}
