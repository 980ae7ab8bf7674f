//! A payload as a table, for the card and the delivery's page.

use serde_json::Value;

use super::scalar_text;
use crate::{
    limits,
    text::{clean_line, clean_lines, cut},
};

/// The table of a payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// At most as many rows as asked for, in the payload's order.
    pub rows: Vec<Row>,
    /// How many more there would be.
    pub left_out: usize,
}

/// One value of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The way to it for people, such as `data › items › 2 › name`; places in lists count from 1.
    pub label: String,
    /// The way to it for a mapping: a JSON pointer (RFC 6901).
    pub pointer: String,
    /// The value, cleaned, cut to [`limits::TEXT_FIELD_CHARS_MAX`] characters; empty for null and for empty lists.
    pub value: String,
}

/// The payload's values as rows, at most `rows_max`. A list of plain values is one row.
#[must_use]
pub fn rows(payload: &Value, rows_max: usize) -> Rows {
    let mut table = Rows::default();
    walk(payload, "", "", rows_max, &mut table);
    table
}

fn walk(value: &Value, label: &str, pointer: &str, rows_max: usize, table: &mut Rows) {
    let text = match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                if table.rows.len() >= rows_max {
                    table.left_out += leaves(value);
                } else {
                    let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                    walk(value, &step(label, key), &pointer, rows_max, table);
                }
            }
            return;
        }
        Value::Array(items) if holds_more(items) => {
            for (index, value) in items.iter().enumerate() {
                if table.rows.len() >= rows_max {
                    table.left_out += leaves(value);
                } else {
                    let label = step(label, &(index + 1).to_string());
                    walk(value, &label, &format!("{pointer}/{index}"), rows_max, table);
                }
            }
            return;
        }
        plain => scalar_text(plain).unwrap_or_default(),
    };
    let value = cut(&clean_lines(&text), limits::TEXT_FIELD_CHARS_MAX);
    table.rows.push(Row { label: label.to_owned(), pointer: pointer.to_owned(), value });
}

fn step(label: &str, key: &str) -> String {
    let key = cut(&clean_line(key), limits::NAME_CHARS_MAX);
    if label.is_empty() { key } else { format!("{label} › {key}") }
}

/// Whether a list's items need rows of their own: not if all are plain values.
fn holds_more(items: &[Value]) -> bool {
    items.iter().any(|item| item.is_array() || item.is_object() || item.is_null())
}

/// How many rows a value makes.
fn leaves(value: &Value) -> usize {
    match value {
        Value::Object(entries) if !entries.is_empty() => entries.values().map(leaves).sum(),
        Value::Array(items) if holds_more(items) => items.iter().map(leaves).sum(),
        _ => 1,
    }
}
