//! The bucket: its objects through `object_store`, and what that does not ask, by requests signed with its credentials.

use std::{ops::Range, sync::Arc, time::Duration};

use futures_util::TryStreamExt as _;
use hyper::{Method, Request, http::request::Builder};
use object_store::{
    Attribute, Attributes, ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AwsAuthorizer, AwsCredentialProvider, Checksum},
    client::{HttpClient, HttpRequestBody},
    multipart::MultipartStore as _,
    path::Path,
};

use super::{
    OffsiteError,
    error::{in_words, tagged},
    http::Connector,
};
use crate::config::Offsite as Settings;

/// How often a request is tried that was not answered, and how long after the first.
const TRIES: u32 = 3;
const TRYING: Duration = Duration::from_secs(60);
/// What a question about the bucket is answered with at most.
const ANSWER_MAX: usize = 8 << 20;

/// Whether the bucket keeps what is overwritten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Protection {
    /// It was not asked yet, or does not say.
    #[default]
    Unknown,
    /// What is overwritten is gone.
    Off,
    /// Versions of what is overwritten are kept: keys of erased organizations survive in old keyrings.
    Versioned,
    /// Nothing can be removed for a time.
    Locked,
}

/// An object as the server describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Described {
    pub bytes: u64,
    /// Base64, `-N` behind it where it is of N parts.
    pub sha256: Option<String>,
    /// An MD5 in hex with nothing else around it, `-N` behind it where it is of N parts; or something else.
    pub tag: String,
}

/// A part that the server holds of an upload that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// From 1.
    pub number: usize,
    pub bytes: u64,
    pub tag: String,
    pub sha256: Option<String>,
}

/// An answer to a request of our own.
struct Answer {
    status: u16,
    described: Described,
    body: String,
}

pub(super) struct Bucket {
    /// `s3://bucket/prefix`, for messages.
    url: String,
    prefix: String,
    store: AmazonS3,
    client: HttpClient,
    /// The bucket's own address.
    base: String,
    region: String,
    credentials: AwsCredentialProvider,
}

/// A name as it stands in an address: everything but what needs no escape is escaped.
fn escaped(text: &str, keeps_slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keeps_slashes && byte == b'/' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn bare_tag(tag: &str) -> String {
    tag.replace("&quot;", "").replace("&#34;", "").replace('"', "")
}

/// Every `<tag>…</tag>` of a document.
fn each<'t>(document: &'t str, tag: &str) -> Vec<&'t str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    document.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0)).collect()
}

