//! What a command says: text for people, or exactly one JSON document.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use serde_json::{Map, Value, json};

use crate::control::{Failure, Request};

/// Where answers go, and in which form.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Whether standard output carries one JSON document instead of text.
    pub json: bool,
}

impl Output {
    /// Prints an answer in its form. A reader that has gone is not told, and nothing fails by it.
    pub fn print(self, human: impl FnOnce() -> String, document: &Value) {
        let text = if self.json { document.to_string() } else { human() };
        let _ = writeln!(io::stdout().lock(), "{}", text.trim_end());
    }

    /// Prints a failure: one line on standard error, and with `--json` the document besides.
    pub fn fail(self, failure: &Failure) {
        if self.json {
            self.print(String::new, &json!({ "error": failure }));
        }
        let _ = writeln!(io::stderr().lock(), "{}", line(failure));
    }
}

/// `error: what happened; what is kept; hint: what to do`, on one line whatever the parts hold.
pub(super) fn line(failure: &Failure) -> String {
    let mut line = format!("error: {}", failure.message);
    if let Some(kept) = &failure.kept {
        let _ = write!(line, "; {kept}");
    }
    if let Some(hint) = &failure.hint {
        let _ = write!(line, "; hint: {hint}");
    }
    line.replace(char::is_control, " ")
}

/// An answer as people read it: what was asked for alone, lists in columns, objects line by line.
pub(super) fn human(request: &Request, answer: &Value) -> String {
    let alone = match request {
        Request::SignInLink { .. } => answer.get("url"),
        Request::TokenCreate { .. } => answer.get("token"),
        _ => None,
    };
    if let Some(value) = alone {
        return plain(value);
    }
    match answer.get("items").and_then(Value::as_array) {
        Some(items) if items.is_empty() => "none".to_owned(),
        Some(items) => columns(items),
        None => answer.as_object().map_or_else(|| plain(answer), lines),
    }
}

fn lines(members: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (name, value) in members {
        let _ = writeln!(text, "{}: {}", words(name), plain(value));
    }
    text
}

/// A table whose columns are the members of the first row, id and name first, as wide as their widest cell.
fn columns(rows: &[Value]) -> String {
    let mut names: Vec<&String> =
        rows.first().and_then(Value::as_object).map(|row| row.keys().collect()).unwrap_or_default();
    names.sort_by_key(|name| (*name != "id", *name != "name"));
    let head = names.iter().map(|name| words(name)).collect();
    let body = rows.iter().map(|row| names.iter().map(|name| plain(&row[name.as_str()])).collect());
    let table: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let width = |column: usize| table.iter().map(|row| cells(&row[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let mut text = String::new();
    for row in &table {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell}{}  ", " ".repeat(width - cells(cell)));
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Width on a terminal: kana, kanji and other full-width characters take two cells. Near enough for a table.
fn cells(text: &str) -> usize {
    let is_wide = |char| {
        matches!(char,
            '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
            | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{1f300}'..='\u{1faff}'
            | '\u{20000}'..='\u{3fffd}')
    };
    text.chars().map(|char| if is_wide(char) { 2 } else { 1 }).sum()
}

/// A value without quotes, and without anything that could steer the terminal.
fn plain(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join("; "),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| format!("{} {}", words(name), plain(value)))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    };
    text.replace(char::is_control, " ")
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}
