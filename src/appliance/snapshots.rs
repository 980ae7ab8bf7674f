//! What the command line asks about snapshots, as documents.

use serde_json::{Value, json};

use crate::{
    backup::{Away, BackupError, Generation, Keeper, Kind, Report, Shown, offsite::OffsiteError},
    control::{Failure, Response, SecretText},
    ids::OrgId,
};

/// What is asked of putting one organization back.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub org: OrgId,
    pub keep_tokens: bool,
    pub dry_run: bool,
}

pub(super) fn failed(error: &BackupError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        BackupError::Busy => failure.kept("nothing was changed").hint("wait for it to end, or look at the console"),
        BackupError::Offsite(OffsiteError::NotSet) => failure.hint("set offsite_url and offsite_region"),
        BackupError::Offsite(OffsiteError::NoSuch { .. }) => {
            failure.hint("`workrun snapshots --offsite` names the generations there")
        }
        BackupError::NoSuch(_) | BackupError::None(_) => failure.hint("`workrun snapshots` names the generations"),
        _ => failure.kept("every generation that was whole is kept, and the live data is as it was"),
    }
}

/// A report as a document.
#[must_use]
pub fn report(report: &Report) -> Value {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| json!({ "organization": finding.org.map(|org| org.to_string()), "what": finding.what }))
        .collect();
    json!({
        "kind": report.kind.name(),
        "generation": if report.generation.is_empty() { Value::Null } else { report.generation.clone().into() },
        "at": report.at.rfc3339(),
        "seconds": report.took_ms as f64 / 1000.0,
        "stores": report.stores,
        "records": report.records,
        "bytes": report.bytes,
        "good": report.is_good(),
        "findings": findings,
    })
}

/// What is wrong, as a failure: a verification that found something exits with 1.
pub(super) fn judged(report_read: &Report) -> Response {
    if report_read.is_good() {
        return Ok(report(report_read));
    }
    let told: Vec<String> = report_read
        .findings
        .iter()
        .map(|finding| match finding.org {
            Some(org) => format!("organization {org}: {}", finding.what),
            None => finding.what.clone(),
        })
        .collect();
    let what = match report_read.kind {
        Kind::Live => "the live data".to_owned(),
        Kind::OffsiteVerification => format!("off-site generation {}", report_read.generation),
        _ => format!("generation {}", report_read.generation),
    };
    Err(Failure::new(format!("{what} is damaged: {}", told.join("; ")))
        .kept("nothing was changed; what is not named is whole")
        .hint("`workrun verify all` tells which generations are whole, `workrun restore` puts one of them back"))
}

pub async fn take(keeper: &Keeper, pin: bool) -> Response {
    let taken = keeper.take(false, pin).await.map_err(|error| failed(&error))?;
    let manifest = &taken.manifest;
    let problems: Vec<Value> = taken
        .report
        .findings
        .iter()
        .map(|finding| json!({ "organization": finding.org.map(|org| org.to_string()), "what": finding.what }))
        .collect();
    Ok(json!({
        "generation": taken.generation.name.as_str(),
        "bytes": manifest.bytes(),
        "segments": manifest.entries.len(),
        "written": manifest.entries.iter().filter(|entry| entry.age == 0).count(),
        "bytes_written": manifest.bytes_written(),
        "pinned": taken.generation.pinned,
        "removed": taken.removed.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "seconds": taken.report.took_ms as f64 / 1000.0,
        "seconds_writing": taken.written_ms as f64 / 1000.0,
        "problems": problems,
    }))
}

fn row(shown: &Shown) -> Value {
    let verified = shown.verified.as_ref();
    let mut row = json!({
        "generation": shown.generation.name.as_str(),
        "bytes": null,
        "segments": null,
        "daily": null,
        "pinned": shown.generation.pinned,
        "offsite": shown.away.map(Away::name),
        "verified_at": verified.filter(|report| report.is_good()).map(|report| report.at.rfc3339()),
        "good": verified.map(Report::is_good),
    });
    match &shown.manifest {
        Ok(manifest) => {
            row["bytes"] = manifest.bytes().into();
            row["segments"] = manifest.entries.len().into();
            row["daily"] = manifest.daily.into();
        }
        Err(error) => {
            row["good"] = false.into();
            row["error"] = error.clone().into();
        }
    }
    row
}

pub async fn list(keeper: &Keeper) -> Response {
    let shown = keeper.list().await.map_err(|error| failed(&error))?;
    Ok(json!({ "items": shown.iter().map(row).collect::<Vec<_>>() }))
}

pub async fn verify(keeper: &Keeper, what: &str) -> Response {
    match what {
        "store" => judged(&keeper.verify_live().await.map_err(|error| failed(&error))?),
        "all" => {
            let (mut items, mut wrong) = (Vec::new(), Vec::new());
            for shown in keeper.list().await.map_err(|error| failed(&error))? {
                let read = keeper.verify(&shown.generation).await.map_err(|error| failed(&error))?;
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
        what => {
            let generation = keeper.generations().find(what).map_err(|error| failed(&error))?;
            judged(&keeper.verify(&generation).await.map_err(|error| failed(&error))?)
        }
    }
}

pub async fn put_back(keeper: &Keeper, from: &str, wanted: Wanted) -> Response {
    let generation = keeper.generations().find(from).map_err(|error| failed(&error))?;
    put_back_from(keeper, &generation, wanted).await
}

/// Puts an organization back from a generation wherever it stands.
pub(super) async fn put_back_from(keeper: &Keeper, generation: &Generation, wanted: Wanted) -> Response {
    let Wanted { org, keep_tokens, dry_run } = wanted;
    if dry_run {
        let change = keeper.would_change(generation, org).await.map_err(|error| failed(&error))?;
        let mut answer = json!({
            "generation": generation.name.as_str(),
            "organization": org.to_string(),
            "dry_run": true,
            "in_generation": change.then,
        });
        for (what, (now, then)) in &change.counts {
            answer[format!("{what}_now")] = json!(now);
            answer[format!("{what}_then")] = json!(then);
        }
        return Ok(answer);
    }
    let done = keeper.put_back(generation, org, keep_tokens).await.map_err(|error| failed(&error))?;
    Ok(json!({
        "organization": org.to_string(),
        "generation": done.generation.name.as_str(),
        "records_restored": done.records,
        "tokens_disabled": done.settled.tokens_disabled,
        "members_removed": done.settled.members_removed,
        "previous": done.previous.map(|path| path.display().to_string()),
        "seconds": done.took.as_millis() as f64 / 1000.0,
    }))
}

pub async fn rehearse(keeper: &Keeper, recovery_key: Option<&SecretText>) -> Response {
    let text = recovery_key.map(|key| key.0.as_str());
    let done = keeper.rehearse(text).await.map_err(|error| failed(&error))?;
    let mut answer = judged(&done.report)?;
    answer["by"] = if done.report.by_recovery_key { "recovery key" } else { "root key" }.into();
    Ok(answer)
}
