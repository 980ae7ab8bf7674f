//! The settings of the off-site copy: where it is, in which region that lies, and who may write there.

use url::Url;
use zeroize::Zeroizing;

use super::{Values, credential, is_loopback_host, missing};
use crate::config::{
    Offsite, OffsiteCredentials,
    error::ConfigError,
    layers::Surroundings,
    secret::SecretSource,
    settings::{self, Setting},
};

/// Regions of AWS by the country that they lie in. Other services' regions are named one by one in `residency`.
const REGIONS: &[(&str, &[&str])] = &[
    ("JP", &["ap-northeast-1", "ap-northeast-3"]),
    ("AE", &["me-central-1"]),
    ("AU", &["ap-southeast-2", "ap-southeast-4"]),
    ("BH", &["me-south-1"]),
    ("BR", &["sa-east-1"]),
    ("CA", &["ca-central-1", "ca-west-1"]),
    ("CH", &["eu-central-2"]),
    ("DE", &["eu-central-1"]),
    ("ES", &["eu-south-2"]),
    ("FR", &["eu-west-3"]),
    ("GB", &["eu-west-2"]),
    ("HK", &["ap-east-1"]),
    ("ID", &["ap-southeast-3"]),
    ("IE", &["eu-west-1"]),
    ("IL", &["il-central-1"]),
    ("IN", &["ap-south-1", "ap-south-2"]),
    ("IT", &["eu-south-1"]),
    ("KR", &["ap-northeast-2"]),
    ("MX", &["mx-central-1"]),
    ("MY", &["ap-southeast-5"]),
    ("SE", &["eu-north-1"]),
    ("SG", &["ap-southeast-1"]),
    ("TH", &["ap-southeast-7"]),
    ("US", &["us-east-1", "us-east-2", "us-west-1", "us-west-2"]),
    ("ZA", &["af-south-1"]),
];

/// Bucket and prefix of `s3://bucket/prefix`.
fn place(text: &str) -> Result<(String, String), String> {
    let rule = || format!("must be s3://BUCKET or s3://BUCKET/PREFIX, not `{text}`");
    let rest = text.strip_prefix("s3://").ok_or_else(rule)?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte));
    let prefix = prefix.trim_end_matches('/');
    let parts_are_names =
        prefix.is_empty() || prefix.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if !(3..=63).contains(&bucket.len()) || !is_plain(bucket) || !is_plain(prefix) || !parts_are_names {
        return Err(format!("{}; names are of letters, digits, `-`, `.` and `_`", rule()));
    }
    Ok((bucket.to_owned(), prefix.to_owned()))
}

fn endpoint(text: &str) -> Result<String, String> {
    let wrong = |what: &str| Err(format!("must be an address such as https://s3.example.jp, and `{text}` {what}"));
    let Ok(url) = Url::parse(text) else { return wrong("is no URL") };
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        "https" => {}
        "http" if is_loopback_host(host.trim_matches(['[', ']'])) => {}
        "http" => return wrong("is http to another machine: credentials would cross the network in clear"),
        _ => return wrong("is neither https nor http"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("carries a user name");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return wrong("goes on after the host");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A region's name, as it stands in a signature.
fn region(text: &str) -> Result<String, String> {
    let is_name = !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_name { Ok(text.to_owned()) } else { Err(format!("must be a region such as ap-northeast-1, not `{text}`")) }
}

/// A country whose regions are known, or a region.
fn residency(text: &str) -> Result<String, String> {
    if REGIONS.iter().any(|(country, _)| *country == text) || text.len() > 2 && region(text).is_ok() {
        return Ok(text.to_owned());
    }
    let known: Vec<&str> = REGIONS.iter().map(|(country, _)| *country).collect();
    Err(format!(
        "must hold countries ({}) or regions such as ap-northeast-1, and `{text}` is neither",
        known.join(", ")
    ))
}

/// The regions that a residency stands for.
fn regions(residency: &[String]) -> Vec<&str> {
    let mut regions = Vec::new();
    for one in residency {
        match REGIONS.iter().find(|(country, _)| *country == one.as_str()) {
            Some((_, theirs)) => regions.extend(theirs.iter().copied()),
            None => regions.push(one.as_str()),
        }
    }
    regions
}

/// The first source that has credentials: the service manager, a file, the environment, the instance's profile.
fn credentials(values: &Values<'_>, surroundings: &Surroundings) -> Result<OffsiteCredentials, ConfigError> {
    if let Some(credential) = credential(surroundings, "offsite-credentials") {
        return Ok(OffsiteCredentials::Source(credential));
    }
    if let Some(path) = values.path(&settings::OFFSITE_CREDENTIALS_FILE)? {
        return Ok(OffsiteCredentials::Source(SecretSource::File(path)));
    }
    let variable =
        |name: &str| surroundings.variable(name).and_then(|value| value.to_str().map(|text| text.trim().to_owned()));
    match (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret)) => Ok(OffsiteCredentials::Environment {
            id,
            secret: Zeroizing::new(secret),
            token: variable("AWS_SESSION_TOKEN").map(Zeroizing::new),
        }),
        (None, None) => Ok(OffsiteCredentials::Instance { metadata: variable("AWS_EC2_METADATA_SERVICE_ENDPOINT") }),
        (id, _) => {
            let absent = if id.is_none() { "AWS_ACCESS_KEY_ID" } else { "AWS_SECRET_ACCESS_KEY" };
            Err(missing(
                &settings::OFFSITE_CREDENTIALS_FILE,
                &format!("and {absent} is not either, though its pair is"),
            ))
        }
    }
}

pub(super) fn offsite(values: &Values<'_>, surroundings: &Surroundings) -> Result<Option<Offsite>, ConfigError> {
    let residency = values.list(&settings::RESIDENCY, residency)?;
    let Some((bucket, prefix)) = values.one(&settings::OFFSITE_URL, place)? else {
        let others: [&'static Setting; 4] = [
            &settings::OFFSITE_ENDPOINT,
            &settings::OFFSITE_REGION,
            &settings::OFFSITE_CREDENTIALS_FILE,
            &settings::OFFSITE_ROOT_FILE,
        ];
        return match others.into_iter().find(|setting| values.is_given(setting)) {
            Some(setting) => Err(values.refuse(setting, "is given, but no offsite_url to use it with")),
            None => Ok(None),
        };
    };
    let region = values
        .one(&settings::OFFSITE_REGION, region)?
        .ok_or_else(|| missing(&settings::OFFSITE_REGION, "offsite_url is, and the residency has to be checked"))?;
    let allowed = regions(&residency);
    if !allowed.contains(&region.as_str()) {
        let rule = format!(
            "is `{region}`, outside the declared residency {}, which is {}: no data would be sent there. Choose one of \
             these, or declare another residency",
            residency.join(", "),
            allowed.join(", "),
        );
        return Err(values.refuse(&settings::OFFSITE_REGION, rule));
    }
    Ok(Some(Offsite {
        bucket,
        prefix,
        endpoint: values.one(&settings::OFFSITE_ENDPOINT, endpoint)?,
        region,
        credentials: credentials(values, surroundings)?,
        root_file: values.path(&settings::OFFSITE_ROOT_FILE)?,
    }))
}
