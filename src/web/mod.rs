//! The web: pages, the JSON API, the webhooks' door and live streams, on poem.
//!
//! A request is parsed, its caller's standing established by a type in the handler's signature ([`caller`]), a domain room
//! is called, and the answer is laid out ([`view`]). Nothing is decided here. [`routes`] is the site map, [`site`] what
//! every request and every answer passes.

pub mod answer;
pub mod api;
pub mod app;
pub mod assets;
pub mod caller;
pub mod format;
pub mod inbound;
pub mod live;
pub mod metrics;
pub mod pages;
pub mod plain;
pub mod rates;
pub mod routes;
pub mod site;
pub mod view;
pub mod words;
