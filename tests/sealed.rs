//! Nothing that anybody types, sends or is given stands on the disk in the clear: not while the appliance runs, not after it
//! was killed, not after it started again. Nor in its log.

mod harness;

use std::{
    fs,
    path::{Path, PathBuf},
};

use harness::{Appliance, ids_after};
use serde_json::json;

/// Every file below a folder with its bytes.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        let kind = fs::symlink_metadata(&path).expect("its kind").file_type();
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            found.push((path.clone(), fs::read(&path).expect("a readable file")));
        }
    }
    found
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    let Some((first, rest)) = wanted.split_first() else { return true };
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| byte == first) {
        from += at + 1;
        if bytes[from..].starts_with(rest) {
            return true;
        }
    }
    false
}

/// How a text could stand on a disk without being sealed.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let wide = |swap: bool| -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if swap { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let lower = text.to_lowercase();
    vec![text.as_bytes().to_vec(), lower.into_bytes(), wide(false), wide(true)]
}

/// Fails for each text that stands in a file of the data folder or in its name.
fn none_in_the_clear(appliance: &Appliance, when: &str, texts: &[(String, String)]) {
    let files = files(&appliance.data());
    // The scan sees what is there: the marks by which the files say what they are.
    let holds = |mark: &[u8]| files.iter().any(|(_, bytes)| contains(bytes, mark));
    assert!(holds(b"WRKKEYS") && holds(b"WRKSTORE"), "{when}: the files were found: {files:?}", files = files.len());
    let mut found = Vec::new();
    for (what, text) in texts {
        for form in forms(text) {
            for (path, bytes) in &files {
                if contains(bytes, &form) || contains(path.to_string_lossy().as_bytes(), &form) {
                    found.push(format!("{what}: {text:?} in {}", path.display()));
                }
            }
        }
        if appliance.log().contains(text.as_str()) {
            found.push(format!("{what}: {text:?} in the log"));
        }
    }
    assert!(found.is_empty(), "{when}, in the clear:\n{}", found.join("\n"));
}

