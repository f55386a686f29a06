//! What rekeys or rewrites a tenant in a thread of its own while the model goes on writing and reading.

use strongroom::{RekeyOptions, Result, Tenant};

use crate::{Operation, World};

/// What is done beside.
const WORK: [fn(&Tenant) -> Result<u64>; 3] = [rekey, rewrite, both];

/// Gives how many records could not be sealed anew.
fn rekey(tenant: &Tenant) -> Result<u64> {
    tenant.rotate_data_key()?;
    Ok(tenant.rekey(RekeyOptions::new(), &mut |_, _| {})?.unreadable)
}

fn rewrite(tenant: &Tenant) -> Result<u64> {
    tenant.rewrite(&mut |_, _| {}).map(|_| 0)
}

fn both(tenant: &Tenant) -> Result<u64> {
    let unreadable = rekey(tenant)?;
    rewrite(tenant).map(|_| unreadable)
}

impl World {
    /// Makes operations while a thread rekeys a tenant, rewrites its file, or both.
    pub(crate) fn beside(&mut self, tenant: u8, work: u8, operations: &[Operation]) -> Result<()> {
        let (_, handle) = self.tenant(tenant)?;
        let work = WORK[usize::from(work) % WORK.len()];
        std::thread::scope(|scope| {
            let working = scope.spawn(move || work(&handle));
            // What ends the thread's handle; and batches under way, which come after others where they are decided anew.
            let is_apart = |operation: &&Operation| {
                matches!(
                    operation,
                    Operation::Reopen { .. }
                        | Operation::RenewSections { .. }
                        | Operation::Move { .. }
                        | Operation::Submit { .. }
                )
            };
            let mut allowed = operations.iter().filter(|operation| !is_apart(operation));
            let made = allowed.try_for_each(|operation| self.apply(operation));
            let worked = working.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let unreadable = made.and(worked)?;
            assert_eq!(unreadable, 0, "records could not be sealed anew beside a writer");
            Ok(())
        })
    }
}
