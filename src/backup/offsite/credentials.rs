//! Who may write to the bucket: read anew for every connection, so that a file that was replaced counts at once.

use std::os::unix::fs::PermissionsExt as _;

use object_store::aws::AmazonS3Builder;
use zeroize::Zeroizing;

use super::OffsiteError;
use crate::config::{OffsiteCredentials, SecretSource};

/// A key pair, and what belongs to it where it is a passing one.
#[derive(PartialEq, Eq)]
struct Keys {
    id: Zeroizing<String>,
    secret: Zeroizing<String>,
    token: Option<Zeroizing<String>>,
}

/// Gives the builder what it signs with.
pub(super) fn give(
    builder: AmazonS3Builder,
    credentials: &OffsiteCredentials,
) -> Result<AmazonS3Builder, OffsiteError> {
    let keys = match credentials {
        OffsiteCredentials::Instance { metadata: None } => return Ok(builder),
        OffsiteCredentials::Instance { metadata: Some(place) } => {
            return Ok(builder.with_metadata_endpoint(place.trim_end_matches('/')));
        }
        OffsiteCredentials::Environment { id, secret, token } => {
            Keys { id: Zeroizing::new(id.clone()), secret: secret.clone(), token: token.clone() }
        }
        OffsiteCredentials::Source(source) => read(source)?,
    };
    let builder = builder.with_access_key_id(keys.id.as_str()).with_secret_access_key(keys.secret.as_str());
    Ok(match keys.token {
        Some(token) => builder.with_token(token.as_str()),
        None => builder,
    })
}

fn read(source: &SecretSource) -> Result<Keys, OffsiteError> {
    let unusable = |what: String| OffsiteError::Credentials { place: source.to_string(), what };
    // The service manager's own files are as it makes them.
    if let SecretSource::File(path) = source {
        let mode = std::fs::metadata(path).map_err(|error| unusable(error.to_string()))?.permissions().mode();
        if mode & 0o077 != 0 {
            let what = format!("others may read the file (mode {:04o}): chmod 600 it", mode & 0o7777);
            return Err(unusable(what));
        }
    }
    let text = source.text().map_err(|error| unusable(error.to_string()))?;
    parse(&text).map_err(|what| unusable(what.to_owned()))
}

/// The pair of the section `default`, or of the first one: lines `name = value`, as other S3 clients write them.
fn parse(text: &str) -> Result<Keys, &'static str> {
    let (mut id, mut secret, mut token) = (None, None, None);
    let (mut section, mut first) = (None::<&str>, None::<&str>);
    let has_default = text.lines().any(|line| line.trim() == "[default]");
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = Some(name.trim());
            first = first.or(section);
            continue;
        }
        let counts = match section {
            None => true,
            Some(name) if has_default => name == "default",
            some => some == first,
        };
        let Some((name, value)) = line.split_once('=').filter(|_| counts) else { continue };
        let value = Some(Zeroizing::new(value.trim().to_owned()));
        match name.trim().to_ascii_lowercase().as_str() {
            "aws_access_key_id" => id = value,
            "aws_secret_access_key" => secret = value,
            "aws_session_token" => token = value,
            _ => {}
        }
    }
    let is_there = |value: &Zeroizing<String>| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    let id = id.filter(is_there).ok_or("there is no line `aws_access_key_id = …`")?;
    let secret = secret.filter(is_there).ok_or("there is no line `aws_secret_access_key = …`")?;
    Ok(Keys { id, secret, token: token.filter(is_there) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_clients_are_read() {
        let text = "# made by hand\n[work]\naws_access_key_id = W\naws_secret_access_key = w\n\n[default]\nregion = x\n\
                    AWS_ACCESS_KEY_ID=D\naws_secret_access_key = d=/+\naws_session_token = t\n[later]\naws_access_key_id=L\n";
        let keys = parse(text).ok().unwrap();
        assert_eq!((keys.id.as_str(), keys.secret.as_str()), ("D", "d=/+"));
        assert_eq!(keys.token.unwrap().as_str(), "t");
        let keys =
            parse("[work]\naws_access_key_id = W\naws_secret_access_key = w\n[b]\naws_access_key_id = B").ok().unwrap();
        assert_eq!(keys.id.as_str(), "W");
        assert!(parse("aws_access_key_id = A\n").is_err() && parse("").is_err());
        assert!(parse("aws_access_key_id = A\naws_secret_access_key = \n").is_err());
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "aws_access_key_id = A\naws_secret_access_key = very-secret\n").unwrap();
        let source = SecretSource::File(file.path().to_owned());
        assert!(read(&source).is_ok());
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        let told = read(&source).err().unwrap().to_string();
        assert!(told.contains("mode 0644") && !told.contains("very-secret"), "{told}");
    }
}
