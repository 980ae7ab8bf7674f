//! A disk that is full: writes are refused as what they are, reads go on, and with room everything goes on.

mod harness;

use harness::{Answer, Appliance, Setup};
use serde_json::{Value, json};

#[test]
fn a_full_disk_refuses_writes_serves_reads_and_recovers() {
    if !harness::gives_disks() {
        eprintln!("not tested: this machine gives no user namespaces, so there is no disk to fill");
        return;
    }
    let mut appliance = Appliance::with(Setup { disk: Some("64m"), ..Setup::default() });
    let org = appliance.found("青空商会", "owner@example.test");
    let api = appliance.api(&org, "owner");
    let board = api.board("問い合わせ", &["新着"], &[])["id"].as_str().expect("an id").to_owned();
    let hook = api.hook(&board, "secret-url")["url"].as_str().expect("an address").to_owned();
    let mut owner = appliance.sign_in("owner@example.test");
    let cards = format!("boards/{board}/cards");
    let text = "満".repeat(15_000);
    let make =
        |count: usize| -> Answer { api.post(&cards, &json!({ "title": format!("{count} 件目"), "body": text })) };
    let ids = || -> Vec<Value> { api.all(&cards, 100).into_iter().map(|card| card["id"].clone()).collect() };
    let mut acknowledged: Vec<Value> = vec![make(0).expect(201).json()["id"].clone()];

    appliance.fill_disk(true);
    // What the file has left is used first.
    let refused = (1..500).find_map(|count| {
        let answer = make(count);
        if answer.status == 201 {
            acknowledged.push(answer.json()["id"].clone());
            return None;
        }
        Some(answer)
    });
    let refused = refused.expect("the disk is full").expect(507).json();
    assert_eq!(refused["code"], "disk-full", "{refused}");
    // Every door says the same, and keeps saying it; what is small may still fit.
    let body = json!({ "title": "満杯", "text": text }).to_string();
    appliance.deliver(&hook, &[("Content-Type", "application/json")], body.as_bytes()).expect(507);
    let first = acknowledged[0].as_str().expect("an id").to_owned();
    let typed = "書きかけ".repeat(5_000);
    owner.post(&format!("/o/{org}/cards/{first}/comments"), &[("body", &typed)]).expect(507);
    // Reads go on, and show all that was acknowledged and nothing else.
    assert!(owner.page(&format!("/o/{org}/boards/{board}")).contains("0 件目"));
    assert_eq!(appliance.browser().get("/readyz").expect(200).text(), "ready\n");
    let mut present = ids();
    present.reverse();
    assert_eq!(present, acknowledged);

    appliance.fill_disk(false);
    acknowledged.push(make(500).expect(201).json()["id"].clone());
    appliance.deliver(&hook, &[("Content-Type", "application/json")], body.as_bytes()).expect(200);
    assert_eq!(ids().len(), acknowledged.len() + 1);
}
