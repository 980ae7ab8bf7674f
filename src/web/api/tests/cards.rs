//! Cards: made, read, changed, listed, trashed; two clients at once; requests sent twice.

use super::*;
use crate::{people::members, web::api::idempotency};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_is_made_read_changed_and_trashed() {
    let bench = Bench::new().await;
    let board = bench.board().await;
    let body = json!({
        "title": "  見積もりのご相談 ", "status": "対応中", "assignees": [bench.owner.to_string(), bench.owner.to_string()],
        "due": "2026-11-30", "fields": {"tel": "03-0000-0000", "email": null}, "body": "至急\r\nお願いします",
    });
    let made = bench.post(&cards_of(&board), &body).expect(StatusCode::CREATED).await;
    assert_eq!(made.header("etag"), "\"1\"");
    let want = json!({
        "id": made.id(), "number": 1, "title": "見積もりのご相談", "status": status(&board, 1), "board": board["id"],
        "assignees": [bench.owner.to_string()], "labels": [], "due": "2026-11-30", "fields": {"tel": "03-0000-0000"},
        "body": "至急\nお願いします", "state": "open", "comments": 0, "created_at": NOW.rfc3339(),
        "updated_at": NOW.rfc3339(), "version": 1,
    });
    assert_eq!(made.body, want);
    let read = bench.read(&path_of(&made.body)).expect(StatusCode::OK).await;
    assert_eq!((read.body, read.headers.get("etag")), (want, made.headers.get("etag")));

    bench.later(Duration::from_secs(60));
    let change = json!({
        "title": "請求", "status": status(&board, 2), "assignees": [], "due": null,
        "fields": {"tel": "", "email": "a@example.jp"}, "body": null,
    });
    let changed = bench.patch(&path_of(&made.body), &change).header("if-match", "\"1\"");
    let changed = changed.expect(StatusCode::OK).await;
    assert_eq!(changed.body["title"], "請求");
    assert_eq!(changed.body["status"], status(&board, 2));
    assert_eq!(changed.body["assignees"], json!([]));
    assert_eq!((&changed.body["due"], &changed.body["body"]), (&Value::Null, &Value::Null));
    assert_eq!(changed.body["fields"], json!({"email": "a@example.jp"}));
    assert_eq!(changed.header("etag"), format!("\"{}\"", changed.body["version"]));
    assert_ne!(changed.body["updated_at"], changed.body["created_at"]);
    let again = bench.patch(&path_of(&made.body), &change).expect(StatusCode::OK).await;
    assert_eq!(again.body, changed.body, "what is as asked is not changed again");

    let trash = |tag: &str| bench.ask(Method::DELETE, &path_of(&made.body)).header("if-match", tag);
    let stale = trash("\"1\"").expect(StatusCode::CONFLICT).await;
    assert_eq!((&stale.body["code"], &stale.body["current"]), (&json!("stale"), &changed.body));
    trash(changed.header("etag")).expect(StatusCode::NO_CONTENT).await;
    let read = bench.read(&path_of(&made.body)).expect(StatusCode::OK).await;
    assert_eq!(read.body["state"], "trashed");
    let refused = bench.patch(&path_of(&made.body), &json!({"labels": []})).expect(StatusCode::CONFLICT).await;
    assert_eq!(refused.body["code"], "trashed");
    bench.ask(Method::DELETE, &path_of(&made.body)).expect(StatusCode::NO_CONTENT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_change_is_shown_the_present_card_and_changes_nothing() {
    let bench = Bench::new().await;
    let board = bench.board().await;
    let card = bench.card(&board, "題").await;
    bench.patch(&path_of(&card), &json!({"title": "先"})).expect(StatusCode::OK).await;
    for change in [json!({"title": "後"}), json!({"status": "完了"}), json!({"assignees": [bench.owner.to_string()]})]
    {
        let late = bench.patch(&path_of(&card), &change).header("if-match", "\"1\"");
        let late = late.expect(StatusCode::CONFLICT).await;
        assert_eq!(late.body["code"], "stale");
        assert_eq!(late.body["current"]["title"], "先");
        assert_eq!(late.body["current"]["version"], 2);
    }
    let read = bench.read(&path_of(&card)).expect(StatusCode::OK).await;
    assert_eq!((&read.body["version"], &read.body["status"]), (&json!(2), &json!(status(&board, 0))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_changes_at_once_that_know_one_version_one_is_done() {
    let bench = Arc::new(Bench::new().await);
    let board = bench.board().await;
    let card = bench.card(&board, "題").await;
    let ways = (0..20).map(|n| {
        let (bench, path) = (Arc::clone(&bench), path_of(&card));
        tokio::spawn(async move {
            let change = if n % 2 == 0 { json!({"title": format!("{n}")}) } else { json!({"status": "完了"}) };
            bench.patch(&path, &change).header("if-match", "\"1\"").get().await.status
        })
    });
    let mut statuses = Vec::new();
    for way in ways.collect::<Vec<_>>() {
        statuses.push(way.await.expect("an answer"));
    }
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (200, [409; 19].as_slice()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_refused_in_part_is_refused_whole() {
    let bench = Bench::new().await;
    let board = bench.board().await;
    let card = bench.card(&board, "題").await;
    let gone = crate::ids::StatusId::fresh(NOW).to_string();
    let got = bench.patch(&path_of(&card), &json!({"title": "新", "body": "新", "status": gone}));
    let got = got.expect(StatusCode::CONFLICT).await;
    assert_eq!((&got.body["code"], got.faults()), (&json!("status-gone"), vec![("status", "status-gone")]));
    assert_eq!(got.body["remaining"][2], json!({"id": status(&board, 2), "name": "完了"}));
    let read = bench.read(&path_of(&card)).expect(StatusCode::OK).await;
    assert_eq!(read.body, card);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archived_card_changes_but_does_not_move() {
    let bench = Bench::new().await;
    let board = bench.board().await;
    let card = bench.card(&board, "題").await;
    let id = card["id"].as_str().expect("an id").parse().expect("an id");
    let store = bench.store();
    let archived = store.submit(64, move |txn| {
        let command = crate::work::Command::Archive { card: id };
        crate::work::change(txn, crate::store::history::Actor::System, NOW, &command)
    });
    archived.await.expect("archived");
    let refused = bench.patch(&path_of(&card), &json!({"status": "完了"})).expect(StatusCode::CONFLICT).await;
    assert_eq!(refused.body["code"], "archived");
    let changed = bench.patch(&path_of(&card), &json!({"title": "別"})).expect(StatusCode::OK).await;
    assert_eq!((&changed.body["title"], &changed.body["state"]), (&json!("別"), &json!("archived")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_left_stays_assigned_but_is_not_assigned_anew() {
    let bench = Bench::new().await;
    let board = bench.board().await;
    let (mine, other) = (bench.card(&board, "一").await, bench.card(&board, "二").await);
    let owner = bench.owner;
    let both = json!({"assignees": [owner.to_string()]});
    bench.patch(&path_of(&mine), &both).expect(StatusCode::OK).await;
    let store = bench.store();
    let left = store.submit(64, move |txn| {
        let member = members::member(txn.reader(), owner)?.expect("the owner");
        txn.put(&members::MEMBERS, &owner, &members::Member { left_at: Some(NOW), ..member })
    });
    left.await.map_err(|error: crate::store::StoreError| error.to_string()).expect("left");
    bench.patch(&path_of(&mine), &both).expect(StatusCode::OK).await;
    let refused = bench.patch(&path_of(&other), &both).expect(StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(refused.faults(), [("assignees[0]", "unknown-value")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_walked_by_cursor_and_filtered() {
    let bench = Bench::new().await;
    let board = bench.board().await;
    for n in 1..=25 {
        let body = json!({
            "title": format!("カード{n}"), "status": if n % 5 == 0 { "完了" } else { "未対応" },
            "assignees": if n % 10 == 0 { vec![bench.owner.to_string()] } else { vec![] },
            "fields": {"tel": format!("03-{n}")}, "body": if n == 7 { "ＡＢＣ" } else { "" },
        });
        bench.post(&cards_of(&board), &body).expect(StatusCode::CREATED).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("{}?limit=10{cursor}", cards_of(&board));
        let page = bench.read(&path).expect(StatusCode::OK).await.body;
        let items = page["items"].as_array().expect("items");
        seen.extend(items.iter().filter_map(|card| card["number"].as_u64()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
        assert_eq!(items.len(), 10);
    }
    assert_eq!(seen, (1..=25).rev().collect::<Vec<u64>>());

    let done = status(&board, 2);
    let owner = bench.owner.to_string();
    for (query, want) in [
        (format!("status={done}"), vec![25, 20, 15, 10, 5]),
        (format!("assignee={owner}"), vec![20, 10]),
        (format!("status={done}&assignee={owner}&limit=1"), vec![20]),
        ("q=abc".to_owned(), vec![7]),
        ("q=%E3%81%8B%E3%83%BC%E3%81%A9%2024%2003".to_owned(), vec![24]),
        ("q=nothing".to_owned(), vec![]),
        ("state=trashed".to_owned(), vec![]),
    ] {
        let page = bench.read(&format!("{}?{query}", cards_of(&board))).expect(StatusCode::OK).await.body;
        let numbers: Vec<u64> =
            page["items"].as_array().expect("items").iter().filter_map(|c| c["number"].as_u64()).collect();
        assert_eq!(numbers, want, "{query}");
        assert_eq!(page["next_cursor"].is_null(), !query.contains("limit"), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_timeline_tells_from_what_to_what() {
    let bench = Bench::new().await;
    let board = bench.board().await;
    let card = bench.card(&board, "題").await;
    let owner = bench.owner.to_string();
    let changes = [
        json!({"title": "別"}),
        json!({"body": "一"}),
        json!({"body": "二", "fields": {"tel": "1"}}),
        json!({"status": "対応中", "assignees": [owner]}),
    ];
    for change in changes {
        bench.patch(&path_of(&card), &change).expect(StatusCode::OK).await;
    }
    let comment = bench.post(&format!("{}/comments", path_of(&card)), &json!({"body": "見ました"}));
    let comment = comment.expect(StatusCode::CREATED).await;
    assert_eq!(comment.body["by"]["kind"], "token");
    bench.ask(Method::DELETE, &path_of(&card)).expect(StatusCode::NO_CONTENT).await;

    let path = format!("{}/timeline", path_of(&card));
    let all = bench.read(&path).expect(StatusCode::OK).await.body;
    let items = all["items"].as_array().expect("items");
    let told: Vec<Value> =
        items.iter().map(|item| json!([item["kind"], item["field"], item["from"], item["to"], item["body"]])).collect();
    let want = json!([
        ["card.created", "title", null, "題", null],
        ["card.changed", "title", "題", "別", null],
        ["card.changed", "body", null, "一", null],
        ["card.changed", "body", "一", "二", null],
        ["card.changed", "fields.tel", null, "1", null],
        ["card.moved", null, "未対応", "対応中", null],
        ["card.assigned", null, null, null, null],
        ["card.commented", null, null, null, "見ました"],
        ["card.trashed", null, null, null, null],
    ]);
    assert_eq!(Value::Array(told), want);
    assert_eq!(items[6]["subject"], owner.as_str());
    assert_eq!(items[7]["comment"], comment.body["id"]);

    let first = bench.read(&format!("{path}?limit=4")).expect(StatusCode::OK).await.body;
    let next = first["next_cursor"].as_str().expect("more");
    let rest = bench.read(&format!("{path}?cursor={next}")).expect(StatusCode::OK).await.body;
    assert_eq!(
        [first["items"].as_array().expect("items").as_slice(), rest["items"].as_array().expect("items")].concat(),
        *items
    );
    assert!(rest["next_cursor"].is_null());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_request_sent_again_is_done_once() {
    let bench = Arc::new(Bench::new().await);
    let board = bench.board().await;
    let path = cards_of(&board);
    let ways = (0..8).map(|_| {
        let (bench, path) = (Arc::clone(&bench), path.clone());
        tokio::spawn(async move {
            bench.post(&path, &json!({"title": "一度"})).header("idempotency-key", "k1").get().await
        })
    });
    let mut answers = Vec::new();
    for way in ways.collect::<Vec<_>>() {
        answers.push(way.await.expect("an answer"));
    }
    let first = answers[0].body.clone();
    for answer in &answers {
        assert_eq!((answer.status, &answer.body, answer.header("etag")), (201, &first, "\"1\""));
    }
    let replayed = answers.iter().filter(|answer| answer.header("idempotency-replayed") == "true").count();
    assert_eq!(replayed, 7);

    let send = |key: &str, title: &str| bench.post(&path, &json!({"title": title})).header("idempotency-key", key);
    let other = send("k1", "別").expect(StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(other.body["code"], "idempotency-key-reused");
    assert_ne!(send("k2", "一度").expect(StatusCode::CREATED).await.body, first, "another key");
    assert_ne!(send("k1", "一度").role("admin").expect(StatusCode::CREATED).await.body, first, "another token");
    let elsewhere = bench.board().await;
    let on_other = bench.post(&cards_of(&elsewhere), &json!({"title": "一度"})).header("idempotency-key", "k1");
    assert_ne!(on_other.expect(StatusCode::CREATED).await.body, first, "another path");

    // A refusal is not kept: what was mended is done.
    send("k3", "").expect(StatusCode::UNPROCESSABLE_ENTITY).await;
    send("k3", "直した").expect(StatusCode::CREATED).await;

    bench.later(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(send("k1", "一度").expect(StatusCode::CREATED).await.body, first);
    bench.later(Duration::from_secs(1));
    assert_ne!(send("k1", "一度").expect(StatusCode::CREATED).await.body, first, "a day later it is new");

    let forget = |now: Timestamp| {
        let store = bench.store();
        async move {
            let forgotten = store.submit(64, move |txn| crate::web::api::forget_old_answers(txn, now));
            let forgotten: Result<usize, crate::store::StoreError> = forgotten.await;
            forgotten.expect("forgotten")
        }
    };
    assert_eq!(forget(bench.app.now()).await, 0, "what may still be asked for stays");
    assert!(forget(bench.app.now().plus(2 * idempotency::KEPT)).await >= 5);
    assert_eq!(forget(bench.app.now().plus(2 * idempotency::KEPT)).await, 0);
}