#[test]
fn nothing_typed_sent_or_given_is_on_the_disk_in_the_clear() {
    let mut appliance = Appliance::with_mail();
    let mut texts: Vec<(String, String)> = Vec::new();
    // Each input gets a text of its own, half of it Japanese.
    let mut text = |what: &str, prefix: &str| -> String {
        let text = format!("{prefix}Zq{}碧玉{}", texts.len(), what.len());
        texts.push((what.to_owned(), text.clone()));
        text
    };

    let org_name = text("organization", "組織");
    let owner_mail = "zq-owner-7f3a@example.test";
    let (hana_mail, waiting_mail) = ("zq-hana-91bc@example.test", "tempfail-zq-44de@example.test");
    let (operator_mail, typed_mail) = ("zq-op-55e0@example.test", "zq-typed-c0de@example.test");
    let org = appliance.found(&org_name, owner_mail);
    let mut operator = appliance.operator(operator_mail);
    operator.get("/console/organizations").expect(200);
    let mut owner = appliance.sign_in(owner_mail);
    owner.agent = "ZqAgent-3b1f/1.0".to_owned();
    let hana_name = text("a member's name", "花");
    let mut hana = appliance.join(&mut owner, &org, hana_mail, &hana_name, "admin");
    let renamed = text("a profile's name", "名");
    hana.post(&format!("/o/{org}/profile"), &[("name", &renamed)]).expect(303);
    owner.post(&format!("/o/{org}/invitations"), &[("mail", waiting_mail), ("role", "guest")]).expect(303);
    let mut asker = appliance.browser();
    asker.post("/sign-in", &[("mail", typed_mail), ("next", "/zq-next-88aa")]).expect(303);
    asker.post("/sign-in", &[("mail", owner_mail), ("next", "/zq-next-88aa")]).expect(303);
    let letter = appliance.mailbox().newest(owner_mail, "/sign-in/link");
    let link = appliance.path_of(&letter, "/sign-in/link");

    let board_name = text("a board", "板");
    let board = Appliance::board(&mut owner, &org, &board_name, "empty");
    let board_url = format!("/o/{org}/boards/{board}");
    let (status, label, field) = (text("a status", "列"), text("a label", "札"), text("a field", "欄"));
    owner.post(&format!("{board_url}/statuses"), &[("name", &status), ("kind", "doing")]).expect(303);
    owner.post(&format!("{board_url}/labels"), &[("name", &label), ("hue", "3")]).expect(303);
    owner.post(&format!("{board_url}/fields"), &[("label", &field), ("key", "zq_key_2d6e")]).expect(303);
    let title = text("a card's title", "題");
    let made = owner.post(&format!("{board_url}/cards"), &[("title", &title), ("status", "")]).expect(303);
    let card = ids_after(made.location(), "#card-").pop().expect("a card");
    let card_url = format!("/o/{org}/cards/{card}");
    let page = owner.page(&card_url);
    let field_id = ids_after(&page, "value=\"field:").pop().expect("a field");
    let version = harness::text_between(&page, "data-version=\"", "\"");
    let (new_title, body, value) = (text("a new title", "新題"), text("a description", "本文"), text("a value", "値"));
    for (name, value) in [("title", &new_title), ("body", &body), (&format!("field:{field_id}"), &value)] {
        owner
            .post(&format!("{card_url}/values"), &[("field", name), ("value", value), ("version", &version)])
            .expect(303);
    }
    let comment = text("a comment", "意見");
    hana.post(&format!("{card_url}/comments"), &[("body", &comment)]).expect(303);

    let hook_name = text("an endpoint", "口");
    let api = appliance.api(&org, "owner");
    let asked = json!({ "name": hook_name, "scheme": "secret-url" });
    let hook = api.post(&format!("boards/{board}/hooks"), &asked).expect(201).json();
    let signed = api.hook(&board, "standard-webhooks");
    let (payload, held, header) =
        (text("a payload", "荷"), text("a held payload", "預"), text("a header", "").replace("碧玉", "x"));
    let url = hook["url"].as_str().expect("an address").to_owned();
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Event-Name", header.as_str()),
        ("X-Delivery-Id", "zq-delivery-9a77"),
    ];
    appliance
        .deliver(&url, &headers, json!({ "title": payload, "deep": [payload] }).to_string().as_bytes())
        .expect(200);
    appliance.deliver(&url, &headers[..1], format!("{{\"{held}").as_bytes()).expect(200);
    let by_api = text("a card by API", "外");
    api.post(&format!("boards/{board}/cards"), &json!({ "title": by_api, "body": by_api })).expect(201);
    let token_name = text("a token's name", "鍵");
    owner.post(&format!("/o/{org}/tokens"), &[("name", &token_name), ("role", "member"), ("days", "30")]).expect(200);
    let searched = text("a search", "探");
    owner.get(&format!("{board_url}/list?q={}", harness::percent(&searched))).expect(200);
    owner.get("/zq-path-61fd?zq-query-61fe=1").expect(404);
    let last = text("the organization's new name", "改");
    owner.post(&format!("/o/{org}/settings"), &[("name", &last)]).expect(303);

    // What was given out opens things, so it stands nowhere either.
    let root_key = fs::read_to_string(appliance.data().with_file_name("root.key")).expect("the root key");
    let given = [
        ("the root key", root_key.trim().to_owned()),
        ("an API token", api.token().to_owned()),
        ("a session", owner.cookie("__Host-workrun").expect("a session").to_owned()),
        ("a pending sign-in", asker.cookie("__Host-workrun_pending").expect("a pending").to_owned()),
        ("a sign-in link", link.split_once("t=").expect("a secret").1.to_owned()),
        ("a signing secret", signed["secret"].as_str().expect("a secret").trim_start_matches("whsec_").to_owned()),
        ("a webhook address", url.rsplit('/').next().expect("a secret").to_owned()),
        ("an owner's address", owner_mail.to_owned()),
        ("a member's address", hana_mail.to_owned()),
        ("an invited address", waiting_mail.to_owned()),
        ("an operator's address", operator_mail.to_owned()),
        ("an unknown address", typed_mail.to_owned()),
        ("a field's key", "zq_key_2d6e".to_owned()),
        ("a browser", "ZqAgent-3b1f".to_owned()),
        ("a delivery's id", "zq-delivery-9a77".to_owned()),
        ("a path", "zq-path-61fd".to_owned()),
        ("a query", "zq-query-61fe".to_owned()),
        ("a way back", "zq-next-88aa".to_owned()),
    ];
    texts.extend(given.map(|(what, text)| (what.to_owned(), text)));
    // The texts arrived: the pages show them.
    let page = owner.page(&card_url);
    for shown in [&new_title, &body, &value, &comment, &label, &renamed] {
        assert!(page.contains(shown.as_str()), "{shown} in {page}");
    }

    none_in_the_clear(&appliance, "while it runs", &texts);
    appliance.kill();
    none_in_the_clear(&appliance, "after a kill", &texts);
    appliance.begin();
    none_in_the_clear(&appliance, "after the recovery", &texts);
    owner.at(appliance.endpoint());
    assert!(owner.page(&card_url).contains(&new_title));
    appliance.stop();
    none_in_the_clear(&appliance, "after a clean stop", &texts);

    // Another key opens nothing, and nothing is changed by trying.
    let key = appliance.data().with_file_name("root.key");
    let before = files(&appliance.data());
    fs::write(&key, format!("{}\n", "ab".repeat(32))).expect("another key");
    let refused = appliance.output(&["serve", "--listen", "127.0.0.1:0", "--tls", "off"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && said.contains("needs root key"), "{said}");
    let after = files(&appliance.data());
    assert!(
        before.iter().all(|(path, bytes)| path.ends_with("lock") || after.contains(&(path.clone(), bytes.clone())))
    );
    fs::write(&key, root_key).expect("the key");
    appliance.begin();
}
