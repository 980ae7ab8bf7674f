//! The JSON API over the wire: what INTERFACE promises to scripts, and what they are told when they are wrong.

mod harness;

use std::thread;

use harness::{Answer, Api, Appliance};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn start() -> (Appliance, Api, Value) {
    let appliance = Appliance::start();
    let org = appliance.found("青空商会", "owner@example.test");
    let api = appliance.api(&org, "owner");
    let board = api.board("問い合わせ", &["新着", "対応中", "完了"], &[("email", "メール"), ("tel", "電話")]);
    (appliance, api, board)
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap_or_else(|| panic!("no id in {value}"))
}

/// A refusal by RFC 9457, with its stable code.
#[track_caller]
fn refused(answer: Answer, status: u16, code: &str) -> Value {
    let answer = answer.expect(status);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.brief());
    let problem = answer.json();
    assert_eq!((&problem["status"], &problem["code"]), (&json!(status), &json!(code)), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    assert_eq!(problem["request_id"].as_str(), answer.header("x-request-id"), "{problem}");
    problem
}

#[test]
fn the_first_resources_have_their_shapes() {
    let (appliance, api, board) = start();
    assert_eq!(board["statuses"].as_array().map(Vec::len), Some(3));
    assert_eq!((&board["statuses"][0]["name"], &board["fields"][0]["key"]), (&json!("新着"), &json!("email")));
    let cards = format!("boards/{}/cards", id(&board));
    let asked =
        json!({ "title": "見積もり", "due": "2027-01-31", "fields": { "email": "a@example.jp" }, "body": "**至急**" });
    let made = api.post(&cards, &asked).expect(201);
    assert_eq!(made.header("etag"), Some("\"1\""));
    let card = made.json();
    for member in ["id", "number", "title", "status", "fields", "created_at", "version"] {
        assert!(!card[member].is_null(), "{member} in {card}");
    }
    assert_eq!((&card["number"], &card["status"]), (&json!(1), &board["statuses"][0]["id"]));
    assert_eq!((&card["due"], &card["fields"]["email"]), (&json!("2027-01-31"), &json!("a@example.jp")));

    let path = format!("cards/{}", id(&card));
    let read = api.get(&path).expect(200);
    assert_eq!((read.json(), read.header("etag")), (card.clone(), Some("\"1\"")));
    let second = board["statuses"][1]["id"].as_str().expect("an id");
    let changed = api.patch(&path, &[("If-Match", "\"1\"")], &json!({ "status": second, "due": null })).expect(200);
    assert_eq!((&changed.json()["status"], &changed.json()["due"]), (&json!(second), &Value::Null));
    let comment = api.post(&format!("{path}/comments"), &json!({ "body": "承知しました" })).expect(201).json();
    let timeline = api.all(&format!("{path}/timeline"), 2);
    let kinds: Vec<&str> = timeline.iter().filter_map(|entry| entry["kind"].as_str()).collect();
    assert!(kinds.first() == Some(&"card.created") && kinds.last() == Some(&"card.commented"), "{kinds:?}");
    assert!(timeline.iter().any(|entry| entry["comment"] == comment["id"]), "{timeline:?}");
    let tag = api.get(&path).expect(200).header("etag").expect("a tag").to_owned();
    api.send("DELETE", &api.path(&path), &[("If-Match", &tag)], b"").expect(204);
    assert!(api.all(&cards, 10).is_empty(), "it is in the trash");

    assert_eq!(api.all("boards", 1).len(), 1);
    assert_eq!(api.get("members").expect(200).json()["items"][0]["role"], "owner");
    assert!(!api.all("audit", 5).is_empty());
    // The document and its page need no token; the pages and the API are one appliance.
    let document = appliance.browser().get("/api/v1/openapi.json").expect(200).json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with('3')), "{document}");
    let page = appliance.browser().page("/api/docs");
    for path in document["paths"].as_object().expect("paths").keys() {
        assert!(page.contains(path.as_str()), "{path} is not on the page");
    }
}

