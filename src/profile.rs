pub mod embedded;
pub mod redis;
pub mod store;
