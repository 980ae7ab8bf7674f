//! Webhooks, from outside: what senders post, what they are told, what becomes of it.

mod harness;

use std::{sync::Barrier, thread};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use harness::{Answer, Api, Appliance, Connection, form, ids_after};
use serde_json::{Value, json};

/// An organization with a board and an endpoint on it.
struct Door {
    appliance: Appliance,
    api: Api,
    board: String,
    hook: Value,
}

impl Door {
    fn open(scheme: &str) -> Self {
        let appliance = Appliance::start();
        let org = appliance.found("青空商会", "owner@example.test");
        let api = appliance.api(&org, "owner");
        let fields = [("name", "お名前"), ("email", "メール"), ("tel", "電話")];
        let board = api.board("問い合わせ", &["新着", "対応中"], &fields)["id"].as_str().expect("an id").to_owned();
        let hook = api.hook(&board, scheme);
        Self { appliance, api, board, hook }
    }

    fn url(&self) -> &str {
        self.hook["url"].as_str().expect("an address")
    }

    fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.appliance.deliver(self.url(), headers, body)
    }

    fn json(&self, id: &str, body: &str) -> Answer {
        self.post(&[("Content-Type", "application/json"), ("X-Delivery-Id", id)], body.as_bytes())
    }

    fn cards(&self) -> Vec<Value> {
        self.api.all(&format!("boards/{}/cards", self.board), 50)
    }

    fn card(&self, answer: &Value) -> Value {
        self.api.get(&format!("cards/{}", answer["card"].as_str().expect("a card"))).expect(200).json()
    }

    fn deliveries(&self) -> Vec<Value> {
        self.api.all(&format!("hooks/{}/deliveries", self.hook["id"].as_str().expect("an id")), 3)
    }
}

/// Signs as Standard Webhooks 1.0.0 says.
fn sign(secret: &str, id: &str, timestamp: i64, body: &[u8]) -> String {
    let key = BASE64.decode(secret.trim_start_matches("whsec_")).expect("base64");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key);
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    format!("v1,{}", BASE64.encode(ring::hmac::sign(&key, &signed)))
}

fn now() -> i64 {
    let now = std::process::Command::new("date").arg("+%s").output().expect("the time");
    String::from_utf8_lossy(&now.stdout).trim().parse().expect("seconds")
}