#[test]
fn bad_input_is_named_and_changes_nothing() {
    let (_appliance, api, board) = start();
    let cards = format!("boards/{}/cards", id(&board));
    let card = api.post(&cards, &json!({ "title": "そのまま" })).expect(201).json();
    let path = format!("cards/{}", id(&card));
    let send = |body: &[u8]| api.send("POST", &api.path(&cards), &[JSON], body);

    // Not JSON: 400, and where it stops being JSON.
    let problem = refused(send(b"{\"title\":\n  nope}"), 400, "malformed-json");
    assert_eq!(problem["position"]["line"], 2, "{problem}");
    for body in [&b""[..], b"{", b"{\"title\":\"\\ud800\"}", b"{\"title\":\"\xff\"}", b"{\"title\":\"a\"} b"] {
        refused(send(body), 400, "malformed-json");
    }
    // Not JSON by its own account: 415.
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""] {
        refused(api.send("POST", &api.path(&cards), &[("Content-Type", content_type)], b"{}"), 415, "content-type");
    }
    // Too much of it: 413.
    let large = format!("{{\"title\":\"{}\"}}", "a".repeat(1 << 20));
    refused(send(large.as_bytes()), 413, "too-large");

    // Rules: 422, the member and the rule.
    let member = |field: &str, value: Value| json!({ "title": "題", field: value });
    let rows: Vec<(Value, &str)> = vec![
        (json!({}), "title"),
        (json!({ "title": "" }), "title"),
        (json!({ "title": "長".repeat(501) }), "title"),
        (json!({ "title": "a\u{7}b" }), "title"),
        (json!({ "title": "a\u{202e}b" }), "title"),
        (json!({ "title": 7 }), "title"),
        (json!({ "title": null }), "title"),
        (member("body", json!("長".repeat(22_000))), "body"),
        (member("due", json!("2027-02-30")), "due"),
        (member("due", json!("tomorrow")), "due"),
        (member("status", json!("そんな状態")), "status"),
        (member("labels", json!(["0".repeat(26)])), "labels[0]"),
        (member("assignees", json!(["0".repeat(26)])), "assignees[0]"),
        (member("assignees", json!("everybody")), "assignees"),
        (member("fields", json!({ "fax": "03" })), "fields.fax"),
        (member("fields", json!({ "tel": "0".repeat(2001) })), "fields.tel"),
        (member("fields", json!(["tel"])), "fields"),
        (member("colour", json!("red")), "colour"),
    ];
    for (body, field) in rows {
        let answer = api.post(&cards, &body).expect(422);
        let problem = answer.json();
        let named: Vec<&str> =
            problem["errors"].as_array().into_iter().flatten().filter_map(|one| one["field"].as_str()).collect();
        assert!(named.contains(&field), "{field} of {body} is not named in {problem}");
    }
    // A status that is gone, or was never there: what is left is offered.
    let problem = refused(api.post(&cards, &member("status", json!("0".repeat(26)))), 409, "status-gone");
    assert_eq!(problem["remaining"][0]["name"], "新着", "{problem}");
    // A name twice in one object, which most parsers let pass.
    let problem = send(br#"{"title":"a","fields":{"tel":"1","tel":"2"}}"#).expect(422).json();
    assert_eq!(problem["errors"][0]["field"], "fields.tel", "{problem}");
    let boards = json!({ "name": "板", "fields": [
        { "key": "tel", "label": "電話", "type": "text" }, { "key": "tel", "label": "携帯", "type": "text" },
    ] });
    assert!(api.post("boards", &boards).expect(422).text().contains("fields[1]"));

    // What does not exist, or is no id at all.
    for missing in [format!("cards/{}", "0".repeat(26)), "cards/nonsense".to_owned(), "nothing".to_owned()] {
        refused(api.get(&missing), 404, "not-found");
    }
    refused(api.send("PUT", &api.path(&path), &[JSON], b"{}"), 405, "method-not-allowed");
    for (query, field) in
        [("limit=0", "limit"), ("limit=many", "limit"), ("cursor=nonsense", "cursor"), ("limit=201", "limit")]
    {
        let problem = api.get(&format!("{cards}?{query}")).expect(422).json();
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }

    // In the reader's language under one code.
    let language = |language| {
        let answer = api.send("POST", &api.path(&cards), &[JSON, ("Accept-Language", language)], b"{\"title\":\"\"}");
        (answer.json()["code"].clone(), answer.json()["detail"].clone())
    };
    let ((code, japanese), (same, english)) = (language("ja"), language("en"));
    assert!(code == same && japanese != english, "{code} {japanese} {english}");

    // Nothing of all this left anything.
    assert_eq!(api.all(&cards, 50), [card]);
    assert_eq!(api.all("boards", 50).len(), 1);
}

