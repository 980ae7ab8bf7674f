//! What clients send wrongly: every refusal names the member and the rule, and changes nothing.

use super::*;
use crate::store::history;

/// Method, path, body; the members at fault, each with its rule.
type Case<'c> = (&'c str, &'c String, Value, Vec<(&'c str, &'c str)>);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_break_rules_are_named() {
    let bench = Bench::new().await;
    let board = bench.board().await;
    let card = bench.card(&board, "題").await;
    let (boards, cards, one) = ("/orgs/{org}/boards".to_owned(), cards_of(&board), path_of(&card));
    let (comments, hooks) = (format!("{one}/comments"), cards.replace("/cards", "/hooks"));
    let long = |count: usize| "字".repeat(count);
    let before = bench.store().view(history::head).expect("a head");
    let many: Value = (0..101).map(|n| (format!("f{n}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    let foreign = card["id"].as_str().expect("an id");
    let cases: Vec<Case<'_>> = vec![
        ("POST", &cards, json!({}), vec![("title", "required")]),
        ("POST", &cards, json!({"title": null}), vec![("title", "required")]),
        ("POST", &cards, json!([]), vec![("body", "type")]),
        ("POST", &cards, json!("x"), vec![("body", "type")]),
        ("POST", &cards, json!({"title": 5}), vec![("title", "type")]),
        ("POST", &cards, json!({"title": " \u{200b}"}), vec![("title", "text")]),
        ("POST", &cards, json!({"title": long(501)}), vec![("title", "text")]),
        ("POST", &cards, json!({"title": "a\nb"}), vec![("title", "text")]),
        ("POST", &cards, json!({"title": "a\u{0}b"}), vec![("title", "text")]),
        ("POST", &cards, json!({"title": "請求\u{202e}書"}), vec![("title", "text")]),
        ("POST", &cards, json!({"title": "a", "body": "a\u{1b}[1m"}), vec![("body", "text")]),
        ("POST", &cards, json!({"title": "a", "body": long(22_000)}), vec![("body", "text")]),
        ("POST", &cards, json!({"title": "a", "titel": "b"}), vec![("titel", "unknown-member")]),
        ("POST", &cards, json!({"title": "a", "due": "2026-02-30"}), vec![("due", "date")]),
        ("POST", &cards, json!({"title": "a", "due": "30.11.2026"}), vec![("due", "date")]),
        ("POST", &cards, json!({"title": "a", "due": 20_261_130}), vec![("due", "type")]),
        ("POST", &cards, json!({"title": "a", "status": "無い"}), vec![("status", "unknown-value")]),
        ("POST", &cards, json!({"title": "a", "labels": ["無い"]}), vec![("labels[0]", "unknown-value")]),
        ("POST", &cards, json!({"title": "a", "labels": "x"}), vec![("labels", "type")]),
        (
            "POST",
            &cards,
            json!({"title": "a", "assignees": ["x", 1]}),
            vec![("assignees[0]", "unknown-value"), ("assignees[1]", "type")],
        ),
        ("POST", &cards, json!({"title": "a", "assignees": [foreign]}), vec![("assignees[0]", "unknown-value")]),
        ("POST", &cards, json!({"title": "a", "fields": {"fax": "1"}}), vec![("fields.fax", "unknown-value")]),
        ("POST", &cards, json!({"title": "a", "fields": {"tel": 1}}), vec![("fields.tel", "type")]),
        ("POST", &cards, json!({"title": "a", "fields": {"tel": long(2001)}}), vec![("fields.tel", "text")]),
        ("POST", &cards, json!({"title": "a", "fields": []}), vec![("fields", "type")]),
        ("POST", &cards, json!({"title": "a", "fields": many}), vec![("fields", "limit")]),
        (
            "POST",
            &cards,
            json!({"title": 1, "due": "x", "body": 2}),
            vec![("title", "type"), ("due", "date"), ("body", "type")],
        ),
        ("PATCH", &one, json!({"title": null}), vec![("title", "type")]),
        ("PATCH", &one, json!({"title": ""}), vec![("title", "text")]),
        ("PATCH", &one, json!({"status": "無い"}), vec![("status", "unknown-value")]),
        ("PATCH", &one, json!({"title": "新しい", "assignees": [foreign]}), vec![("assignees[0]", "unknown-value")]),
        ("PATCH", &one, json!({"number": 7}), vec![("number", "unknown-member")]),
        ("POST", &comments, json!({"body": " \n"}), vec![("body", "text")]),
        ("POST", &comments, json!({"body": long(22_000)}), vec![("body", "text")]),
        ("POST", &boards, json!({"name": long(101)}), vec![("name", "text")]),
        ("POST", &boards, json!({"name": "a", "statuses": ["x", "y", "x"]}), vec![("statuses[2]", "duplicate")]),
        (
            "POST",
            &boards,
            json!({"name": "a", "fields": [{"key": "A", "label": "x"}]}),
            vec![("fields[0].key", "text")],
        ),
        (
            "POST",
            &boards,
            json!({"name": "a", "fields": [{"key": "a", "label": "x"}, {"key": "a", "label": "y"}]}),
            vec![("fields[1].key", "duplicate")],
        ),
        (
            "POST",
            &boards,
            json!({"name": "a", "fields": [{"key": "a", "label": "x", "type": "colour"}]}),
            vec![("fields[0].type", "unknown-value")],
        ),
        ("POST", &boards, json!({"name": "a", "fields": [{"key": "a"}]}), vec![("fields[0].label", "required")]),
        ("POST", &boards, json!({"name": "a", "statuses": vec!["x"; 6000]}), vec![("statuses", "limit")]),
        ("POST", &hooks, json!({"name": "a", "scheme": "x"}), vec![("scheme", "unknown-value")]),
        (
            "POST",
            &hooks,
            json!({"name": "a", "scheme": "secret-url", "secret": "x"}),
            vec![("secret", "unknown-member")],
        ),
        (
            "POST",
            &hooks,
            json!({"name": "a", "scheme": "standard-webhooks", "secret": "whsec_!"}),
            vec![("secret", "secret")],
        ),
        (
            "POST",
            &hooks,
            json!({"name": "a", "scheme": "secret-url", "mapping": {"x": 1}}),
            vec![("mapping.x", "mapping"), ("mapping.title", "mapping")],
        ),
        (
            "POST",
            &hooks,
            json!({"name": "a", "scheme": "secret-url", "mapping": {"title": "/t", "fields": {"fax": "/f"}}}),
            vec![("mapping.fields.fax", "mapping")],
        ),
    ];
    for (method, path, body, want) in cases {
        let ask = bench.ask(method.parse().expect("a method"), path).role("admin").json(&body);
        let got = ask.expect(StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(got.faults(), want, "{method} {path} {body}");
        assert_eq!(got.body["code"], want[0].1, "{body}");
        for (field, _) in want {
            assert!(got.body["detail"].as_str().is_some_and(|detail| detail.contains(field)), "{}", got.body);
        }
    }
    assert_eq!(bench.store().view(history::head).expect("a head"), before, "nothing was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_not_what_they_must_be() {
    let bench = Bench::new().await;
    let board = bench.board().await;
    let path = cards_of(&board);
    let send = |kind: Option<&str>, body: &[u8]| {
        let ask = bench.ask(Method::POST, &path).raw(body);
        match kind {
            Some(kind) => ask.header("content-type", kind),
            None => ask,
        }
    };
    let json = Some("application/json");
    for (body, line, column) in [
        ("{\"title\": \"a\",\n  \"due\" }", 2, 9),
        ("", 1, 0),
        ("{\"title\": \"\\ud800\"}", 1, 18),
        ("{\"title\": \"a\"} x", 1, 16),
        ("\u{feff}{}", 1, 1),
    ] {
        let got = send(json, body.as_bytes()).expect(StatusCode::BAD_REQUEST).await;
        assert_eq!(got.body["code"], "malformed-json", "{body:?}");
        assert_eq!(got.body["position"], json!({"line": line, "column": column}), "{body:?}");
    }
    send(json, b"{\"title\": \"\xff\"}").expect(StatusCode::BAD_REQUEST).await;
    let doubled = br#"{"title": "a", "title": "b", "fields": {"tel": "1", "tel": "2"}}"#;
    let got = send(json, doubled).expect(StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(got.faults(), [("title", "duplicate"), ("fields.tel", "duplicate")]);

    for kind in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonp"), Some("x")]
    {
        send(kind, b"{}").expect(StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
    }
    for kind in ["application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"] {
        send(Some(kind), br#"{"title": "a"}"#).expect(StatusCode::CREATED).await;
    }
    let padded = |bytes: usize| format!("{{\"title\": \"a\"{}}}", " ".repeat(bytes - 14));
    send(json, padded(1 << 20).as_bytes()).expect(StatusCode::CREATED).await;
    send(json, padded((1 << 20) + 1).as_bytes()).expect(StatusCode::PAYLOAD_TOO_LARGE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_and_headers_that_break_rules_are_named() {
    let bench = Bench::new().await;
    let board = bench.board().await;
    let card = bench.card(&board, "題").await;
    let cards = cards_of(&board);
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("cursor=zz", "cursor"),
        ("assignee=zz", "assignee"),
        ("status=zz", "status"),
        ("state=zz", "state"),
        (&format!("q={}", "a".repeat(201)), "q"),
    ] {
        let got = bench.read(&format!("{cards}?{query}")).expect(StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(got.faults()[0].0, field, "{query}");
    }
    let stale = bench.patch(&path_of(&card), &json!({"title": "x"})).header("if-match", "7");
    assert_eq!(stale.expect(StatusCode::UNPROCESSABLE_ENTITY).await.faults(), [("If-Match", "malformed")]);
    for key in ["", "a b", &"k".repeat(256)] {
        let got = bench.post(&cards, &json!({"title": "x"})).header("idempotency-key", key);
        let got = got.expect(StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(got.faults(), [("Idempotency-Key", "malformed")], "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_speak_the_clients_language_under_one_code() {
    let bench = Bench::new().await;
    let board = bench.board().await;
    let mut said = Vec::new();
    for language in ["ja", "en-GB, en;q=0.9", ""] {
        let ask = bench.post(&cards_of(&board), &json!({"title": ""})).header("accept-language", language);
        let got = ask.expect(StatusCode::UNPROCESSABLE_ENTITY).await;
        assert_eq!(got.body["code"], "text");
        said.push((got.header("content-language").to_owned(), got.body["detail"].as_str().map(str::to_owned)));
    }
    assert_eq!(said.iter().map(|(tag, _)| tag.as_str()).collect::<Vec<_>>(), ["ja", "en", "ja"]);
    assert_ne!(said[0], said[1]);
    assert_eq!(said[0], said[2]);
}

#[test]
fn a_store_that_cannot_says_so() {
    use crate::{store::StoreError, web::api::problem::Problem};
    let lost = StoreError::OutcomeUnknown { reason: "x".to_owned() };
    for (error, status, code, retry) in [
        (StoreError::Full, 507, "disk-full", false),
        (StoreError::Overloaded, 503, "busy", true),
        (StoreError::ReadOnly, 503, "read-only", true),
        (lost, 503, "outcome-unknown", true),
        (StoreError::Panicked, 500, "internal", false),
        (StoreError::Missing, 404, "not-found", false),
    ] {
        let problem = Problem::from(error);
        assert_eq!(problem.code(), code);
        let response = poem::error::ResponseError::as_response(&problem);
        assert_eq!(response.status().as_u16(), status, "{code}");
        assert_eq!(response.headers().contains_key("retry-after"), retry, "{code}");
    }
}
