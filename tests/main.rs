mod stores;
mod support;
