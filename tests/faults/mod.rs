//! What goes wrong in operation, done to the real binary on purpose.

#![allow(clippy::unwrap_used, reason = "a fault that cannot be caused is a test that fails")]

mod bucket;
mod builds;
mod clock;
mod disk;
mod kill;
mod redis;
mod redis_faults;
mod rolling;
mod stop;
mod two_processes;
