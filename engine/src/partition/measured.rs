//! A memtable apart from its partition, for benchmarks.

use bytes::Bytes;

use crate::id::Version;
use crate::partition::change::RowChange;
use crate::partition::memtable::Memtable;

/// The rows of one tenant in memory.
#[derive(Debug, Default)]
pub struct Rows {
    table: Memtable,
    sequence: u64,
}

impl Rows {
    /// Inserts rows at once, as a batch of the journal does.
    pub fn insert(&mut self, rows: &[(Bytes, Bytes)]) {
        let changes = rows.iter().map(|(row, value)| {
            self.sequence += 1;
            let version = Version { timeline: 1, sequence: self.sequence };
            (
                version,
                vec![RowChange { row: row.clone(), value: Some(value.clone()), kept: None, moved: false }],
            )
        });
        self.table.insert(changes.collect(), false);
    }

    /// Whether there is a row.
    #[must_use]
    pub fn has(&self, row: &[u8]) -> bool {
        self.table.get(row).is_some()
    }
}
