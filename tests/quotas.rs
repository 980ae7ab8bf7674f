//! Quotas: what operators allow an organization, what it uses of it, and what is told to whom goes beyond.

mod harness;

use harness::{Api, Appliance, Browser};
use serde_json::{Value, json};

struct Bounded {
    appliance: Appliance,
    org: String,
    operator: Browser,
    api: Api,
    board: String,
}

impl Bounded {
    fn new() -> Self {
        let appliance = Appliance::with_mail();
        let org = appliance.found("青空商会", "owner@example.test");
        let operator = appliance.operator("op@example.test");
        let api = appliance.api(&org, "owner");
        let board = api.board("問い合わせ", &["新着", "対応中"], &[])["id"].as_str().expect("an id").to_owned();
        Self { appliance, org, operator, api, board }
    }

    fn allow(&mut self, cards: &str, mib: &str, members: &str, deliveries: &str) -> u16 {
        let fields = [("cards", cards), ("mib", mib), ("members", members), ("deliveries", deliveries)];
        self.operator.post(&format!("/console/organizations/{}", self.org), &fields).status
    }

    fn create(&self, title: &str) -> harness::Answer {
        self.api.post(&format!("boards/{}/cards", self.board), &json!({ "title": title }))
    }
}

#[test]
fn cards_beyond_the_quota_are_refused_until_there_is_room() {
    let mut bounded = Bounded::new();
    assert_eq!(bounded.allow("3", "1024", "5", "60"), 303);
    let made: Vec<Value> = (0..3).map(|n| bounded.create(&format!("カード {n}")).expect(201).json()).collect();
    let refused = bounded.create("多すぎる").expect(507);
    assert_eq!(refused.json()["code"], "quota", "{}", refused.text());

    // A delivery is kept, and says why it is no card.
    let hook = bounded.api.hook(&bounded.board, "secret-url");
    let url = hook["url"].as_str().expect("an address");
    let post = |id: &str| {
        let headers = [("Content-Type", "application/json"), ("X-Delivery-Id", id)];
        bounded.appliance.deliver(url, &headers, br#"{"title":"x"}"#).expect(200).json()
    };
    assert_eq!(post("one")["outcome"], "held");

    // The archive and the trash count; what is erased does not.
    let mut owner = bounded.appliance.sign_in("owner@example.test");
    let id = made[0]["id"].as_str().expect("an id");
    owner.post(&format!("/o/{}/cards/{id}/trash", bounded.org), &[]).expect(303);
    bounded.create("まだ多すぎる").expect(507);
    let settings = owner.page(&format!("/o/{}/settings", bounded.org));
    assert!(settings.contains("aria-label=\"100%\""), "{settings}");

    assert_eq!(bounded.allow("4", "1024", "5", "60"), 303);
    bounded.create("入る").expect(201);
    let audit = owner.page(&format!("/o/{}/settings", bounded.org));
    assert!(audit.contains("組織の上限を変えました"), "{audit}");
}

#[test]
fn bytes_beyond_the_quota_are_refused_and_reading_and_erasing_go_on() {
    let mut bounded = Bounded::new();
    assert_eq!(bounded.allow("1000", "1", "5", "60"), 303);
    let text = "あ".repeat(20_000);
    let card = bounded.create("長い話").expect(201).json()["id"].as_str().expect("an id").to_owned();
    let comment = || bounded.api.post(&format!("cards/{card}/comments"), &json!({ "body": text }));
    let accepted = (0..40).take_while(|_| comment().status == 201).count();
    assert!((10..=20).contains(&accepted), "{accepted} comments of 60 KB went into 1 MB");
    let refused = comment().expect(507);
    assert!(refused.text().contains("quota"), "{}", refused.text());
    let hook = bounded.api.hook(&bounded.board, "secret-url");
    let answer = bounded.appliance.deliver(hook["url"].as_str().expect("an address"), &[], b"a=b");
    assert_eq!((answer.status, answer.json()["error"].clone()), (507, json!("quota")));
    bounded.api.get(&format!("cards/{card}")).expect(200);
    bounded.api.delete(&format!("cards/{card}")).expect(204);
    assert_eq!(bounded.allow("1000", "2", "5", "60"), 303);
    bounded.create("また書ける").expect(201);
}

#[test]
fn senders_that_come_too_often_are_told_when_to_come_again() {
    let mut bounded = Bounded::new();
    assert_eq!(bounded.allow("1000", "100", "5", "2"), 303);
    let hook = bounded.api.hook(&bounded.board, "secret-url");
    let post = || bounded.appliance.deliver(hook["url"].as_str().expect("an address"), &[], b"title=x");
    post().expect(200);
    post().expect(200);
    let answer = post().expect(429);
    assert!(answer.header("retry-after").is_some());
}

#[test]
fn members_beyond_the_quota_cannot_join() {
    let mut bounded = Bounded::new();
    assert_eq!(bounded.allow("1000", "100", "1", "60"), 303);
    let mut owner = bounded.appliance.sign_in("owner@example.test");
    owner
        .post(&format!("/o/{}/invitations", bounded.org), &[("mail", "hana@example.test"), ("role", "member")])
        .expect(303);
    let letter = bounded.appliance.mailbox().newest("hana@example.test", "/invitations/");
    let link = bounded.appliance.path_of(&letter, "/invitations/");
    let mut hana = bounded.appliance.sign_in("hana@example.test");
    hana.post(&format!("{link}/acceptance"), &[("name", "花")]).expect(422);
    assert_eq!(bounded.allow("1000", "100", "2", "60"), 303);
    hana.post(&format!("{link}/acceptance"), &[("name", "花")]).expect(303);
}

#[test]
fn limits_that_are_no_numbers_are_refused_and_kept_in_the_form() {
    let mut bounded = Bounded::new();
    let path = format!("/console/organizations/{}", bounded.org);
    let fields = [("cards", "たくさん"), ("mib", "１，０２４"), ("members", "5"), ("deliveries", "60")];
    let page = bounded.operator.post(&path, &fields).expect(422).text();
    assert!(page.contains("たくさん") && page.contains("0以上の整数"), "{page}");
    let fields = [("cards", "10,000"), ("mib", "１，０２４"), ("members", "5"), ("deliveries", "60")];
    bounded.operator.post(&path, &fields).expect(303);
    let page = bounded.operator.page(&path);
    assert!(page.contains("10,000") && page.contains("1.0 GB"), "{page}");
    bounded.operator.get("/console/organizations/01k9x5t3c8w6m2q7r4n0b1d2e3").expect(404);
}
