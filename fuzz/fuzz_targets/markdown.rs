//! No comment makes an element or an address that a page should not hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use workrun::text::markdown;

fuzz_target!(|comment: &str| {
    let html = markdown::render(comment);
    for tag in html.split('<').skip(1) {
        let name = tag.trim_start_matches('/').split([' ', '>']).next().unwrap_or_default();
        assert!(markdown::ELEMENTS.contains(&name), "element {name}");
        let inside = tag.split_once('>').map_or(tag, |(inside, _)| inside);
        for href in inside.split(" href=\"").skip(1) {
            assert!(["http:", "https:", "mailto:"].iter().any(|s| href.to_ascii_lowercase().starts_with(s)), "{href}");
        }
    }
});
