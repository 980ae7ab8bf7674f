//! Many senders at once, each remembering what was acknowledged to it.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use super::{Answer, Connection, Endpoint};

/// What came of the senders' work.
#[derive(Debug, Default)]
pub struct Sent {
    /// Delivery ids that were answered with success, and the answers.
    pub acknowledged: Vec<(String, Answer)>,
    /// Delivery ids that were sent and not answered: they may be in or not.
    pub unanswered: Vec<String>,
}

/// Posts deliveries, each with an id that begins with `name`, over `senders` kept connections until `stop` says so (it is told how many were acknowledged) or
/// the connections break. Each sender has at most one delivery under way.
pub fn until(endpoint: &Endpoint, path: &str, senders: usize, name: &str, stop: &(dyn Fn(u64) -> bool + Sync)) -> Sent {
    let (done, acknowledged, sent) = (AtomicBool::new(false), AtomicU64::new(0), Mutex::new(Sent::default()));
    thread::scope(|scope| {
        for sender in 0..senders {
            let (done, acknowledged, sent) = (&done, &acknowledged, &sent);
            scope.spawn(move || {
                let Ok(mut connection) = Connection::open(endpoint) else { return };
                for count in 0.. {
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    let id = format!("{name}-{sender}-{count}");
                    let body = format!("{{\"title\":\"{id}\",\"filler\":\"{}\"}}", "x".repeat(540));
                    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", id.as_str())];
                    match connection.send("POST", path, &headers, body.as_bytes()) {
                        Ok(answer) if answer.status == 200 => {
                            sent.lock().expect("no sender panics").acknowledged.push((id, answer));
                            if stop(acknowledged.fetch_add(1, Ordering::Relaxed) + 1) {
                                done.store(true, Ordering::Relaxed);
                            }
                        }
                        Ok(answer) => panic!("{id}: {}", answer.brief()),
                        Err(_) => {
                            sent.lock().expect("no sender panics").unanswered.push(id);
                            return;
                        }
                    }
                }
            });
        }
    });
    sent.into_inner().expect("no sender panics")
}
