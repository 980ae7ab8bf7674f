//! What the records of every table are, put together from the rooms that own them.

use std::sync::LazyLock;

use super::{foundation, vault};
use crate::{
    backup,
    hooks::{delivery, endpoint},
    mail, people,
    store::{Shape, Shapes, events, history::Room, own_shapes},
    web::api,
    work,
};

/// Of all tables of the system's store and of organizations'.
pub static SHAPES: LazyLock<Shapes> = LazyLock::new(|| {
    let rooms: [&[Shape]; 16] = [
        &foundation::SHAPES,
        &vault::SHAPES,
        &backup::SHAPES,
        &mail::SHAPES,
        &people::directory::SHAPES,
        &people::invitations::SHAPES,
        &people::links::SHAPES,
        &people::members::SHAPES,
        &people::QUOTA_SHAPES,
        &people::sagas::SHAPES,
        &people::sessions::SHAPES,
        &people::sign_in::SHAPES,
        &people::tokens::SHAPES,
        &endpoint::SHAPES,
        &delivery::SHAPES,
        &api::SHAPES,
    ];
    let tables = rooms.into_iter().flatten().copied().chain(work::shapes()).chain(own_shapes());
    Shapes::new(
        tables,
        [
            events::<people::Event>(Room::People),
            events::<work::Event>(Room::Work),
            events::<endpoint::Event>(Room::Hooks),
        ],
    )
});

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs/data.md` lists every table; `tests/layers.rs` sees to that.
    #[test]
    fn every_table_has_a_shape() {
        let document = include_str!("../../docs/data.md");
        let listed =
            document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |")).filter(|(name, rest)| {
                // Tables have a column for who writes them; files have one for their key.
                !name.contains(['/', '.']) && rest.matches('|').count() == 3
            });
        let known: Vec<&str> = SHAPES.names().collect();
        let missing: Vec<&str> = listed.map(|(name, _)| name).filter(|name| !known.contains(name)).collect();
        assert!(missing.is_empty(), "no shape of {missing:?}");
        assert!(known.len() > 40);
    }
}
