//! The document, the list of routes and the page for people say the same; and every word is spoken in both languages.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::web::{
    api::{ROUTES, operations},
    view::api_docs::GROUPS,
    words::Language,
};

fn document() -> Value {
    serde_json::from_str(&operations("https://workrun.example.jp").spec()).expect("JSON")
}

/// Every operation of the document, by method and path.
fn described(document: &Value) -> BTreeMap<(String, String), &Value> {
    let paths = document["paths"].as_object().expect("paths");
    paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("methods");
            methods.iter().map(move |(method, operation)| ((method.to_uppercase(), path.clone()), operation))
        })
        .collect()
}

fn names<'v>(list: &'v Value, place: &str) -> BTreeSet<&'v str> {
    let given = list.as_array().map(Vec::as_slice).unwrap_or_default();
    given.iter().filter(|param| param["in"] == place).filter_map(|param| param["name"].as_str()).collect()
}

#[test]
fn every_operation_has_a_row_and_every_row_an_operation() {
    let document = document();
    let rows: BTreeSet<(String, String)> =
        ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(rows.len(), ROUTES.len(), "no row stands twice");
    assert_eq!(described(&document).keys().cloned().collect::<BTreeSet<_>>(), rows);
}

#[test]
fn the_document_describes_what_is_sent_and_what_comes_back() {
    let document = document();
    assert_eq!(document["servers"][0]["url"], "https://workrun.example.jp/api/v1");
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    for ((method, path), operation) in described(&document) {
        let variables: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(names(&operation["parameters"], "path"), variables, "{method} {path}");
        assert_eq!(operation["security"], json!([{"token": []}]), "{method} {path}");
        let problem = &operation["responses"]["default"]["content"]["application/problem+json"]["schema"]["$ref"];
        assert_eq!(problem, "#/components/schemas/Problem", "{method} {path}");
        assert!(operation["summary"].is_string(), "{method} {path}");
        assert_eq!(operation["requestBody"].is_object(), method == "POST" || method == "PATCH", "{method} {path}");
    }
    let card = &document["components"]["schemas"]["Card"]["properties"];
    let members: Vec<&String> = card.as_object().expect("a card").keys().collect();
    let want = [
        "id",
        "number",
        "title",
        "status",
        "board",
        "assignees",
        "labels",
        "due",
        "fields",
        "body",
        "state",
        "comments",
        "created_at",
        "updated_at",
        "version",
    ];
    assert_eq!(members, want);
}

#[test]
fn the_page_explains_every_operation() {
    let document = document();
    let described = described(&document);
    let mut explained = 0;
    for operation in GROUPS.iter().flat_map(|group| group.operations) {
        let (method, path) = (operation.method, operation.path);
        let row = ROUTES.iter().find(|row| (row.0, row.1) == (method, path));
        let (_, _, role) = row.unwrap_or_else(|| panic!("{method} {path} is no operation"));
        assert_eq!(operation.role, role.name(), "{method} {path}");
        explained += 1;

        let operation_described = described[&(method.to_owned(), path.to_owned())];
        let mut want: BTreeSet<(&str, &str)> = BTreeSet::new();
        for place in ["query", "header"] {
            want.extend(names(&operation_described["parameters"], place).into_iter().map(|name| (place, name)));
        }
        let schema = &operation_described["requestBody"]["content"]["application/json"]["schema"];
        want.extend(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| ("body", name.as_str())));
        let given: BTreeSet<(&str, &str)> = operation.params.iter().map(|param| (param.place, param.name)).collect();
        assert_eq!(given, want, "{method} {path}");
        let required: BTreeSet<&str> =
            operation.params.iter().filter(|param| param.required).map(|param| param.name).collect();
        let must: BTreeSet<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        assert_eq!(required, must, "{method} {path}");
        assert!(operation_described["responses"][operation.answer.0.to_string()].is_object(), "{method} {path}");
        for example in [operation.request, operation.answer.1].iter().filter(|example| !example.is_empty()) {
            assert!(serde_json::from_str::<Value>(example).is_ok(), "{method} {path}: {example}");
        }
    }
    assert_eq!(explained, ROUTES.len());
}

#[test]
fn every_word_is_spoken_in_both_languages() {
    let mut keys: BTreeSet<String> = BTreeSet::new();
    for group in GROUPS {
        keys.insert(group.key.to_owned());
        for operation in group.operations {
            keys.insert(operation.key.to_owned());
            keys.extend(operation.params.iter().map(|param| param.key.to_owned()));
        }
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/api");
    for entry in std::fs::read_dir(folder).expect("this room") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).expect("a source file");
            let quoted = source.split('"').filter(|text| {
                text.split_once('-').is_some_and(|(room, _)| {
                    matches!(room, "api" | "refusal" | "error")
                        && text.bytes().all(|b| b == b'-' || b.is_ascii_alphanumeric())
                })
            });
            keys.extend(quoted.map(str::to_owned));
        }
    }
    assert!(keys.len() > 60, "they were found: {}", keys.len());
    for language in Language::ALL {
        for key in &keys {
            assert!(language.words().has(key), "{} has no {key}", language.tag());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_needs_no_token() {
    let bench = Bench::new().await;
    let got = bench.read("/openapi.json").stranger().expect(StatusCode::OK).await;
    assert_eq!(got.body["info"]["title"], "Workrun");
}
