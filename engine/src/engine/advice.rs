//! What to do about what verification found.

use crate::engine::TenantReport;

impl TenantReport {
    /// What mends what is wrong, or keeps the rest, most urgent first; nothing where nothing is wrong.
    #[must_use]
    pub fn advice(&self) -> Vec<&'static str> {
        let (file, keyring) = (&self.file, &self.keyring);
        let found = [
            (
                self.problem.is_some(),
                "put the file that the problem names back from a copy, or salvage the tenant where that is its journal; other tenants \
                 are not concerned",
            ),
            (
                self.journal.frames_bad > 0,
                "make a checkpoint of the tenant before the store is closed: memory still has what these frames say",
            ),
            (
                !keyring.slots_lost.is_empty() || !keyring.subjects_lost.is_empty(),
                "put the tenant's files of the key store back from a copy: what the lost keys seal can't be read without them",
            ),
            (
                !file.blocks_bad.is_empty() || file.tables.is_some(),
                "export what reads before anything else, then put the tenant's file back from a copy and accept its rollback, or \
                 import the export into a new tenant",
            ),
            (
                file.records_bad > 0 && file.blocks_bad.is_empty(),
                "put the records that do not open anew, or erase them: a scan of keys lists them, and a scan of values does not",
            ),
            (
                file.secondary_keys_bad > 0,
                "drop the indexes of the collection, declare and build them anew: records are not concerned",
            ),
            (
                keyring.ledger_problem.is_some(),
                "put the tenant's erasure ledger back from a copy: nothing but the proof of erasures depends on it",
            ),
        ];
        found.into_iter().filter(|(is_so, _)| *is_so).map(|(_, advice)| advice).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::KeyringReport;
    use crate::id::TenantId;
    use crate::journal::FrameReport;
    use crate::partition::FileReport;

    fn report() -> TenantReport {
        TenantReport {
            name: None,
            id: TenantId::new([1; 16]),
            problem: None,
            keyring: KeyringReport::default(),
            journal: FrameReport::default(),
            file: FileReport::default(),
        }
    }

    #[test]
    fn there_is_advice_for_all_that_can_be_wrong_and_for_nothing_else() {
        assert!(report().is_good() && report().advice().is_empty());
        let wrong: [fn(&mut TenantReport); 9] = [
            |report| report.problem = Some("a file is missing".to_owned()),
            |report| report.journal.frames_bad = 1,
            |report| report.keyring.slots_lost.push(1),
            |report| report.keyring.subjects_lost.push(1),
            |report| report.file.blocks_bad.push(1),
            |report| report.file.tables = Some("contradiction".to_owned()),
            |report| report.file.records_bad = 1,
            |report| report.file.secondary_keys_bad = 1,
            |report| report.keyring.ledger_problem = Some("cut".to_owned()),
        ];
        for spoil in wrong {
            let mut report = report();
            spoil(&mut report);
            assert_eq!((report.is_good(), report.advice().len()), (false, 1), "{report:?}");
        }
    }
}
