//! The model card of a build: what it was learnt from, how good it is, what it looks at, and what it is not for.
//!
//! Written into the build itself, as Markdown and as one page, so that it goes where the build goes and is covered by its checksums. The form follows Mitchell et
//! al., "Model Cards for Model Reporting" (FAT* 2019). The same build has the same card: nothing here reads a clock, and times are shown to the minute, as the
//! build's name has them.

mod content;
mod escape;
mod html;
mod markdown;
mod plot;
#[cfg(test)]
mod tests;

use std::path::Path;

use rapport_models::artifact::{Artifact, ArtifactError, BuildId, Draft, Manifest, publish};

use super::groups::Learned;

/// The card as Markdown and as a page, in the build's directory.
const MARKDOWN: &str = "card.md";
const HTML: &str = "card.html";

/// What a card tells of.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub manifest: &'a Manifest,
    /// The build it is compared with, which was active when it was made.
    pub active: Option<(&'a BuildId, &'a Manifest)>,
    /// Why it was not activated.
    pub gate: Option<&'a str>,
    pub learned: &'a Learned,
}

/// Writes both forms of the card.
pub fn write(draft: &mut Draft, subject: &Subject<'_>) -> Result<(), ArtifactError> {
    let blocks = content::of(subject);
    let title = content::title(subject);
    draft.write_slice(MARKDOWN, markdown::render(&title, &blocks).as_bytes())?;
    draft.write_slice(HTML, html::render(&title, &blocks).as_bytes())
}

/// How a card is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Markdown,
    Html,
}

/// Why there is no card to show.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    #[error("no build is active yet: `rapport build` makes one, `rapport builds list` shows those there are")]
    NoActive,
    #[error("build `{0}` does not exist: `rapport builds list` shows those there are")]
    NoBuild(String),
    #[error("build `{0}` has no card: it was made by a version that wrote none; the next `rapport build` writes one")]
    NoCard(String),
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

/// Returns a build's id and card after a full check of the build; without an id, those of the active build.
pub fn read(models_dir: &Path, build: Option<&str>, form: Form) -> Result<(BuildId, String), CardError> {
    let id = match build {
        Some(id) => BuildId::parse(id)?,
        None => publish::active(models_dir)?.ok_or(CardError::NoActive)?,
    };
    let dir = models_dir.join(id.as_str());
    if !dir.exists() {
        return Err(CardError::NoBuild(id.to_string()));
    }
    let artifact = Artifact::open(dir)?;
    let file = match form {
        Form::Markdown => MARKDOWN,
        Form::Html => HTML,
    };
    if !artifact.contains(file) {
        return Err(CardError::NoCard(id.to_string()));
    }
    let text = String::from_utf8_lossy(artifact.slice::<u8>(file)?).into_owned();
    Ok((id, text))
}
