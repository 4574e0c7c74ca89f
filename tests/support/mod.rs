//! What tests share: real servers, started here.

pub mod bucket;
pub mod load;
pub mod proxy;
pub mod redis_cluster;
pub mod redis_sentinel;
pub mod redis_server;
pub mod server;
