//! The web: poem, pages, the JSON API, webhooks' door and live streams.

pub mod assets;
pub mod view;
pub mod words;
