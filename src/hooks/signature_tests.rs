use proptest::prelude::*;

use super::*;

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
const BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
const SIGNATURE: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
const SENT_S: i64 = 1_649_367_553;

fn secret(text: &str) -> SigningSecret {
    SigningSecret::parse(text).expect("the test's secret is one")
}

fn check(headers: &[(&str, &str)], body: &[u8], now_s: i64) -> Result<String, SignatureError> {
    verify(&[secret(SECRET)], headers, body, Timestamp(now_s * 1000)).map(|verified| verified.id)
}

fn headers(signature: &str) -> [(&str, &str); 3] {
    [("Webhook-Id", ID), ("WEBHOOK-TIMESTAMP", "1649367553"), ("webhook-signature", signature)]
}

#[test]
fn the_published_vector() {
    let verified = verify(&[secret(SECRET)], &headers(SIGNATURE)[..], BODY, Timestamp(SENT_S * 1000));
    assert_eq!(verified, Ok(Verified { id: ID.to_owned(), sent_at: Timestamp(SENT_S * 1000) }));
    assert_eq!(secret(SECRET).signature(ID, Timestamp(SENT_S * 1000), BODY), SIGNATURE);
}

#[test]
fn a_second_vector_with_japanese() {
    let secret = secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let signature = secret.signature(
        "f5e5f430-f57b-4e6e-9fac-d9128cd7232f",
        Timestamp(1_700_000_000_000),
        r#"{"id":1,"title":"注文"}"#.as_bytes(),
    );
    assert_eq!(signature, "v1,IOiOoaS2efGsn1Mrd0g4hrhKMTsA3T0cb8jruIb3as4=");
}

#[test]
fn signatures() {
    #[track_caller]
    fn case(signature: &str, want: Result<&str, SignatureError>) {
        assert_eq!(check(&headers(signature), BODY, SENT_S), want.map(str::to_owned), "{signature:?}");
    }
    let wrong = format!("v1,{}", general_purpose::STANDARD.encode([7; 32]));
    case(&format!("{wrong} {SIGNATURE}"), Ok(ID));
    case(&format!("v1a,abc {SIGNATURE} v9,x"), Ok(ID));
    case(&format!("v1,@@@  {SIGNATURE}"), Ok(ID));
    case(SIGNATURE.trim_end_matches('='), Ok(ID));
    case(&wrong, Err(SignatureError::NoMatch));
    case("v1,", Err(SignatureError::NoMatch));
    case("v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3", Err(SignatureError::NoMatch));
    case(&SIGNATURE.replace("v1", "v2"), Err(SignatureError::NoKnownVersion));
    case("", Err(SignatureError::NoKnownVersion));
}

#[test]
fn time_is_checked_both_ways() {
    #[track_caller]
    fn case(now_s: i64, want: Result<&str, SignatureError>) {
        assert_eq!(check(&headers(SIGNATURE), BODY, now_s), want.map(str::to_owned), "{now_s}");
    }
    case(SENT_S + 300, Ok(ID));
    case(SENT_S - 300, Ok(ID));
    case(SENT_S + 301, Err(SignatureError::TimestampOutside { skew_seconds: 301 }));
    case(SENT_S - 301, Err(SignatureError::TimestampOutside { skew_seconds: -301 }));
}

#[test]
fn what_is_signed_cannot_be_changed() {
    let [id, timestamp, signature] = headers(SIGNATURE);
    let other_time = ("webhook-timestamp", "1649367554");
    assert_eq!(check(&[id, timestamp, signature], b"{}", SENT_S), Err(SignatureError::NoMatch));
    assert_eq!(check(&[("webhook-id", "msg_2"), timestamp, signature], BODY, SENT_S), Err(SignatureError::NoMatch));
    assert_eq!(check(&[id, other_time, signature], BODY, SENT_S), Err(SignatureError::NoMatch));
    assert_eq!(
        check(&[id, ("webhook-timestamp", "01649367553"), signature], BODY, SENT_S),
        Err(SignatureError::NoMatch),
        "the header's text is signed, not its number"
    );
}

#[test]
fn headers_that_are_missing_or_malformed() {
    #[track_caller]
    fn case(headers: &[(&str, &str)], want: SignatureError) {
        assert_eq!(check(headers, BODY, SENT_S), Err(want), "{headers:?}");
    }
    let [id, timestamp, signature] = headers(SIGNATURE);
    case(&[], SignatureError::Missing { header: "webhook-id" });
    case(&[id, signature], SignatureError::Missing { header: "webhook-timestamp" });
    case(&[id, timestamp], SignatureError::Missing { header: "webhook-signature" });
    case(&[("webhook-id", "a b"), timestamp, signature], SignatureError::BadId);
    case(&[("webhook-id", &"a".repeat(257)), timestamp, signature], SignatureError::BadId);
    for text in ["", "-1", "+1649367553", "1649367553.0", "99999999999999999999", "now"] {
        case(&[id, ("webhook-timestamp", text), signature], SignatureError::BadTimestamp);
    }
}

#[test]
fn svix_names_count_as_a_set() {
    let svix = [("svix-id", ID), ("svix-timestamp", "1649367553"), ("svix-signature", SIGNATURE)];
    assert_eq!(check(&svix, BODY, SENT_S).as_deref(), Ok(ID));
    let mixed = [("webhook-id", ID), ("svix-timestamp", "1649367553"), ("svix-signature", SIGNATURE)];
    assert_eq!(check(&mixed, BODY, SENT_S), Err(SignatureError::Missing { header: "svix-id" }));
}

