//! Who may do what: every operation against every role, no token, an unknown one and another organization's.

use super::*;
use crate::{
    people::members,
    store::history::Actor,
    web::{api::ROUTES, caller::Asker},
    work,
};

/// A path with ids that exist, or with others that do not.
fn filled(path: &str, board: &Value, card: &Value, hook: &str) -> String {
    path.replace("{board}", board["id"].as_str().expect("an id"))
        .replace("{card}", card["id"].as_str().expect("an id"))
        .replace("{hook}", hook)
}

fn body_for(method: &str, path: &str) -> Option<Value> {
    match (method, path.rsplit('/').next().unwrap_or_default()) {
        ("POST", "boards") => Some(json!({"name": "x"})),
        ("POST", "cards") => Some(json!({"title": "x"})),
        ("POST", "comments") => Some(json!({"body": "x"})),
        ("POST", "hooks") => Some(json!({"name": "x", "scheme": "secret-url"})),
        ("PATCH", _) => Some(json!({"title": "y"})),
        ("GET" | "DELETE", _) => None,
        other => panic!("no body for {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_by_every_role() {
    let bench = Bench::new().await;
    let (foreign, _) = found(&bench.app, "よその商店").await;
    let foreign_token = bench.make_token(foreign, None, Role::Owner).await;
    let board = bench.board().await;
    let hook = bench.post(
        &format!("{}/hooks", cards_of(&board).trim_end_matches("/cards")),
        &json!({
            "name": "フォーム", "scheme": "standard-webhooks",
        }),
    );
    let hook = hook.role("admin").expect(StatusCode::CREATED).await;
    for (method, template, least) in ROUTES {
        let card = bench.card(&board, "題").await;
        let path = filled(template, &board, &card, hook.id());
        let ask = || {
            let ask = bench.ask(method.parse().expect("a method"), &path);
            match body_for(method, template) {
                Some(body) => ask.json(&body),
                None => ask,
            }
        };
        let what = format!("{method} {template}");

        let nobody = ask().stranger().get().await;
        assert_eq!((nobody.status, nobody.header("www-authenticate").is_empty()), (401, false), "{what}");
        for unusable in ["", "wr_", "x", &tokens::Bearer::fresh(bench.org).text()] {
            assert_eq!(ask().token(unusable).get().await.status, 401, "{what} {unusable}");
        }
        assert_eq!(ask().token(&foreign_token).get().await.status, 404, "{what} by a stranger");
        for role in Role::ALL {
            let got = ask().role(role.name()).get().await;
            // A guest's token that no member made sees no board, so there what it asks for does not exist.
            let blind = role == Role::Guest && (template.contains("{board}") || template.contains("{card}"));
            let want = match role {
                role if role < *least => 403..=403,
                _ if blind => 404..=404,
                _ => 200..=204,
            };
            assert!(want.contains(&got.status), "{what} by {}: {} {}", role.name(), got.status, got.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_organizations_things_do_not_exist() {
    let bench = Bench::new().await;
    let (foreign, _) = found(&bench.app, "よその商店").await;
    let foreign_token = bench.make_token(foreign, None, Role::Owner).await;
    let board = bench.board().await;
    let card = bench.card(&board, "題").await;
    let in_foreign = |path: String| path.replace("{org}", &foreign.to_string());
    for path in [cards_of(&board), path_of(&card), format!("{}/timeline", path_of(&card))] {
        bench.read(&in_foreign(path)).token(&foreign_token).expect(StatusCode::NOT_FOUND).await;
    }
    for path in ["/orgs/{org}/cards/nonsense", "/orgs/{org}/boards/x/cards", "/orgs/x/boards", "/orgs", "/x", "/"] {
        bench.read(path).expect(StatusCode::NOT_FOUND).await;
    }
    let refused = bench.ask(Method::PUT, &path_of(&card)).expect(StatusCode::METHOD_NOT_ALLOWED).await;
    assert_eq!(refused.header("allow"), "GET, PATCH, DELETE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_ends_with_its_time_its_revocation_and_its_makers_membership() {
    let bench = Bench::new().await;
    let path = "/orgs/{org}/members";
    let of_owner = bench.make_token(bench.org, Some(bench.owner), Role::Admin).await;
    bench.read("/orgs/{org}/audit").token(&of_owner).expect(StatusCode::OK).await;

    // The maker becomes a member only: so does what the token may do.
    let (owner, store) = (bench.owner, bench.store());
    let demote = |role: Role, left: bool| {
        let store = Arc::clone(&store);
        async move {
            let changed = store.submit(64, move |txn| {
                let member = members::member(txn.reader(), owner)?.expect("the owner");
                let left_at = left.then_some(NOW);
                txn.put(&members::MEMBERS, &owner, &members::Member { role, left_at, ..member })
            });
            changed.await.map_err(|error: crate::store::StoreError| error.to_string()).expect("changed");
        }
    };
    demote(Role::Member, false).await;
    bench.read("/orgs/{org}/audit").token(&of_owner).expect(StatusCode::FORBIDDEN).await;
    bench.read(path).token(&of_owner).expect(StatusCode::OK).await;
    demote(Role::Owner, true).await;
    bench.read(path).token(&of_owner).expect(StatusCode::UNAUTHORIZED).await;

    bench.read(path).expect(StatusCode::OK).await;
    let all = store.view(tokens::all).expect("tokens");
    let id = all.iter().find(|token| token.role == Role::Admin && token.by.is_none()).expect("the admin's").id;
    let revoked = store.submit(64, move |txn| tokens::revoke(txn, NOW, Actor::System, id));
    revoked.await.expect("revoked");
    bench.read(path).role("admin").expect(StatusCode::UNAUTHORIZED).await;
    bench.later(tokens::LIFE_DEFAULT);
    bench.read(path).expect(StatusCode::UNAUTHORIZED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guests_token_sees_what_its_maker_was_admitted_to() {
    let bench = Bench::new().await;
    let (board, other) = (bench.board().await, bench.board().await);
    let guest = bench.make_token(bench.org, Some(bench.owner), Role::Guest).await;
    let (owner, id) = (bench.owner, board["id"].as_str().expect("an id").parse().expect("an id"));
    let store = bench.store();
    let admitted = store.submit(64, move |txn| {
        work::change(txn, Actor::System, NOW, &work::Command::AdmitGuest { board: id, user: owner, on: true })
    });
    admitted.await.expect("admitted");
    let seen = bench.read("/orgs/{org}/boards").token(&guest).expect(StatusCode::OK).await;
    assert_eq!(seen.body["items"].as_array().map(Vec::len), Some(1));
    let card = bench.card(&board, "題").await;
    let comments = format!("{}/comments", path_of(&card));
    bench.post(&comments, &json!({"body": "見ました"})).token(&guest).expect(StatusCode::CREATED).await;
    bench.read(&cards_of(&other)).token(&guest).expect(StatusCode::NOT_FOUND).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_access_log_learns_who_asked_and_the_routes_template() {
    let bench = Bench::new().await;
    let board = bench.board().await;
    for (path, method, template) in [
        (cards_of(&board), Method::GET, "/api/v1/orgs/:org/boards/:board/cards"),
        ("/orgs/{org}/cards/x".to_owned(), Method::GET, "/api/v1/orgs/:org/cards/:card"),
        ("/orgs/{org}/boards".to_owned(), Method::PUT, "/api/v1/orgs/:org/boards"),
        ("/openapi.json".to_owned(), Method::GET, "/api/v1/openapi.json"),
    ] {
        let asker = Asker::default();
        let uri = format!("/api/v1{}", path.replace("{org}", &bench.org.to_string()));
        let request = poem::Request::builder()
            .method(method.clone())
            .uri_str(uri)
            .header("authorization", format!("Bearer {}", bench.tokens["member"]))
            .extension(asker.clone())
            .finish();
        let response = bench.api.get_response(request).await;
        let pattern = response.data::<poem::PathPattern>().map(|pattern| pattern.0.to_string());
        assert_eq!(pattern.as_deref(), Some(template), "{path}");
        let note = asker.0.lock().clone();
        let known = method == Method::GET && path != "/openapi.json";
        assert_eq!(note.org, known.then_some(bench.org), "{path}");
        assert_eq!(matches!(note.actor, Some(Actor::Token(_))), known, "{path}");
    }
}
