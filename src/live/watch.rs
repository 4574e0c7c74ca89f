//! Noticing a newly activated build, and swapping it in.

use std::sync::Arc;

use rapport_models::artifact::publish;
use tracing::{error, info};

use super::serving::ServedBuild;
use crate::metrics::Metrics;
use crate::site::Site;

/// Looks whether another build was activated, and serves it if it is sound.
///
/// A damaged build is refused with a message, once, and what was served before goes on being served. Blocking: it
/// reads the whole artifact.
pub fn look(site: &Site, metrics: &Metrics) {
    let active = match publish::active(&site.models_dir) {
        Ok(active) => active,
        Err(error) => return refuse(site, metrics, "(unreadable pointer)", &error),
    };
    let Some(active) = active else { return };
    let id = active.to_string();
    let serving = site.live.snapshot().build.as_ref().map(|b| b.id.clone());
    let mut refused = site.refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if serving.as_deref() == Some(&id) {
        // Should the refused one be activated again, it is looked at again.
        *refused = None;
        return;
    }
    if refused.as_deref() == Some(&id) {
        return;
    }
    drop(refused);
    match ServedBuild::open(&site.models_dir.join(&id)) {
        Ok(build) => {
            site.live.serve(Some(Arc::new(build)), &site.catalog);
            metrics.builds_loaded.with_label_values(&[site.id.as_str()]).inc();
            *site.refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
            info!(site = %site.id, build = %id, "Serving build {id}");
        }
        Err(error) => {
            refuse(site, metrics, &id, &error);
        }
    }
}

fn refuse(site: &Site, metrics: &Metrics, id: &str, error: &dyn std::fmt::Display) {
    let mut refused = site.refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if refused.as_deref() != Some(id) {
        error!(site = %site.id, build = %id, "Build {id} is refused and the build before it goes on being served: {error}");
        metrics.builds_refused.with_label_values(&[site.id.as_str()]).inc();
        *refused = Some(id.to_owned());
    }
}
