//! The log: lines for people on a terminal, JSON objects elsewhere, on standard error.
//!
//! Standard output belongs to what a command answers. A log that nobody reads any more (a closed pipe, a full disk)
//! loses its lines and stops nothing.

use std::io::{self, IsTerminal as _, Write};

use jiff::tz::TimeZone;
use tracing::Subscriber;
use tracing_subscriber::{
    Layer as _, Registry,
    filter::Targets,
    fmt::{self, format::Writer, time::FormatTime},
    layer::SubscriberExt as _,
};

use crate::{
    clock::Clock,
    config::{Config, LogFormat},
};

/// Starts logging for the whole process, as the configuration says.
///
/// # Errors
/// If logging was started before.
pub fn start(config: &Config, clock: Clock) -> Result<(), tracing::dispatcher::SetGlobalDefaultError> {
    let form = Form {
        is_json: match config.log_format {
            LogFormat::Json => true,
            LogFormat::Text => false,
            LogFormat::Auto => !io::stderr().is_terminal(),
        },
        // NO_COLOR: see no-color.org.
        has_color: io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    };
    let subscriber =
        subscriber(form, config.log_level.clone(), LineTime { clock, zone: config.time_zone.clone() }, io::stderr);
    tracing::subscriber::set_global_default(subscriber)
}

#[derive(Clone, Copy)]
struct Form {
    is_json: bool,
    has_color: bool,
}

/// What a line is stamped with: local time with its offset for people, UTC for programs.
struct LineTime {
    clock: Clock,
    zone: TimeZone,
}

impl FormatTime for LineTime {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        write!(w, "{}", self.clock.now().in_zone(&self.zone).strftime("%Y-%m-%d %H:%M:%S%.3f%:z"))
    }
}

/// The same moment in UTC by RFC 3339.
struct UtcTime(Clock);

impl FormatTime for UtcTime {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        w.write_str(&self.0.now().rfc3339())
    }
}

/// Writes what it can and calls the rest written.
struct Lossy<W>(W);

impl<W: Write> Write for Lossy<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Ok(bytes.len()),
            outcome => outcome,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

fn subscriber<W: Write + 'static>(
    form: Form,
    filter: Targets,
    time: LineTime,
    writer: impl Fn() -> W + Send + Sync + 'static,
) -> Box<dyn Subscriber + Send + Sync> {
    // tracing-subscriber reports its own trouble with eprintln!, which panics once standard error is closed.
    let layer = fmt::layer().log_internal_errors(false).with_writer(move || Lossy(writer()));
    if form.is_json {
        let layer = layer.json().flatten_event(true).with_span_list(false).with_timer(UtcTime(time.clock));
        Box::new(Registry::default().with(layer.with_filter(filter)))
    } else {
        let layer = layer.with_ansi(form.has_color).with_timer(time);
        Box::new(Registry::default().with(layer.with_filter(filter)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing::{debug, info, info_span, subscriber::with_default};

    use super::*;
    use crate::clock::Timestamp;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn time() -> LineTime {
        // 2026-11-22T03:00:00.007Z
        let clock = Clock::fixed(Timestamp(1_795_316_400_007));
        LineTime { clock, zone: TimeZone::get("Asia/Tokyo").unwrap() }
    }

    /// What a few events leave behind.
    fn logged(is_json: bool, filter: &str) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let form = Form { is_json, has_color: false };
        with_default(subscriber(form, filter.parse().unwrap(), time(), move || writer.clone()), || {
            let _request = info_span!("request", request.id = "r1").entered();
            info!(size_bytes = 7, "Accepted\nwebhook \u{1b}[31m受信");
            debug!("a detail");
        });
        let bytes = kept.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_for_people_carry_local_time_and_the_request() {
        let text = logged(false, "info");
        assert!(text.starts_with("2026-11-22 12:00:00.007+09:00  INFO request{request.id=\"r1\"}: "), "{text}");
        assert!(text.trim_end().ends_with("size_bytes=7"), "{text}");
        assert!(!text.contains('\u{1b}'), "an event's text cannot steer the terminal: {text:?}");
    }

    #[test]
    fn json_lines_are_one_object_each() {
        let text = logged(true, "debug");
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[0]["timestamp"], "2026-11-22T03:00:00.007Z");
        assert_eq!(lines[0]["message"], "Accepted\nwebhook \u{1b}[31m受信");
        assert_eq!((&lines[0]["size_bytes"], &lines[0]["level"]), (&7.into(), &"INFO".into()));
        assert_eq!(lines[0]["span"]["request.id"], "r1");
        assert_eq!(lines[1]["message"], "a detail");
    }

    #[test]
    fn the_filter_works_by_room() {
        assert_eq!(logged(true, "warn,workrun::logging=debug").lines().count(), 2);
        assert_eq!(logged(true, "debug,workrun::logging=off").lines().count(), 0);
    }

    #[test]
    fn a_closed_pipe_stops_nothing() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut probe = writer.try_clone().unwrap();
        assert_eq!(probe.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        for is_json in [true, false] {
            let writer = writer.try_clone().unwrap();
            let form = Form { is_json, has_color: false };
            let open = move || writer.try_clone().unwrap();
            with_default(subscriber(form, "info".parse().unwrap(), time(), open), || info!("unheard"));
        }
    }
}
