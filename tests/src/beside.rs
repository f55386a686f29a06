//! What rekeys or rewrites a tenant in a thread of its own while the model goes on writing and reading.

use strongroom::{RekeyOptions, Result, Tenant};

use crate::{Operation, World};

/// What is done beside.
const WORK: [fn(&Tenant) -> Result<()>; 3] = [rekey, rewrite, both];

fn rekey(tenant: &Tenant) -> Result<()> {
    tenant.rotate_data_key()?;
    let report = tenant.rekey(RekeyOptions::new(), &mut |_, _| {})?;
    assert_eq!(report.unreadable, 0, "records could not be sealed anew beside a writer");
    Ok(())
}

fn rewrite(tenant: &Tenant) -> Result<()> {
    tenant.rewrite(&mut |_, _| {}).map(|_| ())
}

fn both(tenant: &Tenant) -> Result<()> {
    rekey(tenant)?;
    rewrite(tenant)
}

impl World {
    /// Makes operations while a thread rekeys a tenant, rewrites its file, or both.
    pub(crate) fn beside(&mut self, tenant: u8, work: u8, operations: &[Operation]) -> Result<()> {
        let (_, handle) = self.tenant(tenant)?;
        let work = WORK[usize::from(work) % WORK.len()];
        std::thread::scope(|scope| {
            let working = scope.spawn(move || work(&handle));
            let ends = |operation: &&Operation| {
                matches!(
                    operation,
                    Operation::Reopen { .. } | Operation::RenewSections { .. } | Operation::Move { .. }
                )
            };
            let mut allowed = operations.iter().filter(|operation| !ends(operation));
            let made = allowed.try_for_each(|operation| self.apply(operation));
            let worked = working.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            made.and(worked)
        })
    }
}
