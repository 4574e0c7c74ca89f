pub mod documents;
pub mod profile;
pub mod store_engine;
