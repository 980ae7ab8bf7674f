//! The first line is a template, the rest a JSON payload.
#![no_main]

use libfuzzer_sys::fuzz_target;
use workrun::hooks::{
    mapping::{Field, Fields, Mapping, plain},
    payload,
};

fuzz_target!(|input: &str| {
    let fields = [Field { key: "tel", label: "電話" }, Field { key: "email", label: "メール" }];
    let fields = Fields::of(&fields);
    let (template, body) = input.split_once('\n').unwrap_or(("", input));
    let Ok(read) = payload::read(Some("application/json"), body.as_bytes()) else { return };
    let _ = plain(&read.value, &fields);
    let document = serde_json::json!({ "title": template, "status": template, "fields": { "tel": template } });
    if let Ok(mapping) = Mapping::parse(&document) {
        assert_eq!(Mapping::parse(&mapping.to_value()).as_ref(), Ok(&mapping));
        let _ = mapping.apply(&read.value, &fields);
    }
});
