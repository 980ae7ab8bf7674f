//! Who may deliver: the schemes by which a sender proves itself, and the id by which a repeated delivery is known.
//!
//! [`verify`] works on the raw body, in this order: headers, time, then MAC in constant time over decoded bytes. Nothing
//! may be recorded for a delivery that it refuses, or strangers could use up ids. Senders' habits are tabulated in the
//! guide, `docs/guide/webhooks.md`.

use std::{fmt, str::FromStr};

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose},
};
use ring::hmac;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    clock::Timestamp,
    ids::random_bytes,
    limits,
    text::{Explain, Message},
};

/// How a sender proves itself. Names are those of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// `secret-url`: whoever knows the endpoint's address may deliver.
    SecretUrl,
    /// `standard-webhooks`: HMAC-SHA256 over id, time and body (Standard Webhooks 1.0.0, symmetric).
    StandardWebhooks,
}

impl Scheme {
    /// The schemes on offer.
    pub const ALL: [Self; 2] = [Self::SecretUrl, Self::StandardWebhooks];

    /// The scheme's name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SecretUrl => "secret-url",
            Self::StandardWebhooks => "standard-webhooks",
        }
    }

    /// Whether the sender needs a signing secret besides the address.
    #[must_use]
    pub fn has_secret(self) -> bool {
        match self {
            Self::SecretUrl => false,
            Self::StandardWebhooks => true,
        }
    }
}

/// The name given is not that of a scheme on offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such scheme; use `secret-url` or `standard-webhooks`")]
pub struct UnknownScheme;

impl FromStr for Scheme {
    type Err = UnknownScheme;
    fn from_str(name: &str) -> Result<Self, UnknownScheme> {
        Self::ALL.into_iter().find(|scheme| scheme.name() == name).ok_or(UnknownScheme)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The headers of a delivery, by name without regard to case.
pub trait Headers {
    /// The first header of that name, if its value is text.
    fn header(&self, name: &str) -> Option<&str>;
}

impl<N: AsRef<str>, V: AsRef<str>> Headers for [(N, V)] {
    fn header(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| known.as_ref().eq_ignore_ascii_case(name)).map(|(_, value)| value.as_ref())
    }
}

/// A Standard Webhooks secret: 24 to 64 bytes that sender and endpoint share.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SigningSecret(Vec<u8>);

/// Why a text is not a signing secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Not base64, apart from the prefix `whsec_`.
    #[error("a signing secret is `whsec_` followed by base64")]
    NotBase64,
    /// Fewer than 24 or more than 64 bytes.
    #[error("the signing secret has {bytes} bytes; 24 to 64 are required")]
    Length {
        /// Bytes given.
        bytes: usize,
    },
}

impl Explain for SecretError {
    fn message(&self) -> Message {
        match self {
            Self::NotBase64 => Message::plain("signing-secret-not-base64"),
            Self::Length { bytes } => Message::plain("signing-secret-length").with("bytes", bytes),
        }
    }
}

/// Base64 with or without its padding: senders' settings pages lose it in copying.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl SigningSecret {
    /// A new secret of 32 bytes.
    #[must_use]
    pub fn fresh() -> Self {
        Self(random_bytes::<32>().to_vec())
    }

    /// The secret of its text, `whsec_` and base64; the prefix may be missing.
    ///
    /// # Errors
    /// [`SecretError`] if it is not base64 or has a wrong length.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        let encoded = text.strip_prefix("whsec_").unwrap_or(text);
        BASE64.decode(encoded).map_err(|_| SecretError::NotBase64).and_then(Self::from_bytes)
    }

    /// The secret of its bytes, as [`SigningSecret::as_bytes`] gave them to the store.
    ///
    /// # Errors
    /// [`SecretError::Length`] unless there are 24 to 64.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SecretError> {
        let length = bytes.len();
        let secret = Self(bytes);
        if (24..=64).contains(&length) { Ok(secret) } else { Err(SecretError::Length { bytes: length }) }
    }

    /// The bytes, for the sealed store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The secret as its sender wants it, `whsec_` and base64.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("whsec_{}", general_purpose::STANDARD.encode(&self.0)))
    }

    /// HMAC-SHA256 over `{id}.{timestamp}.{body}`.
    fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> hmac::Tag {
        let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac.sign()
    }

    /// The value of `webhook-signature` for a delivery, for the page's own test delivery.
    #[must_use]
    pub fn signature(&self, id: &str, sent_at: Timestamp, body: &[u8]) -> String {
        let tag = self.sign(id, &sent_at.unix_seconds().to_string(), body);
        format!("v1,{}", general_purpose::STANDARD.encode(tag))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// What a verified delivery says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The event's id: the same on every retry.
    pub id: String,
    /// When this attempt was sent, by the sender's clock.
    pub sent_at: Timestamp,
}

/// Why a signature is refused. The answer is 401 without details; the endpoint's page shows the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A header that the scheme needs is missing or not text.
    #[error("the header `{header}` is missing")]
    Missing {
        /// Its name.
        header: &'static str,
    },
    /// The id is empty, longer than [`limits::DELIVERY_ID_CHARS_MAX`], or not visible ASCII.
    #[error("the delivery id is not 1 to 256 visible ASCII characters")]
    BadId,
    /// The time is not a whole number of seconds.
    #[error("the timestamp is not a number of seconds since 1970")]
    BadTimestamp,
    /// Sent more than [`TOLERANCE_SECONDS`] ago or ahead. Either the sender's clock is off, or this machine's.
    #[error("the delivery's time is {skew_seconds} s away from this machine's clock; at most 300 are accepted")]
    TimestampOutside {
        /// Seconds from the time signed to now; negative if it lies ahead.
        skew_seconds: i64,
    },
    /// No signature of a version that is known here; only `v1` is.
    #[error("no signature of version v1 is given")]
    NoKnownVersion,
    /// No signature given fits id, time, body and secret.
    #[error("no signature matches; the secret differs, or the body was changed on its way")]
    NoMatch,
}

