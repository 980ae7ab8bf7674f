//! Boards, webhook endpoints with their deliveries, members and the audit log.

use super::*;
use crate::{
    hooks::{
        delivery::{self, Body, Incoming, Plan},
        endpoint::Address,
        signature::SigningSecret,
        target::Target,
    },
    ids::{CardId, DeliveryId, HookId},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boards_are_made_and_listed() {
    let bench = Bench::new().await;
    let board = bench.board().await;
    let statuses = board["statuses"].as_array().expect("statuses");
    let told: Value = statuses.iter().map(|status| json!([status["name"], status["kind"]])).collect();
    assert_eq!(told, json!([["未対応", "todo"], ["対応中", "doing"], ["完了", "done"]]));
    assert_eq!((&board["fields"][1]["key"], &board["fields"][1]["type"]), (&json!("email"), &json!("text")));
    let plain =
        |language: &str| bench.post("/orgs/{org}/boards", &json!({"name": "無地"})).header("accept-language", language);
    let (ja, en) = (plain("ja").expect(StatusCode::CREATED).await, plain("en").expect(StatusCode::CREATED).await);
    assert_eq!(ja.body["statuses"].as_array().map(Vec::len), Some(3));
    assert_ne!(ja.body["statuses"][0]["name"], en.body["statuses"][0]["name"]);

    let first = bench.read("/orgs/{org}/boards?limit=2").expect(StatusCode::OK).await.body;
    assert_eq!(first["items"], json!([board, ja.body]));
    let path = format!("/orgs/{{org}}/boards?limit=2&cursor={}", first["next_cursor"].as_str().expect("more"));
    let rest = bench.read(&path).expect(StatusCode::OK).await.body;
    assert_eq!(rest, json!({"items": [en.body], "next_cursor": null}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_are_made_and_their_deliveries_listed() {
    let bench = Bench::new().await;
    let board = bench.board().await;
    let path = cards_of(&board).replace("/cards", "/hooks");
    let body = json!({
        "name": "フォーム", "scheme": "standard-webhooks",
        "mapping": {"title": "/data/subject", "fields": {"email": "/data/email"}},
    });
    let made = bench.post(&path, &body).role("admin").header("idempotency-key", "h").expect(StatusCode::CREATED).await;
    let address = made.body["url"].as_str().and_then(|url| url.strip_prefix("https://workrun.example.jp/hooks/"));
    let address = Address::parse(address.expect("our address")).expect("an address");
    let (org, hook): (_, HookId) = (address.org, made.id().parse().expect("an id"));
    assert_eq!(org, bench.org);
    assert!(SigningSecret::parse(made.body["secret"].as_str().expect("a secret")).is_ok());
    let again = bench.post(&path, &body).role("admin").header("idempotency-key", "h").expect(StatusCode::CREATED).await;
    assert_eq!(again.body, made.body, "one endpoint, its secret shown again");
    let open = bench.post(&path, &json!({"name": "開", "scheme": "secret-url"})).role("admin");
    assert_eq!(open.expect(StatusCode::CREATED).await.body["secret"], Value::Null);

    let deliver = |sender_id: &'static str, body: &'static str| {
        let (store, board) = (bench.store(), board["id"].as_str().expect("an id").parse().expect("an id"));
        async move {
            let delivered = store.submit(64, move |txn| {
                let hook = crate::hooks::endpoint::hook(txn.reader(), hook)?.expect("the endpoint");
                let board = crate::work::read::board(txn.reader(), board)?.expect("the board");
                let content_type = Some("application/json".to_owned());
                let body = Body { content_type, headers: Vec::new(), bytes: body.as_bytes().to_vec() };
                let (id, card) = (DeliveryId::fresh(NOW), CardId::fresh(NOW));
                let untitled = crate::text::Title::parse("受信").expect("a title");
                let target = Target::of(hook, board, 60);
                let plan: Plan = delivery::plan(&target, &body, id, card, &|| untitled.clone());
                let sender_id = Some(sender_id.to_owned());
                let incoming =
                    Incoming { id, card, hook: target.hook.id, at: NOW, sender_id, signed: true, body, plan };
                delivery::receive(txn, &incoming)
            });
            delivered.await.expect("delivered")
        }
    };
    let first = deliver("a", r#"{"data": {"subject": "相談", "email": "a@example.jp"}}"#).await;
    deliver("a", "{}").await;
    deliver("b", "{").await;
    let path = format!("/orgs/{{org}}/hooks/{hook}/deliveries");
    let list = bench.read(&path).role("admin").expect(StatusCode::OK).await.body;
    let told: Vec<Value> = list["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| {
            json!([item["outcome"], item["card"].is_string(), item["duplicate_of"], item["reason"].is_string()])
        })
        .collect();
    let duplicate_of = first.delivery.to_string();
    let want = json!([
        ["held", false, null, true],
        ["duplicate", false, duplicate_of, false],
        ["accepted", true, null, false]
    ]);
    assert_eq!(Value::Array(told), want);
    let card = list["items"][2]["card"].as_str().expect("a card");
    let card = bench.read(&format!("/orgs/{{org}}/cards/{card}")).expect(StatusCode::OK).await.body;
    assert_eq!((&card["title"], &card["fields"]["email"]), (&json!("相談"), &json!("a@example.jp")));
    let page = bench.read(&format!("{path}?limit=2")).role("admin").expect(StatusCode::OK).await.body;
    let next = page["next_cursor"].as_str().expect("more");
    let rest = bench.read(&format!("{path}?limit=2&cursor={next}")).role("admin").expect(StatusCode::OK).await.body;
    assert_eq!(rest["items"], json!([list["items"][2]]));
    let nowhere = format!("/orgs/{{org}}/hooks/{}/deliveries", HookId::fresh(NOW));
    bench.read(&nowhere).role("admin").expect(StatusCode::NOT_FOUND).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_and_the_audit_log() {
    let bench = Bench::new().await;
    let list = bench.read("/orgs/{org}/members").expect(StatusCode::OK).await.body;
    let want = json!({
        "items": [{
            "id": bench.owner.to_string(), "name": "owner", "mail": "owner@example.jp", "role": "owner",
            "joined_at": NOW.rfc3339(),
        }],
        "next_cursor": null,
    });
    assert_eq!(list, want);

    let board = bench.board().await;
    for _ in 0..3 {
        bench.card(&board, "題").await;
    }
    let path = cards_of(&board).replace("/cards", "/hooks");
    let hook = bench.post(&path, &json!({"name": "フォーム", "scheme": "secret-url"})).role("admin");
    let hook = hook.expect(StatusCode::CREATED).await;
    let read = |path: String| bench.read(&path).role("admin").expect(StatusCode::OK);
    let log = read("/orgs/{org}/audit".to_owned()).await.body;
    let items = log["items"].as_array().expect("items");
    let kinds: Vec<&Value> = items.iter().map(|item| &item["kind"]).collect();
    let want = [
        "hook.created",
        "board.created",
        "token.created",
        "token.created",
        "token.created",
        "token.created",
        "organization.founded",
    ];
    assert_eq!(kinds, want, "cards are not in it");
    assert_eq!((&items[0]["subject"], &items[0]["board"]), (&hook.body["id"], &board["id"]));
    assert_eq!(items[0]["actor"]["kind"], "token");
    assert_eq!(items[6]["actor"], json!({"kind": "operator", "id": null}));

    let (mut walked, mut path) = (Vec::new(), "/orgs/{org}/audit?limit=3".to_owned());
    loop {
        let page = read(path).await.body;
        walked.extend(page["items"].as_array().expect("items").clone());
        match page["next_cursor"].as_str() {
            Some(next) => path = format!("/orgs/{{org}}/audit?limit=3&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(walked, *items);
}
