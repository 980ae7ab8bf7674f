//! Id, timestamp and signatures on a line each, then the body. No input may pass under a secret that it does not know.
#![no_main]

use libfuzzer_sys::fuzz_target;
use workrun::{
    clock::Timestamp,
    hooks::signature::{SigningSecret, delivery_id, verify},
};

fuzz_target!(|input: &str| {
    let mut lines = input.splitn(4, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let headers = [("webhook-id", line()), ("webhook-timestamp", line()), ("webhook-signature", line())];
    let body = line().as_bytes();
    let _ = SigningSecret::parse(headers[2].1);
    let _ = delivery_id(&headers[..]);
    // Signed by a secret that is new each time, at the time that the input claims.
    let now = Timestamp(headers[1].1.parse::<i64>().unwrap_or(0).saturating_mul(1000));
    assert!(verify(&[SigningSecret::fresh()], &headers[..], body, now).is_err());
});
