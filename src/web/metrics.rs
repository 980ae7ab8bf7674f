//! `GET /metrics` on a listener of its own (`metrics_listen`): Prometheus' text format, version 0.0.4.
//!
//! Sums over the whole appliance: no organization's name, id or figure stands in it.

use std::{
    fmt::Write as _,
    sync::{Arc, atomic::Ordering},
};

use poem::{Endpoint, Response, Route, endpoint::make_sync, get};

use super::app::App;
use crate::store::figures::{self, Reading};

/// The listener's only page.
#[must_use]
pub fn site(app: Arc<App>) -> impl Endpoint<Output = Response> {
    Route::new().at("/metrics", get(make_sync(move |_| answer(&app))))
}

fn answer(app: &App) -> Response {
    Response::builder().content_type("text/plain; version=0.0.4; charset=utf-8").body(figures(app))
}

fn figures(app: &App) -> String {
    let opened = app.stores.shelf().opened();
    let writers: Vec<_> =
        opened.iter().map(|(_, store)| store.figures()).chain([app.stores.system().figures()]).collect();
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(
        "# HELP workrun_info The version that runs.\n# TYPE workrun_info gauge\nworkrun_info{{version=\"{version}\"}} 1\n"
    );
    let mut add = |name: &str, kind: &str, help: &str, value: u64| {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    };
    let uptime = app.now().since(app.started_at).as_secs();
    add("workrun_uptime_seconds", "gauge", "Seconds since the start.", uptime);
    add("workrun_stores_open", "gauge", "Organizations whose stores are open.", opened.len() as u64);
    add("workrun_live_streams", "gauge", "Live streams that are open.", app.streams.count() as u64);
    let waiting = writers.iter().map(|writer| writer.waiting as u64).sum();
    add("workrun_commands_waiting", "gauge", "Commands that wait for a commit.", waiting);
    let overloaded = figures::OVERLOADED.load(Ordering::Relaxed);
    add("workrun_commands_overloaded_total", "counter", "Commands refused because too many waited.", overloaded);
    let reading_only = writers.iter().filter(|writer| writer.reading_only).count() as u64;
    add("workrun_stores_reading_only", "gauge", "Open stores that can only be read after a failed sync.", reading_only);
    let groups = &figures::GROUP_COMMANDS.read();
    histogram(&mut text, "workrun_group_commands", "Commands committed together.", groups, |commands| commands as f64);
    let seconds = |micros: u64| micros as f64 / 1e6;
    let commits = &figures::COMMIT_MICROS.read();
    histogram(
        &mut text,
        "workrun_commit_seconds",
        "Time from taking a group to its being on the disk.",
        commits,
        seconds,
    );
    let syncs = &figures::SYNC_MICROS.read();
    histogram(&mut text, "workrun_commit_sync_seconds", "Of that, time in waiting for the disk.", syncs, seconds);
    text
}

fn histogram(text: &mut String, name: &str, help: &str, reading: &Reading, unit: impl Fn(u64) -> f64) {
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} histogram\n");
    for (bound, count) in &reading.buckets {
        let _ = writeln!(text, "{name}_bucket{{le=\"{}\"}} {count}", unit(*bound));
    }
    let Reading { sum, count, .. } = reading;
    let _ = write!(text, "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {}\n{name}_count {count}\n", unit(*sum));
}
