//! Idempotency keys: a POST that is sent again with the same key is done once.
//!
//! The first success is written down in the same transaction as the change itself, so there is no moment at which one is
//! kept without the other, and is given again for [`KEPT`]. A refusal changed nothing and is decided afresh. Two requests
//! with one key at once wait for each other in the store's writer.

use std::time::Duration;

use minicbor::{Decode, Encode};
use poem::{Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchema, MetaSchemaRef},
};

use super::{
    answer::Answer,
    auth::Caller,
    problem::{Fault, Problem},
};
use crate::{
    clock::Timestamp,
    store::{Order, Read, Shape, Span, StoreError, Table, Txn},
    text::Message,
};

/// The header that carries a key.
pub const HEADER: &str = "Idempotency-Key";
/// How long an answer is kept.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Characters of a key at most.
const KEY_CHARS_MAX: usize = 255;
/// Old answers that one call of [`forget_old_answers`] takes away.
const FORGOTTEN_AT_A_TIME: usize = 1_000;

/// Answers by (day of the change, BLAKE3 of token, path and key). The day lets old answers be found.
const ANSWERS: Table<(u64, [u8; 32]), Kept> = Table::new("idempotent_answers");
/// What stands in these tables.
pub const SHAPES: [Shape; 1] = [ANSWERS.shape()];

/// The first answer to a key.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
struct Kept {
    /// BLAKE3 of the request's body.
    #[cbor(n(0), with = "minicbor::bytes")]
    request: [u8; 32],
    #[n(1)]
    json: String,
    #[n(2)]
    version: Option<u64>,
    #[n(3)]
    at: Timestamp,
}

/// The idempotency key of a request, if it has one.
#[derive(Clone, Debug)]
pub struct Once(Option<Key>);

#[derive(Clone, Debug)]
struct Key {
    path: String,
    key: String,
}

impl<'a> ApiExtractor<'a> for Once {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    type ParamType = ();
    type ParamRawType = ();

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        let schema = MetaSchema { max_length: Some(KEY_CHARS_MAX), min_length: Some(1), ..MetaSchema::new("string") };
        Some(MetaSchemaRef::Inline(Box::new(schema)))
    }

    async fn from_request(req: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        let Some(value) = req.headers().get(HEADER) else { return Ok(Self(None)) };
        let bytes = value.as_bytes();
        let usable = (1..=KEY_CHARS_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        match value.to_str() {
            Ok(key) if usable => Ok(Self(Some(Key { path: req.uri().path().to_owned(), key: key.to_owned() }))),
            _ => {
                let rule = Message::plain("api-rule-idempotency-key").with("max", &KEY_CHARS_MAX);
                Err(Problem::from(Fault::new(HEADER, "malformed", rule)).into())
            }
        }
    }
}

fn day(at: Timestamp) -> u64 {
    u64::try_from(at.unix_seconds()).unwrap_or(0) / KEPT.as_secs()
}

fn find(view: &dyn Read, now: Timestamp, digest: [u8; 32]) -> Result<Option<Kept>, StoreError> {
    let today = day(now);
    // A clock that was set back must not make a known key new: tomorrow's are looked at too.
    for known in today.saturating_sub(1)..=today + 1 {
        if let Some(kept) = view.get(&ANSWERS, &(known, digest))?.filter(|kept: &Kept| now < kept.at.plus(KEPT)) {
            return Ok(Some(kept));
        }
    }
    Ok(None)
}

/// Forgets answers that are too old to be given again; returns how many, at most 1,000 a call.
///
/// # Errors
/// What the store says.
pub fn forget_old_answers(txn: &Txn<'_>, now: Timestamp) -> Result<usize, StoreError> {
    let span = Span::all().before(&day(now).saturating_sub(1));
    let old = txn.reader().list(&ANSWERS, &span, Order::Ascending, FORGOTTEN_AT_A_TIME)?;
    for (key, _) in &old {
        txn.delete(&ANSWERS, key)?;
    }
    Ok(old.len())
}

impl Once {
    /// Does `work` in one transaction of the caller's store, or gives the answer that it had under the same key.
    /// `request` is the digest of the body, `weight` its bytes.
    ///
    /// # Errors
    /// What `work` refuses with, which changes nothing; 422 if the key came with another body; what the store says.
    pub async fn submit<T, const STATUS: u16>(
        self,
        caller: &Caller,
        request: [u8; 32],
        weight: usize,
        mut work: impl FnMut(&Txn<'_>) -> Result<Answer<T, STATUS>, Problem> + Send + 'static,
    ) -> Result<Answer<T, STATUS>, Problem>
    where
        T: 'static,
    {
        let now = caller.now;
        let digest = self.0.map(|Key { path, key }| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&caller.token.0);
            hasher.update(path.as_bytes());
            // Neither a path nor a key holds a space, so the pair reads one way only.
            hasher.update(b" ");
            hasher.update(key.as_bytes());
            *hasher.finalize().as_bytes()
        });
        let submitted = caller.store.submit(weight, move |txn| {
            let Some(digest) = digest else { return work(txn) };
            if let Some(kept) = find(txn.reader(), now, digest)? {
                if kept.request != request {
                    return Err(Problem::key_reused());
                }
                return Ok(Answer::again(kept.json, kept.version, true));
            }
            let answer = work(txn)?;
            let kept = Kept { request, json: answer.json.clone(), version: answer.version, at: now };
            txn.put(&ANSWERS, &(day(now), digest), &kept)?;
            Ok(answer)
        });
        submitted.await
    }
}
