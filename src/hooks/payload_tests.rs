use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::text::Explain;

const JSON: Option<&str> = Some("application/json");
const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

#[track_caller]
fn reads(content_type: Option<&str>, body: &[u8], format: Format, want: &Value) {
    let got = read(content_type, body)
        .unwrap_or_else(|e| panic!("{content_type:?} {:?}: {e}", String::from_utf8_lossy(body)));
    assert_eq!((got.format, &got.value), (format, want), "{content_type:?} {:?}", String::from_utf8_lossy(body));
}

#[track_caller]
fn held(content_type: Option<&str>, body: &[u8], want: &Unreadable) {
    let got = read(content_type, body);
    assert_eq!(got.as_ref(), Err(want), "{content_type:?} {:?}", String::from_utf8_lossy(body));
}

#[test]
fn json() {
    reads(JSON, r#"{"件名":"注文"}"#.as_bytes(), Format::Json, &json!({"件名": "注文"}));
    reads(Some("application/vnd.api+json; charset=utf-8"), b"[1,2.5,-3]", Format::Json, &json!([1, 2.5, -3]));
    reads(Some("Application/JSON"), b"\xef\xbb\xbf {\"a\":null}", Format::Json, &json!({"a": null}));
    reads(None, b" \n{\"a\":true}", Format::Json, &json!({"a": true}));
    reads(Some("text/plain"), b"[\"x\"]", Format::Json, &json!(["x"]));
    reads(FORM, b"{\"a\":\"x=y&z\"}", Format::Json, &json!({"a": "x=y&z"}));
    reads(JSON, br#""\ud83d\ude00 \\ud800""#, Format::Json, &json!("😀 \\ud800"));
    reads(JSON, b"\xff\xfe{\0}\0", Format::Json, &json!({}));
}

#[test]
fn keys_keep_their_order_and_the_last_of_a_repeated_one_wins() {
    let got = read(JSON, br#"{"z":1,"a":{"b":1,"b":2},"z":3,"b":4,"z":5}"#);
    let text = got.as_ref().map(|payload| payload.value.to_string());
    assert_eq!(text.as_deref(), Ok(r#"{"z":5,"a":{"b":2},"b":4}"#));
    assert_eq!(got.map(|payload| payload.repeated_keys), Ok(vec!["b".to_owned(), "z".to_owned()]));
}

#[test]
fn forms() {
    reads(
        FORM,
        "name=山田商店&tel=03-0000-0000&body=至急".as_bytes(),
        Format::Form,
        &json!({"name": "山田商店", "tel": "03-0000-0000", "body": "至急"}),
    );
    reads(FORM, b"a=1&b%5B%5D=2&a=3&c=", Format::Form, &json!({"a": ["1", "3"], "b": ["2"], "c": ""}));
    reads(FORM, b"payload=%7B%22zen%22%3A%22x%22%7D", Format::Json, &json!({"zen": "x"}));
    reads(FORM, b"payload=%7B%7D&token=t", Format::Form, &json!({"payload": "{}", "token": "t"}));
    reads(FORM, b"payload=hello", Format::Form, &json!({"payload": "hello"}));
    reads(FORM, b"{a=1", Format::Form, &json!({"{a": "1"}));
    held(FORM, b"payload=%7B%22a%22", &Unreadable::Malformed { line: 1, column: 4 });
}

#[test]
fn charsets() {
    reads(
        Some("application/json; charset=\"Shift_JIS\""),
        b"{\"a\":\"\x92\x8d\x95\xb6\"}",
        Format::Json,
        &json!({"a": "注文"}),
    );
    reads(Some("text/plain;charset=EUC-JP"), b"\xc3\xed\xca\xb8", Format::Text, &json!({"text": "注文"}));
    reads(
        Some("application/x-www-form-urlencoded;charset=shift_jis"),
        b"a=%92%8D%95%B6",
        Format::Form,
        &json!({"a": "注文"}),
    );
    held(JSON, b"{\"a\":\"\x92\x8d\"}", &Unreadable::NotInCharset { charset: "UTF-8" });
    held(FORM, b"a=%92%8D", &Unreadable::NotInCharset { charset: "UTF-8" });
    held(Some("application/json; charset=x-own"), b"{}", &Unreadable::UnknownCharset { charset: "x-own".to_owned() });
    held(
        Some("application/json; charset=hz-gb-2312"),
        b"{}",
        &Unreadable::UnknownCharset { charset: "hz-gb-2312".to_owned() },
    );
}

#[test]
fn text() {
    reads(Some("text/plain"), "容量不足\nホスト a".as_bytes(), Format::Text, &json!({"text": "容量不足\nホスト a"}));
    reads(None, b"a=1", Format::Text, &json!({"text": "a=1"}));
    held(
        Some("multipart/form-data; boundary=x"),
        b"--x",
        &Unreadable::UnknownType { content_type: "multipart/form-data".to_owned() },
    );
    held(Some("application/xml"), b"<a/>", &Unreadable::UnknownType { content_type: "application/xml".to_owned() });
}

#[test]
fn what_is_held() {
    held(JSON, b"", &Unreadable::Empty);
    held(JSON, b" \r\n", &Unreadable::Empty);
    held(JSON, b"{\"a\":1,\n]", &Unreadable::Malformed { line: 2, column: 1 });
    held(JSON, b"{} x", &Unreadable::Malformed { line: 1, column: 4 });
    held(JSON, br#"{"a":"\ud83d"}"#, &Unreadable::LoneSurrogate);
    held(JSON, br#"{"a":"\ude00x"}"#, &Unreadable::LoneSurrogate);
    held(JSON, br#"["\ud83d\u0041"]"#, &Unreadable::LoneSurrogate);
    held(JSON, br#"["\\ud83d]"#, &Unreadable::Malformed { line: 1, column: 10 });
}

#[test]
fn limits_are_exact() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(JSON, nested(128).as_bytes()).is_ok());
    held(JSON, nested(129).as_bytes(), &Unreadable::TooDeep { max: 128 });
    held(JSON, "{\"a\":".repeat(500_000).as_bytes(), &Unreadable::TooDeep { max: 128 });
    let many = |values: usize| format!("[{}0]", "0,".repeat(values - 2));
    assert!(read(JSON, many(100_000).as_bytes()).is_ok());
    held(JSON, many(100_001).as_bytes(), &Unreadable::TooManyValues { max: 100_000 });
    held(FORM, "a&".repeat(100_001).as_bytes(), &Unreadable::TooManyValues { max: 100_000 });
}

#[test]
fn every_reason_is_explained_in_both_languages() {
    let text = String::new;
    let reasons = [
        Unreadable::Empty,
        Unreadable::UnknownType { content_type: text() },
        Unreadable::UnknownCharset { charset: text() },
        Unreadable::NotInCharset { charset: "" },
        Unreadable::Malformed { line: 1, column: 1 },
        Unreadable::LoneSurrogate,
        Unreadable::TooDeep { max: 1 },
        Unreadable::TooManyValues { max: 1 },
    ];
    for reason in reasons {
        crate::text::assert_spoken(&reason);
        assert_eq!(reason.message().key, format!("delivery-held-{}", reason.code()));
    }
}

/// JSON values as senders write them.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "(.|\\n){0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec(("title|subject|name|data|payload|id|\\PC{0,6}", inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn json_survives_with_its_order(value in any_json()) {
        let text = value.to_string();
        let got = read(JSON, text.as_bytes()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(got.value.to_string(), text);
        prop_assert!(got.repeated_keys.is_empty());
    }

    #[test]
    fn no_body_panics(
        content_type in "(application/json|text/plain|application/x-www-form-urlencoded|.{0,10})(; ?charset=(utf-8|shift_jis|euc-jp|iso-2022-jp|utf-16|.{0,5}))?",
        body in proptest::collection::vec(any::<u8>(), 0..120),
        text in "([\\[\\]{}:,\"\\\\ueEd8=&%+-]|[0-9]|.){0,60}",
    ) {
        let _ = read(Some(&content_type), &body);
        let _ = read(Some(&content_type), text.as_bytes());
        let _ = read(None, text.as_bytes());
    }
}
