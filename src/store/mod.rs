//! The sealed stores: redb over encrypted blocks, one file an organization and one for the system.
//!
//! A room declares its [`Table`]s, reads them through [`Read`] and changes them in [`Store::submit`], which groups the
//! commands that wait into one durable commit. Nothing is answered with success before the sync that covers it. No other
//! room knows redb. The bytes on disk are specified in `docs/formats/store.md`; every table is listed in `docs/data.md`.

#[doc(hidden)]
pub mod backend;
mod blocking;
pub mod check;
pub mod dump;
mod error;
mod facts;
pub mod figures;
mod folder;
pub mod history;
mod migrate;
mod queue;
mod rewrite;
mod shape;
mod shelf;
mod stores;
mod table;
mod txn;
mod view;
mod writer;

pub use backend::FileState;
pub use blocking::blocking;
pub use error::StoreError;
pub use facts::{bytes_held, lineage};
pub use folder::make_folder;
pub use rewrite::{Progress, Rewritten};
pub use shape::{EventShape, Shape, Shapes, events, own_shapes};
pub use shelf::{Layout, Shelf, Walked};
pub use stores::{Stores, is_sealed_by, key_of_file, walk_closed};
pub use table::{Key, Record, Table, decode, encode};
pub use txn::Txn;
pub use view::{Order, Read, Span, View};
pub use writer::{SCHEMA, Store, Version, WriterFigures};
