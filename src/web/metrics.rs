//! `GET /metrics` on a listener of its own (`metrics_listen`): Prometheus' text format, version 0.0.4.
//!
//! Sums over the whole appliance: no organization's name, id or figure stands in it.

use std::{fmt::Write as _, sync::Arc};

use poem::{Endpoint, Response, Route, endpoint::make_sync, get};

use super::app::App;

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
    let groups = writers.iter().map(|writer| writer.groups).sum();
    add("workrun_commits_total", "counter", "Groups committed by the stores that are open.", groups);
    let commands = writers.iter().map(|writer| writer.commands).sum();
    add("workrun_commands_total", "counter", "Commands in those groups.", commands);
    let waiting = writers.iter().map(|writer| writer.waiting as u64).sum();
    add("workrun_commands_waiting", "gauge", "Commands that wait for a commit.", waiting);
    text
}