impl Bucket {
    /// A bucket as the settings say; nothing is asked of it yet.
    pub fn open(settings: &Settings, url: &str) -> Result<Self, OffsiteError> {
        let connector = Connector::new(settings.root_file.as_ref())?;
        let endpoint = match &settings.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => format!("https://s3.{}.amazonaws.com", settings.region),
        };
        let builder = AmazonS3Builder::new()
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_endpoint(&endpoint)
            // The connector holds the line: in clear to this machine alone.
            .with_allow_http(true)
            .with_checksum_algorithm(Checksum::SHA256)
            .with_disable_tagging(true)
            // Deleting many at once is not among what every service offers.
            .with_disable_bulk_delete(true)
            .with_retry(RetryConfig { max_retries: TRIES as usize, retry_timeout: TRYING, ..RetryConfig::default() })
            .with_http_connector(connector.clone());
        let store = super::credentials::give(builder, &settings.credentials)?
            .build()
            .map_err(|error| OffsiteError::Client(error.to_string()))?;
        Ok(Self {
            url: url.to_owned(),
            prefix: if settings.prefix.is_empty() { String::new() } else { format!("{}/", settings.prefix) },
            credentials: Arc::clone(store.credentials()),
            store,
            client: connector.client(),
            base: format!("{endpoint}/{}", settings.bucket),
            region: settings.region.clone(),
        })
    }

    /// For messages.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn path(&self, object: &str) -> Result<Path, OffsiteError> {
        Path::parse(format!("{}{object}", self.prefix)).map_err(|error| OffsiteError::Client(error.to_string()))
    }

    fn failed<'a>(&'a self, doing: &'a str) -> impl Fn(object_store::Error) -> OffsiteError + 'a {
        move |error| OffsiteError::of(&self.url, doing, &error)
    }

    /// Every object below the prefix: its name without that, and its length.
    pub async fn list(&self) -> Result<Vec<(String, u64)>, OffsiteError> {
        let prefix = self.prefix.trim_end_matches('/');
        let prefix = (!prefix.is_empty()).then(|| Path::parse(prefix)).transpose();
        let prefix = prefix.map_err(|error| OffsiteError::Client(error.to_string()))?;
        let mut found = Vec::new();
        let mut listing = self.store.list(prefix.as_ref());
        while let Some(meta) = listing.try_next().await.map_err(self.failed("a listing"))? {
            if let Some(object) = meta.location.as_ref().strip_prefix(self.prefix.as_str()) {
                found.push((object.to_owned(), meta.size));
            }
        }
        Ok(found)
    }

    /// Writes an object whole. `blake3` is noted beside it.
    pub async fn put(&self, object: &str, content: Vec<u8>, blake3: Option<&str>) -> Result<(), OffsiteError> {
        let options = PutOptions { attributes: noted(blake3), ..PutOptions::default() };
        self.store
            .put_opts(&self.path(object)?, PutPayload::from(content), options)
            .await
            .map_err(self.failed(&format!("to take {object}")))?;
        Ok(())
    }

    /// A part of an object.
    pub async fn read(&self, object: &str, range: Range<u64>) -> Result<impl AsRef<[u8]>, OffsiteError> {
        self.store.get_range(&self.path(object)?, range).await.map_err(self.failed(&format!("to give {object}")))
    }

    /// A small object, whole.
    pub async fn read_all(&self, object: &str) -> Result<Vec<u8>, OffsiteError> {
        let failed = self.failed("to give an object");
        let got = self.store.get(&self.path(object)?).await.map_err(&failed)?;
        Ok(got.bytes().await.map_err(failed)?.to_vec())
    }

    /// Removes an object; one that is not there is removed.
    pub async fn remove(&self, object: &str) -> Result<(), OffsiteError> {
        match self.store.delete(&self.path(object)?).await.map_err(self.failed(&format!("to remove {object}"))) {
            Err(error) if error.is_missing() => Ok(()),
            removed => removed,
        }
    }

    /// What the server says of an object, its checksum among it.
    pub async fn describe(&self, object: &str) -> Result<Described, OffsiteError> {
        let answer =
            self.ask(Method::HEAD, Some(object), &[], &[("x-amz-checksum-mode", "ENABLED")], Vec::new()).await?;
        Ok(self.granted(answer, &format!("to describe {object}"))?.described)
    }

    /// Whether what is overwritten is kept.
    pub async fn protection(&self) -> Result<Protection, OffsiteError> {
        let lock = self.ask(Method::GET, None, &[("object-lock", "")], &[], Vec::new()).await?;
        if lock.status == 200 && tagged(&lock.body, "ObjectLockEnabled") == Some("Enabled") {
            return Ok(Protection::Locked);
        }
        let versioning = self.ask(Method::GET, None, &[("versioning", "")], &[], Vec::new()).await?;
        match (versioning.status, tagged(&versioning.body, "Status")) {
            (200, Some("Enabled")) => Ok(Protection::Versioned),
            // It keeps nothing new, and what it kept before it keeps on.
            (200, Some("Suspended")) if self.versions_of_keyring().await? > 1 => Ok(Protection::Versioned),
            (200, _) => Ok(Protection::Off),
            // A service without versions says so in its own way, and one may be forbidden to ask.
            (400 | 403 | 404 | 405 | 501, _) if !versioning.body.contains("NoSuchBucket") => Ok(Protection::Unknown),
            _ => self.granted(versioning, "a question about versions").map(|_| Protection::Unknown),
        }
    }

    async fn versions_of_keyring(&self) -> Result<usize, OffsiteError> {
        let keyring = format!("{}{}", self.prefix, super::layout::KEYRING);
        let query = [("versions", ""), ("prefix", keyring.as_str())];
        let answer = self.ask(Method::GET, None, &query, &[], Vec::new()).await?;
        Ok(each(&answer.body, "Version").len())
    }

    /// The region that the server says the bucket is in, if it says one.
    pub async fn region(&self) -> Result<Option<String>, OffsiteError> {
        let answer = self.ask(Method::GET, None, &[("location", "")], &[], Vec::new()).await?;
        if answer.status == 404 {
            return Err(self.refused(&answer, "a question about the bucket"));
        }
        let named = answer.body.split_once("<LocationConstraint").and_then(|(_, rest)| {
            let (_, text) = rest.split_once('>')?;
            Some(text.split_once("</LocationConstraint>")?.0.trim().to_owned())
        });
        Ok(named.filter(|region| answer.status == 200 && !region.is_empty()))
    }

    /// Begins an upload by parts.
    pub async fn begin(&self, object: &str, blake3: &str) -> Result<String, OffsiteError> {
        let options = PutMultipartOptions { attributes: noted(Some(blake3)), ..PutMultipartOptions::default() };
        let begun = self.store.create_multipart_opts(&self.path(object)?, options).await;
        begun.map_err(self.failed(&format!("to take {object} in parts")))
    }

    /// Sends a part, counted from 1.
    pub async fn put_part(
        &self,
        object: &str,
        upload: &str,
        number: usize,
        content: Vec<u8>,
    ) -> Result<(), OffsiteError> {
        let (path, upload) = (self.path(object)?, upload.to_owned());
        let sent = self.store.put_part(&path, &upload, number - 1, PutPayload::from(content)).await;
        sent.map_err(self.failed(&format!("to take part {number} of {object}")))?;
        Ok(())
    }

    /// Uploads by parts that were begun and not ended, of objects whose names begin so: object and upload.
    pub async fn uploads(&self, beginning: &str) -> Result<Vec<(String, String)>, OffsiteError> {
        let prefix = format!("{}{beginning}", self.prefix);
        let answer = self.ask(Method::GET, None, &[("uploads", ""), ("prefix", &prefix)], &[], Vec::new()).await?;
        let answer = self.granted(answer, "a question about uploads")?;
        Ok(each(&answer.body, "Upload")
            .into_iter()
            .filter_map(|upload| {
                let object = tagged(upload, "Key")?.strip_prefix(self.prefix.as_str())?;
                Some((object.to_owned(), tagged(upload, "UploadId")?.to_owned()))
            })
            .filter(|(object, _)| object.starts_with(beginning))
            .collect())
    }

    /// The parts that the server holds of an upload.
    pub async fn parts(&self, object: &str, upload: &str) -> Result<Vec<Part>, OffsiteError> {
        let (mut parts, mut after) = (Vec::new(), String::new());
        loop {
            let query: &[(&str, &str)] = match after.as_str() {
                "" => &[("uploadId", upload)],
                after => &[("uploadId", upload), ("part-number-marker", after)],
            };
            let answer = self.ask(Method::GET, Some(object), query, &[], Vec::new()).await?;
            let answer = self.granted(answer, &format!("a question about the parts of {object}"))?;
            parts.extend(each(&answer.body, "Part").into_iter().filter_map(|part| {
                Some(Part {
                    number: tagged(part, "PartNumber")?.parse().ok()?,
                    bytes: tagged(part, "Size")?.parse().ok()?,
                    tag: bare_tag(tagged(part, "ETag")?),
                    sha256: tagged(part, "ChecksumSHA256").map(str::to_owned),
                })
            }));
            let next = tagged(&answer.body, "NextPartNumberMarker").unwrap_or_default();
            if tagged(&answer.body, "IsTruncated") != Some("true") || next.is_empty() || next == after {
                return Ok(parts);
            }
            after = next.to_owned();
        }
    }

    /// Makes one object of all parts; each is named with its tag and its SHA-256.
    pub async fn complete(&self, object: &str, upload: &str, parts: &[(String, String)]) -> Result<(), OffsiteError> {
        let mut order = String::from("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        for (at, (tag, sha256)) in parts.iter().enumerate() {
            order.push_str(&format!(
                "<Part><ChecksumSHA256>{sha256}</ChecksumSHA256><ETag>\"{tag}\"</ETag><PartNumber>{}</PartNumber></Part>",
                at + 1
            ));
        }
        order.push_str("</CompleteMultipartUpload>");
        let answer = self.ask(Method::POST, Some(object), &[("uploadId", upload)], &[], order.into_bytes()).await?;
        // The answer may begin with 200 and end as an error.
        if answer.body.contains("<Error>") {
            return Err(self.refused(&answer, &format!("to put the parts of {object} together")));
        }
        self.granted(answer, &format!("to put the parts of {object} together")).map(|_| ())
    }

    /// Lets the server forget an upload by parts.
    pub async fn abort(&self, object: &str, upload: &str) -> Result<(), OffsiteError> {
        let (path, upload) = (self.path(object)?, upload.to_owned());
        let aborted = self.store.abort_multipart(&path, &upload).await;
        match aborted.map_err(self.failed("to forget an upload")) {
            Err(error) if error.is_missing() => Ok(()),
            aborted => aborted,
        }
    }

    fn refused(&self, answer: &Answer, doing: &str) -> OffsiteError {
        OffsiteError::Refused {
            url: self.url.clone(),
            doing: doing.to_owned(),
            what: in_words(&answer.body, answer.status),
            status: answer.status,
        }
    }

    fn granted(&self, answer: Answer, doing: &str) -> Result<Answer, OffsiteError> {
        if (200..300).contains(&answer.status) { Ok(answer) } else { Err(self.refused(&answer, doing)) }
    }

    /// A request of our own. What is not answered, or answered with a fault of the server's, is tried again.
    async fn ask(
        &self,
        method: Method,
        object: Option<&str>,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, OffsiteError> {
        let mut address = self.base.clone();
        if let Some(object) = object {
            address.push('/');
            address.push_str(&escaped(&format!("{}{object}", self.prefix), true));
        }
        let query: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={}", escaped(value, false))).collect();
        if !query.is_empty() {
            address.push('?');
            address.push_str(&query.join("&"));
        }
        let mut tried = 0;
        loop {
            let mut request = Request::builder().method(method.clone()).uri(&address);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let answer = self.ask_once(request, body.clone()).await;
            tried += 1;
            let again = match &answer {
                Ok(answer) => answer.status >= 500 || answer.status == 429,
                Err(OffsiteError::Unreachable { .. }) => true,
                Err(_) => false,
            };
            if !again || tried >= TRIES {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(100 << tried)).await;
        }
    }

    async fn ask_once(&self, request: Builder, body: Vec<u8>) -> Result<Answer, OffsiteError> {
        let client = |error: &dyn std::fmt::Display| OffsiteError::Client(error.to_string());
        let unreachable = |error: &object_store::client::HttpError| OffsiteError::Unreachable {
            url: self.url.clone(),
            what: std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string),
        };
        let credentials =
            self.credentials.get_credential().await.map_err(self.failed("credentials to this instance"))?;
        let mut request = request.body(HttpRequestBody::from(body)).map_err(|error| client(&error))?;
        AwsAuthorizer::new(&credentials, "s3", &self.region)
            .try_authorize(&mut request, None)
            .map_err(|error| client(&error))?;
        let answer = self.client.execute(request).await.map_err(|error| unreachable(&error))?;
        let status = answer.status().as_u16();
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let described = Described {
            bytes: header("content-length").and_then(|text| text.parse().ok()).unwrap_or_default(),
            sha256: header("x-amz-checksum-sha256").map(str::to_owned),
            tag: bare_tag(header("etag").unwrap_or_default()),
        };
        let (mut stream, mut bytes) = (answer.into_body().bytes_stream(), Vec::new());
        while let Some(chunk) = stream.try_next().await.map_err(|error| unreachable(&error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_MAX {
                return Err(OffsiteError::Client(format!("an answer is larger than {ANSWER_MAX} bytes")));
            }
        }
        Ok(Answer { status, described, body: String::from_utf8_lossy(&bytes).into_owned() })
    }
}

fn noted(blake3: Option<&str>) -> Attributes {
    let mut attributes = Attributes::new();
    if let Some(sum) = blake3 {
        attributes.insert(Attribute::Metadata("blake3".into()), sum.to_owned().into());
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_signatures_want_them() {
        assert_eq!(escaped("a/2026+0900/x y", true), "a/2026%2B0900/x%20y");
        assert_eq!(escaped("a/b=", false), "a%2Fb%3D");
        assert_eq!(bare_tag("&quot;ab&quot;"), "ab");
        let text = "<R><Upload><Key>k</Key></Upload><Upload><Key>l</Key></Upload></R>";
        assert_eq!(each(text, "Upload"), ["<Key>k</Key>", "<Key>l</Key>"]);
    }
}