#[test]
fn either_secret_of_a_rotation_signs() {
    let now = Timestamp(SENT_S * 1000);
    let (old, new) = (secret(SECRET), SigningSecret::fresh());
    let by_new = new.signature(ID, now, BODY);
    for signature in [SIGNATURE, by_new.as_str()] {
        assert!(verify(&[new.clone(), old.clone()], &headers(signature)[..], BODY, now).is_ok());
    }
    assert_eq!(verify(&[new], &headers(SIGNATURE)[..], BODY, now), Err(SignatureError::NoMatch));
    assert_eq!(verify(&[], &headers(SIGNATURE)[..], BODY, now), Err(SignatureError::NoMatch));
}

#[test]
fn secrets() {
    let fresh = SigningSecret::fresh();
    assert_eq!(fresh.as_bytes().len(), 32);
    assert!(fresh.text().starts_with("whsec_"));
    assert_eq!(SigningSecret::parse(&fresh.text()).as_ref(), Ok(&fresh));
    assert_eq!(SigningSecret::from_bytes(fresh.as_bytes().to_vec()).as_ref(), Ok(&fresh));
    assert_eq!(format!("{fresh:?}"), "SigningSecret(…)");
    assert_ne!(SigningSecret::fresh(), fresh);
    assert_eq!(SigningSecret::parse(SECRET.trim_start_matches("whsec_")), SigningSecret::parse(SECRET));
    assert_eq!(SigningSecret::parse("whsec_###"), Err(SecretError::NotBase64));
    assert_eq!(SigningSecret::parse(""), Err(SecretError::Length { bytes: 0 }));
    let of = |bytes: usize| SigningSecret::parse(&general_purpose::STANDARD.encode(vec![1; bytes])).map(|_| ());
    assert_eq!(of(23), Err(SecretError::Length { bytes: 23 }));
    assert_eq!((of(24), of(64)), (Ok(()), Ok(())));
    assert_eq!(of(65), Err(SecretError::Length { bytes: 65 }));
}

#[test]
fn ids_of_unsigned_deliveries() {
    #[track_caller]
    fn case(headers: &[(&str, &str)], want: Option<&str>) {
        assert_eq!(delivery_id(headers), want, "{headers:?}");
    }
    case(&[], None);
    case(&[("X-GitHub-Delivery", "72d3162e"), ("X-Request-Id", "r")], Some("72d3162e"));
    case(&[("X-Request-Id", "r"), ("X-Gitlab-Event-UUID", "u")], None);
    case(&[("idempotency-key", "k"), ("webhook-id", "w")], Some("w"));
    case(&[("webhook-id", ""), ("idempotency-key", "k")], Some("k"));
    case(&[("webhook-id", "注文")], None);
}

#[test]
fn schemes_and_reasons_have_names() {
    for scheme in Scheme::ALL {
        assert_eq!(scheme.to_string().parse(), Ok(scheme));
    }
    assert_eq!("github".parse::<Scheme>(), Err(UnknownScheme));
    let refusals = [
        SignatureError::Missing { header: "webhook-id" },
        SignatureError::BadId,
        SignatureError::BadTimestamp,
        SignatureError::TimestampOutside { skew_seconds: 301 },
        SignatureError::NoKnownVersion,
        SignatureError::NoMatch,
    ];
    for refusal in refusals {
        crate::text::assert_spoken(&refusal);
        assert_eq!(refusal.message().key, format!("delivery-refused-{}", refusal.code()));
    }
    crate::text::assert_spoken(&SecretError::NotBase64);
    crate::text::assert_spoken(&SecretError::Length { bytes: 1 });
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_nothing_else_does(
        id in "[!-~]{1,60}", sent_s in 0_i64..4_000_000_000, body in proptest::collection::vec(any::<u8>(), 0..80), flip in any::<proptest::sample::Index>(),
    ) {
        let secret = SigningSecret::fresh();
        let now = Timestamp(sent_s * 1000);
        let timestamp = sent_s.to_string();
        let signature = secret.signature(&id, now, &body);
        let headers = [("webhook-id", id.as_str()), ("webhook-timestamp", &timestamp), ("webhook-signature", &signature)];
        prop_assert_eq!(verify(std::slice::from_ref(&secret), &headers[..], &body, now), Ok(Verified { id: id.clone(), sent_at: now }));
        let mut changed = body.clone();
        changed.push(b'x');
        let at = flip.index(changed.len());
        changed[at] ^= 1;
        prop_assert_eq!(verify(&[secret], &headers[..], &changed, now), Err(SignatureError::NoMatch));
    }

    #[test]
    fn no_header_panics(id in ".{0,20}", timestamp in "-?[0-9]{0,22}|.{0,8}", signature in "(v1,|v1a,| |,|[A-Za-z0-9+/=]){0,20}|.{0,20}", now in any::<i64>()) {
        let headers = [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)];
        prop_assert!(verify(&[SigningSecret::fresh()], &headers[..], b"", Timestamp(now)).is_err());
        let _ = SigningSecret::parse(&headers[2].1);
    }
}