#[test]
fn a_stale_change_is_shown_what_stands() {
    let (_appliance, api, board) = start();
    let cards = format!("boards/{}/cards", id(&board));
    let card = api.post(&cards, &json!({ "title": "一" })).expect(201).json();
    let path = format!("cards/{}", id(&card));
    api.patch(&path, &[("If-Match", "\"1\"")], &json!({ "title": "二" })).expect(200);
    let problem = refused(api.patch(&path, &[("If-Match", "\"1\"")], &json!({ "title": "三" })), 409, "stale");
    assert_eq!((&problem["current"]["title"], &problem["current"]["version"]), (&json!("二"), &json!(2)));
    refused(api.send("DELETE", &api.path(&path), &[("If-Match", "\"1\"")], b""), 409, "stale");
    // Of many that know one version, one is done.
    let statuses: Vec<u16> = thread::scope(|scope| {
        let writers: Vec<_> = (0..12)
            .map(|count| {
                let (api, path) = (&api, &path);
                scope.spawn(move || {
                    api.patch(path, &[("If-Match", "\"2\"")], &json!({ "title": format!("同時 {count}") })).status
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().expect("a writer")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 11, "{statuses:?}");
    assert_eq!(api.get(&path).expect(200).json()["version"], 3);
    // Refused in part is refused whole.
    let asked = json!({ "title": "四", "due": "2027-01-01", "labels": ["そんな札"] });
    api.patch(&path, &[], &asked).expect(422);
    assert_eq!(api.get(&path).expect(200).json()["version"], 3);
    // What is in the trash must be restored first.
    api.delete(&path).expect(204);
    refused(api.patch(&path, &[], &json!({ "title": "五" })), 409, "trashed");
}

#[test]
fn a_request_sent_again_is_done_once_also_after_a_kill() {
    let (mut appliance, mut api, board) = start();
    let cards = format!("boards/{}/cards", id(&board));
    let send = |api: &Api, key: &str, title: &str| {
        let body = json!({ "title": title }).to_string();
        api.send("POST", &api.path(&cards), &[JSON, ("Idempotency-Key", key)], body.as_bytes())
    };
    let first = send(&api, "order-1", "注文 1").expect(201);
    let again = send(&api, "order-1", "注文 1").expect(201);
    assert_eq!((first.json(), again.header("idempotency-replayed")), (again.json(), Some("true")));
    refused(send(&api, "order-1", "注文 2"), 422, "idempotency-key-reused");
    refused(send(&api, "", "注文"), 422, "malformed");
    // A refusal is not kept: the same key may be used for what is right.
    send(&api, "order-3", "").expect(422);
    appliance.kill();
    appliance.begin();
    api.at(appliance.endpoint());
    assert_eq!(send(&api, "order-1", "注文 1").expect(201).json(), first.json());
    send(&api, "order-3", "").expect(422);
    // At once: one card, one answer.
    let answers: Vec<Value> = thread::scope(|scope| {
        let senders: Vec<_> = (0..12)
            .map(|_| {
                let (api, send) = (&api, &send);
                scope.spawn(move || send(api, "order-4", "注文 4").expect(201).json())
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().expect("a sender")).collect()
    });
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
    assert_eq!(api.all(&cards, 50).len(), 2);
}

#[test]
fn lists_are_walked_to_their_end_while_they_grow() {
    let (_appliance, api, board) = start();
    let cards = format!("boards/{}/cards", id(&board));
    let make = |count: usize| api.post(&cards, &json!({ "title": format!("{count} 件目") })).expect(201);
    (0..25).for_each(|count| drop(make(count)));
    let page = api.get(&format!("{cards}?limit=10")).expect(200).json();
    // What comes meanwhile is not in a walk that has begun, and moves nothing in it.
    make(25);
    let mut seen: Vec<String> = Vec::new();
    let mut page = page;
    loop {
        seen.extend(page["items"].as_array().expect("items").iter().map(|card| id(card).to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        page = api.get(&format!("{cards}?limit=10&cursor={}", harness::percent(cursor))).expect(200).json();
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((count, seen.len()), (25, 25));
    assert_eq!(api.all(&cards, 7).len(), 26);
    let second = board["statuses"][1]["id"].as_str().expect("an id");
    let one = api.all(&cards, 50)[3].clone();
    api.patch(&format!("cards/{}", id(&one)), &[], &json!({ "status": second })).expect(200);
    let moved = api.all(&format!("{cards}?status={second}"), 50);
    assert_eq!(moved.iter().map(id).collect::<Vec<_>>(), [id(&one)]);
    let found = api.all(&format!("{cards}?q={}", harness::percent("１９")), 50);
    assert_eq!(found.len(), 1, "width does not matter: {found:?}");
}
