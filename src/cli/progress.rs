//! A bar on the terminal while long work goes on.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;

const WIDTH: usize = 28;

/// The bar; it is taken away when it is dropped.
#[derive(Default)]
pub(super) struct Bar {
    shown: bool,
}

impl Bar {
    /// Shows how far the work is, on standard error if that is a terminal.
    pub fn show(&mut self, progress: &Value) {
        if !io::stderr().is_terminal() {
            return;
        }
        self.shown = true;
        // A terminal that has gone is told nothing.
        let _ = write!(io::stderr().lock(), "\r\x1b[K{}", line(progress));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// `verifying [=====     ]  50 %  120 MB/s  3 s left`.
fn line(progress: &Value) -> String {
    let figure = |name: &str| progress[name].as_f64().unwrap_or_default();
    let (done, total, seconds) = (figure("done"), figure("total"), figure("seconds"));
    let share = if total > 0.0 { (done / total).min(1.0) } else { 0.0 };
    let full = (share * WIDTH as f64) as usize;
    let bar: String = (0..WIDTH).map(|at| if at < full { '=' } else { ' ' }).collect();
    let rate = if seconds > 0.0 { done / seconds / 1e6 } else { 0.0 };
    let left = progress["left_seconds"].as_f64().map(|left| format!("  {} left", span(left))).unwrap_or_default();
    let step = progress["step"].as_str().unwrap_or_default();
    format!("{step} [{bar}] {:3.0} %  {rate:.0} MB/s{left}", share * 100.0)
}

fn span(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    if seconds < 90 { format!("{seconds} s") } else { format!("{} min", seconds.div_ceil(60)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_how_far_and_how_long() {
        let half =
            json!({ "step": "writing", "done": 50_000_000, "total": 100_000_000, "seconds": 2.0, "left_seconds": 2.0 });
        assert_eq!(line(&half), "writing [==============              ]  50 %  25 MB/s  2 s left");
        assert!(line(&json!({ "step": "writing", "left_seconds": 200.0 })).ends_with("4 min left"));
    }
}