impl SignatureError {
    /// The reason's stable name, in the API and the log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing-header",
            Self::BadId => "bad-id",
            Self::BadTimestamp => "bad-timestamp",
            Self::TimestampOutside { .. } => "timestamp-outside",
            Self::NoKnownVersion => "no-known-version",
            Self::NoMatch => "no-match",
        }
    }
}

impl Explain for SignatureError {
    fn message(&self) -> Message {
        match self {
            Self::Missing { header } => Message::plain("delivery-refused-missing-header").with("header", header),
            Self::BadId => Message::plain("delivery-refused-bad-id"),
            Self::BadTimestamp => Message::plain("delivery-refused-bad-timestamp"),
            Self::TimestampOutside { skew_seconds } => {
                Message::plain("delivery-refused-timestamp-outside").with("seconds", skew_seconds)
            }
            Self::NoKnownVersion => Message::plain("delivery-refused-no-known-version"),
            Self::NoMatch => Message::plain("delivery-refused-no-match"),
        }
    }
}

/// How far a delivery's time may lie from now, both ways: that of the reference libraries.
pub const TOLERANCE_SECONDS: i64 = 300;

/// Entries of `webhook-signature` that are looked at; a sender in the middle of a rotation sends two.
const SIGNATURES_MAX: usize = 16;

/// The header names of the standard, and those of the service that it came from, as (id, timestamp, signature).
const HEADER_NAMES: [(&str, &str, &str); 2] =
    [("webhook-id", "webhook-timestamp", "webhook-signature"), ("svix-id", "svix-timestamp", "svix-signature")];

/// Checks a delivery by Standard Webhooks 1.0.0. Any of the secrets may have signed it, so that one can be replaced while
/// deliveries of the old one are still under way.
///
/// # Errors
/// [`SignatureError`] says what is wrong. Nothing about the delivery may then be kept but that it was refused.
pub fn verify(
    secrets: &[SigningSecret],
    headers: &(impl Headers + ?Sized),
    body: &[u8],
    now: Timestamp,
) -> Result<Verified, SignatureError> {
    let names = HEADER_NAMES.into_iter().find(|(_, _, signature)| headers.header(signature).is_some());
    let (id_name, timestamp_name, signature_name) = names.unwrap_or(HEADER_NAMES[0]);
    let needed = |header| headers.header(header).ok_or(SignatureError::Missing { header });
    let (id, timestamp, signatures) = (needed(id_name)?, needed(timestamp_name)?, needed(signature_name)?);
    if !is_delivery_id(id) {
        return Err(SignatureError::BadId);
    }
    if !timestamp.bytes().all(|b| b.is_ascii_digit()) {
        return Err(SignatureError::BadTimestamp);
    }
    let seconds: i64 = timestamp.parse().map_err(|_| SignatureError::BadTimestamp)?;
    let skew_seconds = now.unix_seconds().saturating_sub(seconds);
    if skew_seconds.saturating_abs() > TOLERANCE_SECONDS {
        return Err(SignatureError::TimestampOutside { skew_seconds });
    }
    let mut given = signatures.split(' ').filter_map(|entry| entry.strip_prefix("v1,")).take(SIGNATURES_MAX).peekable();
    if given.peek().is_none() {
        return Err(SignatureError::NoKnownVersion);
    }
    // What is not base64 cannot match either; a malformed signature is a wrong one.
    let given: Vec<Vec<u8>> = given.filter_map(|encoded| BASE64.decode(encoded).ok()).collect();
    let matches = secrets.iter().any(|secret| {
        let expected = secret.sign(id, timestamp, body);
        given.iter().any(|given| bool::from(given.ct_eq(expected.as_ref())))
    });
    if matches {
        Ok(Verified { id: id.to_owned(), sent_at: Timestamp(seconds.saturating_mul(1000)) })
    } else {
        Err(SignatureError::NoMatch)
    }
}

/// The headers in which senders without a signature name a delivery, the first found being taken. All stay the same when
/// the delivery is repeated; request ids, which proxies add anew each time, are not among them.
pub const DELIVERY_ID_HEADERS: [&str; 8] = [
    "webhook-id",
    "svix-id",
    "idempotency-key",
    "x-github-delivery",
    "x-gitea-delivery",
    "x-shopify-webhook-id",
    "shopify-webhook-id",
    "x-delivery-id",
];

/// The delivery's id by the sender's account, if it gives one of 1 to 256 visible ASCII characters. Unsigned: good for
/// finding repetitions, never for trusting.
#[must_use]
pub fn delivery_id(headers: &(impl Headers + ?Sized)) -> Option<&str> {
    DELIVERY_ID_HEADERS.into_iter().filter_map(|name| headers.header(name)).find(|id| is_delivery_id(id))
}

fn is_delivery_id(id: &str) -> bool {
    (1..=limits::DELIVERY_ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