#[test]
fn standard_webhooks_are_verified_as_received() {
    // A published vector, so that this test signs as other people's senders do.
    assert_eq!(
        sign(
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            br#"{"email":"test@example.com","username":"test_user"}"#
        ),
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
    );

    let door = Door::open("standard-webhooks");
    let secret = door.hook["secret"].as_str().expect("a secret").to_owned();
    assert!(secret.starts_with("whsec_"));
    let at = now();
    let send = |id: &str, timestamp: i64, signature: &str, body: &[u8]| {
        let timestamp = timestamp.to_string();
        let headers = [
            ("Content-Type", "application/json"),
            ("webhook-id", id),
            ("webhook-timestamp", timestamp.as_str()),
            ("webhook-signature", signature),
        ];
        door.post(&headers, body)
    };
    // Spacing and order of keys as no serialiser of ours would write them.
    let body =
        "{ \"type\":\"form.submitted\",\n \"data\" : {\"email\":\"a@example.jp\", \"title\":\"見積もりのご相談\"} }"
            .as_bytes();
    let answer = send("msg_1", at, &sign(&secret, "msg_1", at, body), body).expect(200).json();
    assert_eq!((&answer["outcome"], &answer["duplicate"]), (&json!("accepted"), &Value::Null));
    let card = door.card(&answer);
    assert_eq!((&card["title"], &card["fields"]["email"]), (&json!("見積もりのご相談"), &json!("a@example.jp")));

    // A retry is signed anew, with its own time, and is known by its id.
    let again = send("msg_1", at + 1, &sign(&secret, "msg_1", at + 1, body), body).expect(200).json();
    assert_eq!((&again["duplicate"], &again["card"]), (&json!(true), &answer["card"]));
    // One of several signatures is enough, as in the middle of a rotation.
    let both = format!("v1,{} {}", BASE64.encode([7; 32]), sign(&secret, "msg_2", at, body));
    send("msg_2", at, &both, body).expect(200);
    assert_eq!(door.cards().len(), 2);

    let kept = door.deliveries().len();
    let good = sign(&secret, "msg_3", at, body);
    let other = sign("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "msg_3", at, body);
    let refused: [(&str, i64, &str, &[u8]); 7] = [
        ("msg_3", at, &good, br#"{"type":"form.submitted"}"#),
        ("msg_4", at, &good, body),
        ("msg_3", at + 1, &good, body),
        ("msg_3", at, &other, body),
        ("msg_3", at, "", body),
        ("msg_3", at - 301 - 60, &sign(&secret, "msg_3", at - 361, body), body),
        ("msg_3", at + 361, &sign(&secret, "msg_3", at + 361, body), body),
    ];
    for (id, timestamp, signature, body) in refused {
        send(id, timestamp, signature, body).expect(401);
    }
    door.post(&[("Content-Type", "application/json")], body).expect(401);
    assert_eq!((door.cards().len(), door.deliveries().len()), (2, kept), "what is refused leaves nothing");
    // And takes no id: the same one, signed well, is new.
    let answer = send("msg_3", at, &good, body).expect(200).json();
    assert_eq!(answer["duplicate"], Value::Null);
}

#[test]
fn any_payload_becomes_a_card_or_is_kept() {
    let door = Door::open("secret-url");
    let accepted: [(&str, &str, &str); 6] = [
        (
            r#"{"type":"form.submitted","data":{"title":"見積もりのご相談","email":"a@example.jp"}}"#,
            "見積もりのご相談",
            "a@example.jp",
        ),
        (r#"{"action":"opened","issue":{"title":"Build fails on ARM","number":7}}"#, "Build fails on ARM", ""),
        (
            r#"{"ref":"refs/heads/main","repository":{"id":1,"full_name":"octo/hello"},"head_commit":{"message":"Fix the build","timestamp":"2026-11-22T10:00:00Z"},"sender":{"type":"User"}}"#,
            "Fix the build",
            "",
        ),
        (r#"{"subject":"件名\n二行目","ﾒｰﾙ":"b@example.jp"}"#, "件名 二行目", "b@example.jp"),
        (r#"{"text":"一行目\n二行目"}"#, "一行目", ""),
        (r#"{"title":"","name":"名前だけ"}"#, "名前だけ", ""),
    ];
    for (count, (body, title, email)) in accepted.into_iter().enumerate() {
        let answer = door.json(&format!("ok-{count}"), body).expect(200).json();
        assert_eq!(answer["outcome"], "accepted", "{body}");
        let card = door.card(&answer);
        assert_eq!(card["title"], title, "{body}");
        assert_eq!(card["fields"]["email"].as_str().unwrap_or_default(), email, "{body}");
    }
    let untitled = door.card(&door.json("array", "[1,2,3]").expect(200).json());
    let title = untitled["title"].as_str().expect("a title");
    assert!(title.starts_with("受信 endpoint secret-url 20"), "{title}");
    let long = door.card(&door.json("long", &json!({ "title": "長".repeat(600) }).to_string()).expect(200).json());
    let title = long["title"].as_str().expect("a title");
    assert!(title.chars().count() == 500 && title.ends_with('…'), "{title}");

    // Forms, also in the character set of older senders.
    let urlencoded = ("Content-Type", "application/x-www-form-urlencoded");
    let body = form(&[("name", "山田商店"), ("tel", "03-0000-0000"), ("body", "至急お願いします")]);
    let card = door.card(&door.post(&[urlencoded], body.as_bytes()).expect(200).json());
    assert_eq!((&card["title"], &card["fields"]["tel"]), (&json!("山田商店"), &json!("03-0000-0000")));
    let body = b"title=%8c%a9%90%cf%82%e0%82%e8";
    let charset = ("Content-Type", "application/x-www-form-urlencoded; charset=Shift_JIS");
    assert_eq!(door.card(&door.post(&[charset], body).expect(200).json())["title"], "見積もり");

    // What cannot be read is kept, and the sender is not sent away.
    let deep = format!("{}1{}", "[".repeat(129), "]".repeat(129));
    let before = door.cards().len();
    let held: [(&str, &str, &[u8]); 6] = [
        ("application/json", "malformed", b"{\"title\":"),
        ("application/json", "surrogate", br#"{"title":"\ud800"}"#),
        ("application/json", "empty", b""),
        ("application/json", "deep", deep.as_bytes()),
        ("application/json; charset=x-klingon", "charset", b"{}"),
        ("image/png", "type", b"\x89PNG"),
    ];
    for (content_type, id, body) in held {
        let answer = door.post(&[("Content-Type", content_type), ("X-Delivery-Id", id)], body).expect(200).json();
        assert_eq!((&answer["outcome"], &answer["card"]), (&json!("held"), &Value::Null), "{id}");
    }
    assert_eq!(door.cards().len(), before);
    // One that was held is tried again when its sender repeats it.
    let answer = door.json("malformed", r#"{"title":"直った"}"#).expect(200).json();
    assert_eq!((&answer["outcome"], &answer["duplicate"]), (&json!("accepted"), &Value::Null));
    assert_eq!(door.card(&answer)["title"], "直った");

    // Bidirectional marks and control characters reach no title.
    let card = door.card(&door.json("bidi", "{\"title\":\"a\\u202eb\\u0000c\"}").expect(200).json());
    let title = card["title"].as_str().expect("a title");
    assert!(!title.contains(['\u{202e}', '\0']), "{title:?}");

    let deliveries = door.deliveries();
    let count = |outcome: &str| deliveries.iter().filter(|delivery| delivery["outcome"] == outcome).count();
    assert_eq!((count("held"), deliveries.len()), (6, 6 + 2 + 2 + 6 + 1 + 1), "{deliveries:?}");
    for delivery in &deliveries {
        assert!(delivery["id"].is_string() && delivery["received_at"].is_string(), "{delivery}");
        assert_eq!(delivery["card"].is_string(), delivery["outcome"] == "accepted", "{delivery}");
    }
}

#[test]
fn a_mapping_picks_what_it_names() {
    let door = Door::open("secret-url");
    let mapping =
        json!({ "title": "{/data/company}: {/data/subject}", "status": "対応中", "fields": { "email": "/data/mail" } });
    let asked = json!({ "name": "写像", "scheme": "secret-url", "mapping": mapping });
    let hook = door.api.post(&format!("boards/{}/hooks", door.board), &asked).expect(201).json();
    let body = r#"{"data":{"company":"青空商会","subject":"納期","mail":"c@example.jp","tel":"03"}}"#;
    let url = hook["url"].as_str().expect("an address");
    let answer =
        door.appliance.deliver(url, &[("Content-Type", "application/json")], body.as_bytes()).expect(200).json();
    let card = door.card(&answer);
    assert_eq!(card["title"], "青空商会: 納期");
    assert_eq!(card["fields"], json!({ "email": "c@example.jp" }), "only what the mapping names");
    let second = door.api.get("boards").expect(200).json()["items"][0]["statuses"][1]["id"].clone();
    assert_eq!(card["status"], second);
    for broken in [json!({}), json!({ "title": "no pointer {" }), json!({ "title": "/a", "color": "red" })] {
        let asked = json!({ "name": "写像", "scheme": "secret-url", "mapping": broken });
        door.api.post(&format!("boards/{}/hooks", door.board), &asked).expect(422);
    }
}

#[test]
fn a_delivery_id_makes_one_card_however_often_it_comes() {
    let door = Door::open("secret-url");
    const SENDERS: usize = 16;
    let (barrier, endpoint) = (Barrier::new(SENDERS), door.appliance.endpoint().clone());
    let path = door.url().strip_prefix(&endpoint.origin).expect("an address of ours").to_owned();
    let answers: Vec<Value> = thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = Connection::open(&endpoint).expect("a connection");
                    barrier.wait();
                    let headers = [("Content-Type", "application/json"), ("X-GitHub-Delivery", "72d3162e-cc78")];
                    connection
                        .send("POST", &path, &headers, br#"{"title":"one"}"#)
                        .expect("an answer")
                        .expect(200)
                        .json()
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().expect("a sender")).collect()
    });
    let duplicates = answers.iter().filter(|answer| answer["duplicate"] == true).count();
    assert_eq!(duplicates, SENDERS - 1, "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|answer| answer["card"] == answers[0]["card"] && answer["delivery"] == answers[0]["delivery"])
    );
    assert_eq!(door.cards().len(), 1);
    // The same id at another endpoint is another delivery.
    let other = door.api.hook(&door.board, "secret-url");
    let headers = [("Content-Type", "application/json"), ("X-GitHub-Delivery", "72d3162e-cc78")];
    let answer = door.appliance.deliver(other["url"].as_str().expect("an address"), &headers, br#"{"title":"two"}"#);
    assert_eq!(answer.expect(200).json()["duplicate"], Value::Null);
    // Without an id each delivery is a card.
    for _ in 0..2 {
        door.post(&[("Content-Type", "application/json")], br#"{"title":"three"}"#).expect(200);
    }
    assert_eq!(door.cards().len(), 4);
}

#[test]
fn senders_are_told_what_their_retries_understand() {
    let door = Door::open("secret-url");
    let json_type = ("Content-Type", "application/json");
    door.appliance.deliver("/hooks/nothing", &[json_type], b"{}").expect(404);
    let mut other = door.url().to_owned();
    let last = if other.ends_with('0') { "1" } else { "0" };
    other.replace_range(other.len() - 1.., last);
    door.appliance.deliver(&other, &[json_type], b"{}").expect(404);

    // Over the limit: by its length at once, and without one when it is met.
    let large = vec![b' '; (1 << 20) + 1];
    door.post(&[json_type], &large).expect(413);
    let mut connection = Connection::open(door.appliance.endpoint()).expect("a connection");
    let path = door.url().strip_prefix(&door.appliance.endpoint().origin).expect("an address of ours");
    let chunked = [format!("{:x}\r\n", large.len()).as_bytes(), &large, b"\r\n0\r\n\r\n"].concat();
    connection.raw(
        &[format!("POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes(), &chunked]
            .concat(),
    );
    assert_eq!(connection.head().expect("an answer").0, 413);
    let mut exactly = String::from("{\"title\":\"ちょうど\"");
    exactly.push_str(&" ".repeat((1 << 20) - exactly.len() - 1));
    exactly.push('}');
    door.post(&[json_type], exactly.as_bytes()).expect(200);
    // Only broken HTTP is a bad request.
    let mut connection = Connection::open(door.appliance.endpoint()).expect("a connection");
    connection.raw(b"POST /hooks/x HTTP/1.1\r\nHost: x\r\nContent-Length: twelve\r\n\r\n");
    assert_eq!(connection.head().expect("an answer").0, 400);

    // A removed endpoint says so, and its deliveries stay.
    let org = door.api.path("").split('/').nth(4).expect("the organization").to_owned();
    let mut owner = door.appliance.sign_in("owner@example.test");
    let hook = door.hook["id"].as_str().expect("an id");
    let list = owner.page(&format!("/o/{org}/hooks/{hook}"));
    let delivery = ids_after(&list, "/deliveries/").pop().expect("a delivery");
    owner.post(&format!("/o/{org}/hooks/{hook}/removal"), &[]).expect(303);
    door.post(&[json_type], b"{}").expect(410);
    owner.get(&format!("/o/{org}/deliveries/{delivery}")).expect(200);
}

#[test]
fn secrets_in_headers_are_not_kept() {
    let door = Door::open("secret-url");
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", "Bearer kept-nowhere-1"),
        ("X-Api-Key", "kept-nowhere-2"),
        ("X-Hub-Signature-256", "sha256=kept-nowhere-3"),
        ("X-Event-Name", "kept-and-shown"),
    ];
    door.post(&headers, br#"{"title":"headers"}"#).expect(200);
    let org = door.api.path("").split('/').nth(4).expect("the organization").to_owned();
    let mut owner = door.appliance.sign_in("owner@example.test");
    let list = owner.page(&format!("/o/{org}/hooks/{}", door.hook["id"].as_str().expect("an id")));
    let delivery = ids_after(&list, "/deliveries/").pop().expect("a delivery");
    let page = owner.page(&format!("/o/{org}/deliveries/{delivery}"));
    assert!(page.contains("kept-and-shown") && !page.contains("kept-nowhere"), "{page}");
}
