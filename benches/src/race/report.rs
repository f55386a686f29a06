//! The log of a race as a table for people.

use std::fmt::Write;

use serde_json::Value;

/// The figures shown of each entry, if it has them, and how they are called.
const SHOWN: &[(&str, &str)] = &[
    ("puts_per_s", "puts/s"),
    ("records_per_s", "records/s"),
    ("bytes_per_byte", "bytes/byte"),
    ("p50_us", "p50 us"),
    ("p99_us", "p99 us"),
    ("p99.9_us", "p99.9 us"),
    ("p99.9_beside_checkpoint_us", "p99.9 beside a checkpoint"),
    ("checkpoints", "checkpoints"),
    ("checkpoint_share", "their share"),
    ("cpu_us_per_put", "processor us/put"),
    ("puts_per_batch", "puts/batch"),
    ("journal_sync_us", "journal sync us"),
    ("flood_puts_per_s", "flood puts/s"),
    ("device_bytes_per_record", "device bytes/record"),
    ("others_cpu", "others' processors"),
    ("disk_sync_us", "disk sync us"),
];

/// Medians, ratios with their spread, and which goals are met.
#[must_use]
pub fn table(log: &Value) -> String {
    let mut text = String::new();
    let field = |path: &str| log.pointer(path).and_then(Value::as_str).unwrap_or("unknown").to_owned();
    let dirty = if log["commit"]["dirty"] == Value::Bool(true) { ", with changes" } else { "" };
    let _ = writeln!(text, "commit {}{dirty}, {}", field("/commit/id"), field("/begun"));
    let _ = writeln!(
        text,
        "{} x {}, kernel {}, {}",
        log["machine"]["processors"],
        field("/machine/processor"),
        field("/machine/kernel"),
        field("/machine/file_system")
    );
    let _ = writeln!(text, "{} s a cell, {} rounds", log["course"]["seconds"], log["course"]["rounds"]);
    for contest in log["contests"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "\n{}", contest["name"].as_str().unwrap_or_default());
        for entry in contest["entries"].as_array().into_iter().flatten() {
            let figures = SHOWN.iter().filter_map(|(name, shown)| {
                let spread = entry["medians"].get(*name)?;
                Some(format!("{shown} {}", short(&spread["median"])))
            });
            let figures = figures.collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "  {:<32} {figures}", entry["name"].as_str().unwrap_or_default());
        }
        for measure in contest["measures"].as_array().into_iter().flatten() {
            let _ = writeln!(text, "  {}", line(measure));
        }
    }
    text
}

/// A measure: its median, its spread, its goal.
fn line(measure: &Value) -> String {
    let name = |field: &str| measure[field].as_str().unwrap_or_default().to_owned();
    let to = measure["to"].as_str().map(|to| format!(" / {to}")).unwrap_or_default();
    let times = if to.is_empty() { "" } else { " times" };
    let goal = measure["goal"].as_str().map(|goal| {
        let verdict = if measure["met"] == Value::Bool(true) { "pass" } else { "SHORT" };
        format!("  goal: {goal}: {verdict}")
    });
    format!(
        "=> {}: {}{to}: {}{times} ({} to {}){}",
        name("what"),
        name("of"),
        short(&measure["median"]),
        short(&measure["least"]),
        short(&measure["most"]),
        goal.unwrap_or_default()
    )
}

/// Three digits, or as many as there are before the point.
fn short(value: &Value) -> String {
    let value = value.as_f64().unwrap_or_default();
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}
