//! The API, as callers see it.

mod first_day;
mod openapi;
