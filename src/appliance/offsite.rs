//! What the command line asks about the off-site copy, as documents.

use serde_json::{Value, json};

use crate::{
    backup::{
        BackupError, Keeper,
        offsite::{Offsite, OffsiteError, Protection},
    },
    control::{Failure, Response},
};

use super::snapshots::{Wanted, failed, judged, put_back_from, report};

fn of(keeper: &Keeper) -> Result<&Offsite, Failure> {
    keeper.offsite().ok_or_else(|| failed(&OffsiteError::NotSet.into()))
}

/// How the copy stands, as it was seen last.
#[must_use]
pub fn status(offsite: &Offsite) -> Value {
    let known = offsite.known();
    json!({
        "url": offsite.url(),
        "region": offsite.region(),
        "generations": known.there.as_ref().map(std::collections::BTreeMap::len),
        "latest": known.there.and_then(|there| there.into_keys().next_back()).map(|name| name.to_string()),
        "keeps_old_versions": match known.protection {
            Protection::Off => Value::from("no"),
            Protection::Versioned => Value::from("yes: versioning"),
            Protection::Locked => Value::from("yes: object lock"),
            Protection::Unknown => Value::from("unknown"),
        },
    })
}

pub async fn list(keeper: &Keeper) -> Response {
    let listed = of(keeper)?.list().await.map_err(|error| failed(&BackupError::from(error)))?;
    let row = |(name, pinned): (crate::backup::Name, bool)| json!({ "generation": name.as_str(), "pinned": pinned });
    Ok(json!({ "items": listed.into_iter().rev().map(row).collect::<Vec<_>>() }))
}

pub async fn verify(keeper: &Keeper, what: &str) -> Response {
    if what != "all" {
        return judged(&keeper.verify_offsite(what).await.map_err(|error| failed(&error))?);
    }
    let (mut items, mut wrong) = (Vec::new(), Vec::new());
    for (name, _) in of(keeper)?.list().await.map_err(|error| failed(&BackupError::from(error)))? {
        let read = keeper.verify_offsite(name.as_str()).await.map_err(|error| failed(&error))?;
        if let Err(failure) = judged(&read) {
            wrong.push(failure.message);
        }
        items.push(report(&read));
    }
    if wrong.is_empty() {
        return Ok(json!({ "items": items }));
    }
    Err(Failure::new(wrong.join("; ")).kept("nothing was changed; what is not named is whole"))
}

pub async fn put_back(keeper: &Keeper, from: &str, wanted: Wanted) -> Response {
    let fetched = keeper.fetch_offsite(from, wanted.org, !wanted.dry_run).await.map_err(|error| failed(&error))?;
    let done = put_back_from(keeper, &fetched.generation, wanted).await;
    if let Err(error) = fetched.remove() {
        tracing::warn!(%error, "what was fetched for a restore could not be removed");
    }
    done
}
