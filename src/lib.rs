//! Rapport: personalization and recommendations for shops.
//!
//! Four flows, each a folder:
//!
//! 1. **Collect** ([`collect`]): a beacon is decoded, validated, asked for consent, deduplicated, written to the
//!    [`event_log`] and, once it is durable, folded into the visitor's [`profile`].
//! 2. **Build** ([`build`]): the log becomes sessions and baskets, these become models, and an immutable artifact is
//!    written, evaluated, gated and activated. The maths is in the crate `rapport_models`.
//! 3. **Decide** ([`decide`]): a request takes one snapshot ([`live`]) of build and [`catalog`], finds candidates, and
//!    shows what can be bought.
//! 4. **Relate** (alerts, segments) is still to come.
//!
//! Around them: [`http`] is the only code that knows actix, [`cli`] has one file per command, [`control`] lets commands
//! reach a running server, [`import`] reads files, [`replay`] rebuilds profiles, [`dead_letters`] keeps
//! what was refused, [`backup`] copies everything and puts it back, [`demo`] is an invented shop.
//!
//! What holds everywhere:
//!
//! * `ok` means on disk. What was acknowledged is never lost.
//! * The log is the truth; profiles, known ids and builds are views of it.
//! * Every event has exactly one [`collect::outcome::Outcome`], and the counts add up.
//! * Time and randomness are arguments; the wall clock is read in [`clock`].
//! * Everything belongs to one site, and the key decides which.
//! * No decision fails because a model or a store is missing.

#![forbid(unsafe_code)]

pub mod app;
pub mod backup;
pub mod build;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod collect;
pub mod config;
pub mod control;
pub mod dead_letters;
pub mod decide;
pub mod demo;
pub mod documents;
pub mod event;
pub mod event_log;
pub mod http;
pub mod import;
pub mod keys;
pub mod live;
pub mod metrics;
pub mod numbered;
pub mod paths;
pub mod profile;
pub mod replay;
pub mod secrets;
pub mod site;
pub mod spelling;
pub mod store_engine;
pub mod telemetry;
pub mod tls;
