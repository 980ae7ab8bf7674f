//! (room under construction)

#[doc(hidden)]
pub mod backend;
