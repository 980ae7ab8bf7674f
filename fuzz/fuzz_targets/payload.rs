//! The first line is the content type, the rest the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use workrun::hooks::{mapping, payload};

fuzz_target!(|input: &[u8]| {
    let (content_type, body) = input.iter().position(|&b| b == b'\n').map_or((&[][..], input), |at| (&input[..at], &input[at + 1..]));
    let content_type = std::str::from_utf8(content_type).ok();
    if let Ok(read) = payload::read(content_type, body) {
        let again = payload::read(Some("application/json"), read.value.to_string().as_bytes());
        assert!(again.is_ok(), "what was read is written as JSON that can be read");
        let table = mapping::rows(&read.value, 50);
        assert!(table.rows.len() <= 50);
    }
});
