pub(crate) mod redis_server;
