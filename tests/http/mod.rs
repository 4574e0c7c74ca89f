//! The API, as callers see it.

mod auth;
mod bad_input;
mod catalog;
mod consent;
mod decisions;
mod events;
mod first_day;
mod loss;
mod openapi;
mod purchases;
mod segment;
mod similar;
