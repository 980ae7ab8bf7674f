//! What an object is called, and what a listing of the bucket says.

use std::{collections::BTreeMap, fmt::Write as _};

use super::super::Name;

/// The keyring's mirror.
pub(super) const KEYRING: &str = "keyring";
/// The folder of all segments.
pub(super) const SEGMENTS: &str = "segments/";

/// A segment's object, named by its stream's id: drawn for each attempt at writing a segment, it never comes twice.
pub(super) fn segment(id: &[u8; 32]) -> String {
    let mut name = String::with_capacity(SEGMENTS.len() + 68);
    name.push_str(SEGMENTS);
    for byte in id {
        let _ = write!(name, "{byte:02x}");
    }
    name + ".seg"
}

/// A generation's manifest: while it stands, the generation counts.
pub(super) fn manifest(name: &Name) -> String {
    format!("{name}/manifest")
}

/// Stands while a generation is to stay.
pub(super) fn pin(name: &Name) -> String {
    format!("{name}/pinned")
}

fn segment_id(object: &str) -> Option<[u8; 32]> {
    let hex = object.strip_prefix(SEGMENTS)?.strip_suffix(".seg")?;
    let mut id = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
        return None;
    }
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(id)
}

/// A generation in the bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    /// Length of the manifest.
    pub manifest: u64,
    pub pinned: bool,
}

/// What is in the bucket, of what is ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct There {
    pub generations: BTreeMap<Name, Listed>,
    /// Segments by their stream's id, with their length.
    pub segments: BTreeMap<[u8; 32], u64>,
    pub has_keyring: bool,
}

impl There {
    /// Reads a listing: names without the prefix, and lengths. What has another name is somebody else's.
    pub fn of(objects: &[(String, u64)]) -> Self {
        let mut there = Self::default();
        let mut pins = Vec::new();
        for (object, length) in objects {
            if object == KEYRING {
                there.has_keyring = true;
            } else if let Some(id) = segment_id(object) {
                there.segments.insert(id, *length);
            } else if let Some((folder, file)) = object.split_once('/')
                && let Some(name) = Name::parse(folder)
            {
                match file {
                    "manifest" => {
                        there.generations.insert(name, Listed { manifest: *length, pinned: false });
                    }
                    "pinned" => pins.push(name),
                    _ => {}
                }
            }
        }
        for name in pins {
            // A pin alone pins nothing.
            if let Some(listed) = there.generations.get_mut(&name) {
                listed.pinned = true;
            }
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_tells_ours_from_others() {
        let id = [0xab; 32];
        let name = Name::parse("2026-11-22T120003+0900").unwrap();
        let mut objects: Vec<(String, u64)> =
            vec![(segment(&id), 7), (manifest(&name), 5), (pin(&name), 0), (KEYRING.to_owned(), 9)];
        for other in [
            "segments/x.seg",
            "segments/notes.txt",
            "2026-11-22T120003+0900/other",
            "2026-11-23T120003+0900/pinned",
            "manifest",
            "photos/2026-11-22T120003+0900/manifest",
        ] {
            objects.push((other.to_owned(), 1));
        }
        let there = There::of(&objects);
        assert_eq!(there.segments, [(id, 7)].into());
        assert_eq!(there.generations, [(name, Listed { manifest: 5, pinned: true })].into());
        assert!(there.has_keyring);
    }
}
