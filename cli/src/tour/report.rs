//! The table at the end of the tour.

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
pub(super) struct Report(Vec<Row>);

impl Report {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn add(&mut self, claim: impl Into<String>, seen: impl Into<String>) {
        self.0.push(Row { claim: claim.into(), seen: seen.into(), passed: true });
    }

    pub(super) fn failed(&mut self, claim: &str, seen: &str) {
        self.0.push(Row { claim: claim.to_owned(), seen: seen.to_owned(), passed: false });
    }

    pub(super) fn print(&self, json: bool) -> Outcome {
        let mut output = Output::new();
        if json {
            let passed = self.0.iter().all(|row| row.passed);
            output.json(&json!({"passed": passed, "rows": self.0}))?;
        } else {
            let passed = self.0.iter().filter(|row| row.passed).count();
            output.line(format_args!("{}", self.table()))?;
            output.line(format_args!("{passed} of {} as promised.", self.0.len()))?;
        }
        output.flush()
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(UTF8_FULL.with_rounded_corners());
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
        table.set_constraints([ColumnConstraint::LowerBoundary(Width::Fixed(36))]);
        table.set_header(["What was done", "What was seen", ""]);
        for row in &self.0 {
            table.add_row([row.claim.as_str(), &row.seen, if row.passed { "ok" } else { "FAILED" }]);
        }
        table
    }
}
