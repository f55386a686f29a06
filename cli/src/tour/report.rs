//! The table at the end of the tour.

use std::time::Instant;

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets::UTF8_FULL};
use serde::Serialize;
use serde_json::json;

use crate::console::Output;
use crate::failure::Outcome;

const WIDTH: u16 = 104;

/// What was claimed, and what was seen.
#[derive(Serialize)]
struct Row {
    claim: String,
    seen: String,
    passed: bool,
}

/// All of it.
pub(super) struct Report {
    rows: Vec<Row>,
    started: Instant,
}

impl Report {
    pub(super) fn new() -> Self {
        Self { rows: Vec::new(), started: Instant::now() }
    }

    pub(super) fn add(&mut self, claim: impl Into<String>, seen: impl Into<String>) {
        self.rows.push(Row { claim: claim.into(), seen: seen.into(), passed: true });
    }

    pub(super) fn failed(&mut self, claim: &str, seen: &str) {
        self.rows.push(Row { claim: claim.to_owned(), seen: seen.to_owned(), passed: false });
    }

    pub(super) fn print(&self, json: bool) -> Outcome {
        let mut output = Output::new();
        if json {
            let passed = self.rows.iter().all(|row| row.passed);
            output.json(&json!({"passed": passed, "rows": self.rows}))?;
        } else {
            let passed = self.rows.iter().filter(|row| row.passed).count();
            output.line(format_args!("{}", self.table()))?;
            let seconds = self.started.elapsed().as_secs_f64();
            output.line(format_args!(
                "{passed} of {} as promised, in {seconds:.1} seconds.",
                self.rows.len()
            ))?;
        }
        output.flush()
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(UTF8_FULL.with_rounded_corners());
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
        table.set_constraints([ColumnConstraint::LowerBoundary(Width::Fixed(36))]);
        table.set_header(["What was done", "What was seen", ""]);
        for row in &self.rows {
            table.add_row([row.claim.as_str(), &row.seen, if row.passed { "ok" } else { "FAILED" }]);
        }
        table
    }
}
