//! `kill -9` under load: what was acknowledged is there, exactly once, and the next start says that it recovered. In the
//! long run a thousand times.

#[path = "power_failure/dice.rs"]
mod dice;
mod harness;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
};

use harness::{Appliance, is_long, load};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const SENDERS: usize = 32;

#[test]
fn what_was_acknowledged_survives_a_kill_under_load() {
    let mut appliance = Appliance::start();
    let org = appliance.found("青空商会", "owner@example.test");
    let mut api = appliance.api(&org, "owner");
    let board = api.board("受付", &["新着"], &[])["id"].as_str().expect("an id").to_owned();
    let hook = api.hook(&board, "secret-url");
    let url = hook["url"].as_str().expect("an address").to_owned();
    let path = url.strip_prefix(&appliance.endpoint().origin).expect("an address of ours").to_owned();

    let mut acknowledged: BTreeMap<String, Value> = BTreeMap::new();
    let mut unanswered: BTreeSet<String> = BTreeSet::new();
    let (rounds, least, look_every) = if is_long() { (1_000, 20, 50) } else { (12, 60, 4) };
    let mut dice = dice::Dice(20_261_125);
    for round in 0..rounds {
        // Killed at another moment each time, with up to one delivery of each sender under way.
        let (pid, last, killed) = (appliance.pid(), least + dice.below(120), AtomicBool::new(false));
        let sent = load::until(appliance.endpoint(), &path, SENDERS, &format!("round-{round}"), &|count| {
            if count >= last && !killed.swap(true, Ordering::Relaxed) {
                let pid = Pid::from_raw(i32::try_from(pid).expect("a process")).expect("a process");
                kill_process(pid, Signal::KILL).expect("a signal");
            }
            false
        });
        assert!(sent.acknowledged.len() as u64 >= last, "{} of {last}", sent.acknowledged.len());
        assert!(!sent.unanswered.is_empty(), "nothing was under way when it was killed");
        for (id, answer) in sent.acknowledged {
            let answer = answer.json();
            assert_eq!(answer["outcome"], "accepted", "{answer}");
            assert!(acknowledged.insert(id, answer["card"].clone()).is_none());
        }
        unanswered.extend(sent.unanswered);
        appliance.kill();
        appliance.begin();
        assert_eq!(appliance.status()["recovered"], true, "{}", appliance.log());
        if round % look_every > 0 {
            continue;
        }
        api.at(appliance.endpoint());
        check(&api.all(&format!("boards/{board}/cards"), 100), &acknowledged, &unanswered);
    }

    println!("{rounds} kills, {} deliveries acknowledged, {} without an answer", acknowledged.len(), unanswered.len());
    api.at(appliance.endpoint());

    // Senders repeat what was not answered, and then everything is there exactly once.
    for id in std::mem::take(&mut unanswered) {
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", id.as_str())];
        let answer =
            appliance.deliver(&path, &headers, format!("{{\"title\":\"{id}\"}}").as_bytes()).expect(200).json();
        acknowledged.insert(id, answer["card"].clone());
    }
    let cards = api.all(&format!("boards/{board}/cards"), 100);
    check(&cards, &acknowledged, &unanswered);
    assert_eq!(cards.len(), acknowledged.len());
}

/// Every acknowledged delivery is one card, the one that its answer named; what was not answered is at most one.
fn check(cards: &[Value], acknowledged: &BTreeMap<String, Value>, unanswered: &BTreeSet<String>) {
    let (mut by_title, mut numbers) = (BTreeMap::new(), BTreeSet::new());
    for card in cards {
        let title = card["title"].as_str().expect("a title");
        assert!(by_title.insert(title, &card["id"]).is_none(), "{title} is there twice");
        assert!(numbers.insert(card["number"].as_u64().expect("a number")), "{} is given twice", card["number"]);
        assert!(acknowledged.contains_key(title) || unanswered.contains(title), "nobody sent {title}");
    }
    for (id, card) in acknowledged {
        assert_eq!(by_title.get(id.as_str()), Some(&card), "{id} was acknowledged");
    }
    // A receipt number belongs to a card that was committed, so a lost commit leaves no gap either.
    assert_eq!(numbers.last().copied(), Some(cards.len() as u64));
}
