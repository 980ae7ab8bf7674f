//! The operators' page of snapshots: what there is, how it was checked, and by hand what else happens by itself.

use std::sync::Arc;

use poem::{
    IntoResponse as _, Request, Response, Result, handler,
    http::{HeaderValue, StatusCode},
    web::Form,
};
use serde::Deserialize;

use crate::{
    backup::{
        Away, BackupError, Compared, Generation, Keeper, Kind, Report, Shown,
        offsite::{Offsite, Protection},
    },
    web::{
        answer::{WebError, page, see_other},
        app::App,
        caller::{Operator, Reader},
        format::{self, When},
        view::{
            Section,
            console::State,
            snapshots::{GenerationTile, OffsiteCopy, ProgressOnly, ReportRow, Said, Snapshots, Work},
        },
        words::Words,
    },
};

/// Reports that the page shows.
const REPORTS: usize = 30;
/// Height of the tallest bar.
const HEIGHT: u64 = 44;
/// Findings of a report that are shown.
const FINDINGS: usize = 5;

/// `GET /console/snapshots`.
#[handler]
pub async fn show(operator: Operator) -> Result<Response> {
    Ok(render(&operator.reader, None).await?)
}

fn unusable(error: &BackupError) -> WebError {
    match error {
        BackupError::NoSuch(_) | BackupError::None(_) => WebError::NotFound,
        other => WebError::Internal(other.to_string()),
    }
}

fn seconds(words: &Words, millis: u64) -> String {
    let text = if millis < 10_000 { format!("{:.1}", millis as f64 / 1000.0) } else { (millis / 1000).to_string() };
    words.with("snapshots-seconds", "n", text)
}

fn work(words: &Words, app: &App) -> Option<Work> {
    let under_way = app.keeper.under_way();
    let document = under_way.document()?;
    let percent = (under_way.share().unwrap_or_default() * 100.0) as u32;
    let left = document["left_seconds"].as_f64().map(|left| words.with("snapshots-left", "n", left.ceil() as u64));
    Some(Work {
        title: words.text(&format!("snapshots-step-{}", under_way.step().name())),
        left: left.unwrap_or_default(),
        percent,
    })
}

fn tile(words: &Words, when: &When<'_>, app: &App, shown: &Shown, largest: u64) -> GenerationTile {
    let at = shown.generation.name.at();
    let (state, verdict) = match (&shown.manifest, &shown.verified) {
        (Err(_), _) => (State::Bad, "snapshots-damaged"),
        (_, Some(report)) if !report.is_good() && report.kind == Kind::Verification => {
            (State::Bad, "snapshots-damaged")
        }
        (Ok(manifest), _) if !manifest.problems.is_empty() => (State::Warn, "snapshots-incomplete"),
        (_, Some(_)) => (State::Ok, "snapshots-verified"),
        // Its report is older than those that are kept: nothing counts that was not read back.
        _ => (State::Ok, "snapshots-verified"),
    };
    let manifest = shown.manifest.as_ref().ok();
    let bar = |bytes: u64| (bytes * HEIGHT / largest.max(1)).clamp(u64::from(bytes > 0), HEIGHT) as u32;
    let clock = at.in_zone(&app.zone).strftime("%-H:%M").to_string();
    GenerationTile {
        name: shown.generation.name.to_string(),
        day: when.day(at.in_zone(&app.zone).date()),
        pinned: shown.generation.pinned,
        height: manifest.map_or(0, |manifest| bar(manifest.bytes())),
        written: manifest.map_or(0, |manifest| bar(manifest.bytes_written())),
        size: manifest.map_or_else(|| "—".to_owned(), |manifest| format::bytes(manifest.bytes())),
        taken: match manifest {
            Some(manifest) => format!("{clock} · {}", seconds(words, manifest.took_ms)),
            None => clock,
        },
        state,
        verdict: words.text(verdict),
        away: shown.away.map(|away| {
            let state = match away {
                Away::There => State::Ok,
                Away::Failed => State::Bad,
                Away::Sending | Away::Waiting => State::Plain,
            };
            (state, words.text(&format!("snapshots-away-{}", away.name())))
        }),
    }
}

/// What was sent off-site, and by what it was compared there.
fn compared(words: &Words, report: &Report) -> String {
    let Some(Compared { sent, bytes, by_sha256, by_md5, by_reading }) = report.compared else { return String::new() };
    let by = [("sha256", by_sha256), ("md5", by_md5), ("reading", by_reading)];
    let by: Vec<String> = by
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| words.with(&format!("snapshots-compared-{name}"), "n", count))
        .collect();
    let (segments, count, size) = (report.stores.to_string(), sent.to_string(), format::bytes(bytes));
    let sent = [("segments", segments.as_str()), ("sent", &count), ("size", &size)];
    format!("{} {}", words.fill("snapshots-sent", &sent), by.join(" ")).trim().to_owned()
}

fn offsite_copy(words: &Words, offsite: &Offsite) -> OffsiteCopy {
    let (state, versions) = match offsite.known().protection {
        Protection::Off => (State::Ok, "snapshots-offsite-versions-off"),
        Protection::Versioned => (State::Warn, "snapshots-offsite-versions-on"),
        Protection::Locked => (State::Warn, "snapshots-offsite-versions-locked"),
        Protection::Unknown => (State::Plain, "snapshots-offsite-versions-unknown"),
    };
    OffsiteCopy {
        url: offsite.url().to_owned(),
        region: offsite.region().to_owned(),
        state,
        versions: words.text(versions),
    }
}

