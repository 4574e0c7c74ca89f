//! The models of Rapport: numbers in, numbers out.

pub mod artifact;
