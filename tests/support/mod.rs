//! What tests share: real servers, started here.

pub mod redis_server;
pub mod server;