fn row(words: &Words, when: &When<'_>, report: &Report) -> ReportRow {
    let named = words.text(&format!("snapshots-kind-{}", report.kind.name()));
    let by = if report.by_recovery_key { words.text("snapshots-by-recovery-key") } else { String::new() };
    let findings = report.findings.iter().map(|finding| match finding.org {
        Some(org) => format!("{org}: {}", finding.what),
        None => finding.what.clone(),
    });
    let mut findings: Vec<String> = findings.collect();
    if findings.len() > FINDINGS {
        let more = findings.len() - FINDINGS;
        findings.truncate(FINDINGS);
        findings.push(words.with("snapshots-more", "n", more as u64));
    }
    ReportRow {
        at: when.stamp(report.at),
        what: format!("{named} {}{by}", report.generation).trim().to_owned(),
        records: format::count(report.records),
        took: seconds(words, report.took_ms),
        state: if report.is_good() { State::Ok } else { State::Bad },
        verdict: words.text(if report.is_good() { "snapshots-good" } else { "snapshots-bad" }),
        compared: compared(words, report),
        findings,
    }
}

async fn render(reader: &Reader, said: Option<Said>) -> Result<Response, WebError> {
    let (app, words) = (Arc::clone(&reader.app), reader.words());
    let when = When { words, zone: &app.zone, now: app.now() };
    let mut shown = app.keeper.list().await.map_err(|error| unusable(&error))?;
    shown.reverse();
    let reports = app.keeper.reports(500).await?;
    let sizes = shown.iter().filter_map(|one| one.manifest.as_ref().ok()).map(crate::backup::Manifest::bytes);
    let largest = sizes.max().unwrap_or_default();
    let rehearsed = reports.iter().find(|report| report.kind == Kind::Rehearsal && report.is_good());
    let next = app.keeper.due_in().map_err(|error| unusable(&error))?;
    page(&Snapshots {
        chrome: reader.chrome(Section::ConsoleSnapshots),
        next: words.fill("snapshots-next", &[("when", &when.stamp(app.now().plus(next)))]),
        work: work(words, &app),
        said,
        generations: shown.iter().map(|one| tile(words, &when, &app, one, largest)).collect(),
        rehearsed: rehearsed.map_or_else(String::new, |report| {
            let (at, took) = (when.stamp(report.at), seconds(words, report.took_ms));
            words.fill("snapshots-rehearsed", &[("when", &at), ("took", &took)])
        }),
        reports: reports.iter().take(REPORTS).map(|report| row(words, &when, report)).collect(),
        folder: app.keeper.generations().folder().display().to_string(),
        offsite: app.keeper.offsite().map(|offsite| offsite_copy(words, offsite)),
    })
}

/// `GET /console/snapshots/progress`: how far the work is; once it has ended, the page anew.
#[handler]
pub async fn progress(operator: Operator) -> Result<Response> {
    let reader = &operator.reader;
    match work(reader.words(), &reader.app) {
        Some(work) => Ok(page(&ProgressOnly { chrome: &reader.chrome(Section::ConsoleSnapshots), work })?),
        None => {
            let mut response = StatusCode::OK.into_response();
            response.headers_mut().insert("hx-refresh", HeaderValue::from_static("true"));
            Ok(response)
        }
    }
}

/// Begins long work, which goes on behind the answer; what comes of it stands in the history.
fn begin<F>(app: &Arc<App>, work: impl FnOnce(Arc<Keeper>) -> F) -> Response
where
    F: Future<Output = Result<(), BackupError>> + Send + 'static,
{
    let work = work(Arc::clone(&app.keeper));
    tokio::spawn(async move {
        if let Err(error) = work.await {
            tracing::error!(%error, "what an operator asked of the snapshots was not done");
        }
    });
    see_other("/console/snapshots")
}

/// `POST /console/snapshots`: takes one now.
#[handler]
pub async fn take(operator: Operator) -> Result<Response> {
    Ok(begin(&operator.reader.app, |keeper| async move { keeper.take(false, false).await.map(|_| ()) }))
}

fn generation(app: &App, req: &Request) -> Result<Generation, WebError> {
    let name = req.raw_path_param("generation").ok_or(WebError::NotFound)?;
    let known = app.keeper.generations().list().map_err(|error| unusable(&error))?;
    known.into_iter().find(|generation| generation.name.as_str() == name).ok_or(WebError::NotFound)
}

/// `POST /console/snapshots/:generation/verification`.
#[handler]
pub async fn verify(operator: Operator, req: &Request) -> Result<Response> {
    let app = &operator.reader.app;
    let generation = generation(app, req)?;
    Ok(begin(app, |keeper| async move { keeper.verify(&generation).await.map(|_| ()) }))
}

#[derive(Deserialize)]
struct PinForm {
    on: bool,
}

/// `POST /console/snapshots/:generation/pin`.
#[handler]
pub async fn pin(operator: Operator, req: &Request, Form(form): Form<PinForm>) -> Result<Response> {
    let app = &operator.reader.app;
    let generation = generation(app, req)?;
    app.keeper.pin(generation, form.on).await.map_err(|error| unusable(&error))?;
    Ok(see_other("/console/snapshots"))
}

/// `POST /console/verification`: reads the live stores.
#[handler]
pub async fn verify_live(operator: Operator) -> Result<Response> {
    Ok(begin(&operator.reader.app, |keeper| async move { keeper.verify_live().await.map(|_| ()) }))
}

/// `POST /console/rehearsal`.
#[handler]
pub async fn rehearse(operator: Operator) -> Result<Response> {
    Ok(begin(&operator.reader.app, |keeper| async move { keeper.rehearse(None).await.map(|_| ()) }))
}

/// `POST /console/offsite`: has the off-site copy brought up to date now.
#[handler]
pub async fn copy_offsite(operator: Operator) -> Result<Response> {
    operator.reader.app.keeper.want_offsite();
    Ok(see_other("/console/snapshots"))
}
