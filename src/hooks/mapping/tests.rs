use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::hooks::payload::{self, tests::any_json};

const FIELDS: [Field<'_>; 3] = [
    Field { key: "email", label: "メール" },
    Field { key: "tel", label: "電話" },
    Field { key: "company_name", label: "会社名" },
];

fn filled(mapped: &Mapped) -> Vec<(&str, &str)> {
    mapped.fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

#[test]
fn a_payload_without_a_mapping() {
    #[track_caller]
    fn case(content_type: &str, body: &str, title: Option<&str>, fields: &[(&str, &str)]) {
        let payload = payload::read(Some(content_type), body.as_bytes()).unwrap_or_else(|e| panic!("{body}: {e}"));
        let mapped = plain(&payload.value, &Fields::of(&FIELDS));
        assert_eq!(mapped.title.as_ref().map(Title::as_str), title, "{body}");
        assert_eq!(filled(&mapped), fields, "{body}");
    }
    const JSON: &str = "application/json";
    const FORM: &str = "application/x-www-form-urlencoded";
    // The worked examples of the guide.
    case(
        JSON,
        r#"{"type":"form.submitted","data":{"title":"見積もりのご相談","email":"a@example.jp"}}"#,
        Some("見積もりのご相談"),
        &[("email", "a@example.jp")],
    );
    case(
        JSON,
        r#"{"action":"opened","issue":{"title":"Build fails on ARM","number":7}}"#,
        Some("Build fails on ARM"),
        &[],
    );
    case(FORM, "name=山田商店&tel=03-0000-0000&body=至急お願いします", Some("山田商店"), &[("tel", "03-0000-0000")]);
    case(JSON, "[1,2,3]", None, &[]);
    // Order of keys, then of places.
    case(JSON, r#"{"text":"e","summary":"d","name":"c","subject":"b","title":"a"}"#, Some("a"), &[]);
    case(JSON, r#"{"text":"e","summary":"d","name":"c","subject":"b"}"#, Some("b"), &[]);
    case(JSON, r#"{"text":"e","summary":"d"}"#, Some("d"), &[]);
    case(JSON, r#"{"text":"\n 一行目\n二行目"}"#, Some("一行目"), &[]);
    case(JSON, r#"{"data":{"title":"下"},"text":"上"}"#, Some("上"), &[]);
    case(JSON, r#"{"record":{"title":"5"},"event":{"title":"4"},"object":{"title":"3"}}"#, Some("3"), &[]);
    case(JSON, r#"{"payload":{"name":"2"},"data":{"text":"1"}}"#, Some("1"), &[]);
    case(JSON, r#"{"title":" ","subject":null,"name":7,"summary":{"a":1},"text":"これ"}"#, Some("これ"), &[]);
    case(JSON, r#"{"data":[{"title":"配列の中"}]}"#, Some("配列の中"), &[]);
    // Any string, but none that a program wrote for a program.
    case(JSON, r#""ただの文字列""#, Some("ただの文字列"), &[]);
    case(JSON, r#"{"eventType":"Opened","node_id":"abc","nodeId":"abc","note":"本文"}"#, Some("本文"), &[]);
    case(
        JSON,
        r#"{"a":"https://example.jp/x y","b":"https://example.jp/","c":"2026-11-22T14:31:07.5+09:00","d":"2026年11月22日","e":"Sun, 22 Nov 2026 14:31:07 +0900","f":"550e8400-e29b-41d4-a716-446655440000","g":"evt_1MqqbK","h":"03-0000-0000","i":"orders/create","j":"mailto:a@b.jp"}"#,
        Some("https://example.jp/x y"),
        &[],
    );
    case(
        JSON,
        r#"{"b":"https://example.jp/","c":"2026-11-22T14:31:07.5+09:00","d":"2026年11月22日","e":"Sun, 22 Nov 2026 14:31:07 +0900","f":"550e8400-e29b-41d4-a716-446655440000","g":"evt_1MqqbK","h":"03-0000-0000","i":"orders/create","j":"mailto:a@b.jp"}"#,
        None,
        &[],
    );
    let (short, long) = ("あ".repeat(200), "あ".repeat(201));
    case(JSON, &format!(r#"{{"a":"{long}","b":"{short}"}}"#), Some(&short), &[]);
    case(JSON, &format!(r#"{{"a":"{long}"}}"#), None, &[]);
    // Cut, and cleaned of what hides or reorders.
    let titled = |title: &str| format!(r#"{{"title":"{title}"}}"#);
    case(JSON, &titled(&"字".repeat(500)), Some(&"字".repeat(500)), &[]);
    case(JSON, &titled(&"字".repeat(501)), Some(&format!("{}…", "字".repeat(499))), &[]);
    case(JSON, &titled(r"請求\u202e書\u0000\n  至急\u2066"), Some("請求書 至急"), &[]);
    case(JSON, &titled(r"\u202e\u0007"), None, &[]);
    // Fields by key or label, with case, width and kana folded.
    case(JSON, r#"{"title":"x","ＥＭＡＩＬ":"a@b.jp","電話":"1"}"#, Some("x"), &[("email", "a@b.jp"), ("tel", "1")]);
    case(JSON, r#"{"title":"x","めーる":"a@b.jp","ﾒｰﾙ":"c@d.jp"}"#, Some("x"), &[("email", "a@b.jp")]);
    case(JSON, r#"{"title":"x","data":{"Tel":312345678}}"#, Some("x"), &[("tel", "312345678")]);
    case(JSON, r#"{"title":"x","tel":null,"data":{"tel":["1",2]}}"#, Some("x"), &[("tel", "1, 2")]);
    case(
        JSON,
        r#"{"title":"x","tel":{"a":1},"email":"","会社名":"見本\r\n工業"}"#,
        Some("x"),
        &[("company_name", "見本\n工業")],
    );
}

#[test]
fn a_key_goes_before_another_fields_label() {
    let fields = [Field { key: "a", label: "tel" }, Field { key: "tel", label: "電話" }];
    assert_eq!(filled(&plain(&json!({"Tel": "1"}), &Fields::of(&fields))), [("tel", "1")]);
}

#[test]
fn a_value_that_does_not_fit_is_noted() {
    let mapped = plain(&json!({"title": "x", "tel": "1".repeat(2_001)}), &Fields::of(&FIELDS));
    assert_eq!(filled(&mapped), []);
    assert_eq!(mapped.misfits, [("tel".to_owned(), TextError::TooLong { chars: 2_001, max: 2_000 })]);
}

#[test]
fn mappings() {
    /// Title, status, fields and key.
    type Want<'w> = (Option<&'w str>, Option<&'w str>, &'w [(&'w str, &'w str)], Option<&'w str>);
    #[track_caller]
    fn case(mapping: &Value, payload: &Value, want: Want<'_>) {
        let parsed = Mapping::parse(mapping).unwrap_or_else(|e| panic!("{mapping}: {e}"));
        let mapped = parsed.apply(payload, &Fields::of(&FIELDS));
        let title = mapped.title.as_ref().map(Title::as_str);
        let status = mapped.status.as_ref().map(Name::as_str);
        assert_eq!((title, status, filled(&mapped).as_slice(), mapped.key.as_deref()), want, "{mapping} of {payload}");
        assert_eq!(Mapping::parse(&parsed.to_value()), Ok(parsed), "{mapping} written and read");
    }
    let payload = json!({"subject": "件名", "from": {"name": "見本　工業", "a/b~c": "x"}, "tags": ["a", "b"], "no": 7, "tel": "1"});
    case(&json!({"title": "/subject"}), &payload, (Some("件名"), None, &[("tel", "1")], None));
    case(
        &json!({"title": "{/from/name} より：{/subject}", "fields": {}}),
        &payload,
        (Some("見本　工業 より：件名"), None, &[], None),
    );
    case(
        &json!({"title": "/tags/1", "status": "新規", "fields": {"email": "/from/a~1b~0c", "tel": "{/tags} #{/no}"}, "key": "/no"}),
        &payload,
        (Some("b"), Some("新規"), &[("email", "x"), ("tel", "a, b #7")], Some("7")),
    );
    case(
        &json!({"title": "{{{/no}}}", "status": "/none", "key": "/none", "fields": null}),
        &payload,
        (Some("{7}"), None, &[("tel", "1")], None),
    );
    // A title that the payload lacks is found by the rule; a half-filled one stands.
    case(&json!({"title": "{/none}{/from}", "fields": {}}), &payload, (Some("件名"), None, &[], None));
    case(&json!({"title": "a{/none}b{/no}", "fields": {"gone": "/no"}}), &payload, (Some("ab7"), None, &[], None));
    case(&json!({"title": "固定"}), &json!(3), (Some("固定"), None, &[], None));
}

#[test]
fn keys_too_long_to_keep_still_tell_cards_apart() {
    let mapping = Mapping::parse(&json!({"title": "/t", "key": "/k"})).expect("a mapping");
    let key = |k: &str| mapping.apply(&json!({ "k": k }), &Fields::default()).key.unwrap_or_default();
    let long = "k".repeat(300);
    assert_eq!(key("order 7"), "order 7");
    assert!(key(&long).starts_with("blake3:") && key(&long).len() == 71);
    assert_ne!(key(&long), key(&format!("{long}x")));
    assert_ne!(key("a\nb"), key("a b"));
}

#[test]
fn broken_mappings_name_member_and_rule() {
    #[track_caller]
    fn case(mapping: &Value, want: &[(&str, Rule)]) {
        let faults = Mapping::parse(mapping).map_or_else(|e| e.0, |_| Vec::new());
        let got: Vec<_> = faults.iter().map(|fault| (fault.field.as_str(), fault.rule.clone())).collect();
        assert_eq!(got, want, "{mapping}");
        for fault in &faults {
            crate::text::assert_spoken(&fault.rule);
        }
    }
    let not_pointer = |text: &str| Rule::Template(TemplateError::NotPointer { text: text.to_owned() });
    case(&json!([]), &[("mapping", Rule::NotObject)]);
    case(&json!({}), &[("title", Rule::Missing)]);
    case(&json!({"title": null}), &[("title", Rule::Missing)]);
    case(
        &json!({"title": 3, "status": " ", "color": 1}),
        &[("color", Rule::Unknown), ("title", Rule::NotText), ("status", Rule::Template(TemplateError::Empty))],
    );
    case(&json!({"title": "a{b"}), &[("title", Rule::Template(TemplateError::Unclosed { at: 2 }))]);
    case(&json!({"title": "字}b"}), &[("title", Rule::Template(TemplateError::Stray { at: 2 }))]);
    case(&json!({"title": "{a}"}), &[("title", not_pointer("a"))]);
    case(&json!({"title": "{}"}), &[("title", not_pointer(""))]);
    case(&json!({"title": "/a~2"}), &[("title", Rule::Template(TemplateError::BadEscape { text: "/a~2".to_owned() }))]);
    case(&json!({"title": "/a~"}), &[("title", Rule::Template(TemplateError::BadEscape { text: "/a~".to_owned() }))]);
    case(
        &json!({"title": "x".repeat(2_001)}),
        &[("title", Rule::Template(TemplateError::TooLong { chars: 2_001, max: 2_000 }))],
    );
    case(&json!({"title": "/a", "key": "id-{/a}"}), &[("key", Rule::NotPointer)]);
    case(&json!({"title": "/a", "fields": []}), &[("fields", Rule::NotObject)]);
    case(
        &json!({"title": "/a", "fields": {"Tel": "/a", "b": 1}}),
        &[("fields.Tel", Rule::Key(TextError::NotInKey { at: 1 })), ("fields.b", Rule::NotText)],
    );
    let many: Map<String, Value> = (0..101).map(|n| (format!("f{n}"), json!("/a"))).collect();
    case(&json!({"title": "/a", "fields": many}), &[("fields", Rule::TooManyFields { max: 100 })]);

    let mapping = Mapping::parse(&json!({"title": "/a", "fields": {"tel": "/a", "fax": "/a"}})).expect("a mapping");
    let refused = mapping.check_fields(&FIELDS);
    assert_eq!(refused, Err(MappingError(vec![Fault { field: "fields.fax".to_owned(), rule: Rule::NoSuchField }])));
    crate::text::assert_spoken(&Rule::NoSuchField);
    assert_eq!(
        refused.map_err(|e| e.to_string()),
        Err("the mapping cannot be used: `fields.fax`: is no text field of this board".to_owned())
    );
}

#[test]
fn a_payload_as_a_table() {
    let payload = json!({"a": {"b/c": "x\u{202e}y", "list": [1, "二"]}, "items": [{"n": null}, {"n": true}], "none": [], "o": {}});
    let got = rows(&payload, 10);
    let got: Vec<_> =
        got.rows.iter().map(|row| (row.label.as_str(), row.pointer.as_str(), row.value.as_str())).collect();
    assert_eq!(
        got,
        [
            ("a › b/c", "/a/b~1c", "xy"),
            ("a › list", "/a/list", "1, 二"),
            ("items › 1 › n", "/items/0/n", ""),
            ("items › 2 › n", "/items/1/n", "true"),
            ("none", "/none", ""),
            ("o", "/o", ""),
        ]
    );
    assert_eq!((rows(&payload, 3).rows.len(), rows(&payload, 3).left_out), (3, 3));
    assert_eq!(rows(&json!("x"), 3).rows.len(), 1);
    assert_eq!(rows(&json!({"long": "字".repeat(3_000)}), 3).rows[0].value.chars().count(), 2_000);
}

proptest! {
    #[test]
    fn no_payload_panics_and_all_that_comes_out_is_clean(payload in any_json(), title in "([/{}~a-c01]|.){0,12}", key in "/[a-c0-9/]{0,6}") {
        for mapped in [
            Some(plain(&payload, &Fields::of(&FIELDS))),
            Mapping::parse(&json!({"title": title, "key": key, "fields": {"tel": title}})).ok().map(|mapping| mapping.apply(&payload, &Fields::of(&FIELDS))),
        ].into_iter().flatten() {
            for (key, value) in &mapped.fields {
                prop_assert!(FIELDS.iter().any(|field| field.key == key));
                prop_assert_eq!(TextValue::parse(value.as_str()), Ok(value.clone()));
            }
        }
        for rows_max in [0, 3, 1000] {
            let table = rows(&payload, rows_max);
            prop_assert!(table.rows.len() <= rows_max.max(1));
            for row in &table.rows {
                let at = payload.pointer(&row.pointer);
                prop_assert!(at.is_some(), "{} leads nowhere", row.pointer);
            }
        }
        prop_assert_eq!(rows(&payload, 3).rows.len() + rows(&payload, 3).left_out, rows(&payload, 1000).rows.len());
    }

    #[test]
    fn templates_survive_being_written(source in "(\\{/[a-z~01/]{0,5}\\}|\\{\\{|\\}\\}|[a-z 字/]){1,12}") {
        if let Ok(template) = Template::parse(&source) {
            prop_assert_eq!(Template::parse(template.source()), Ok(template.clone()));
        }
    }
}
