//! What is done to a store.

/// One operation. Numbers beyond what there is wrap around.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Operation {
    /// Puts and erases records in one batch.
    Write {
        /// Which tenant.
        tenant: u8,
        /// Collection, key and length of each value.
        puts: Vec<(u8, u8, u16)>,
        /// Collection and key of what is erased after that.
        erases: Vec<(u8, u8)>,
        /// Without waiting for the disk.
        buffered: bool,
    },
    /// Hands in batches one after the other, then waits for all of them.
    Submit {
        /// Which tenant.
        tenant: u8,
        /// The puts of each batch.
        batches: Vec<Vec<(u8, u8, u16)>>,
    },
    /// Puts a record that expires.
    PutFor {
        /// Which tenant.
        tenant: u8,
        /// Which collection.
        collection: u8,
        /// Which key.
        key: u8,
        /// Length of its value.
        length: u16,
        /// How long it is kept, in milliseconds.
        ttl_ms: u16,
    },
    /// Lets time pass; sometimes back, as long as the store is open.
    Wait {
        /// Milliseconds.
        ms: i16,
    },
    /// Sweeps all tenants.
    Sweep,
    /// Puts a record under a condition.
    PutIf {
        /// Which tenant.
        tenant: u8,
        /// Which collection.
        collection: u8,
        /// Which key.
        key: u8,
        /// Length of its value.
        length: u16,
        /// Absent, the version it has, or one that it does not have.
        condition: u8,
    },
    /// Erases a record.
    Erase {
        /// Which tenant.
        tenant: u8,
        /// Which collection.
        collection: u8,
        /// Which key.
        key: u8,
    },
    /// Erases a range of a collection.
    EraseRange {
        /// Which tenant.
        tenant: u8,
        /// Which collection.
        collection: u8,
        /// The first key.
        from: u8,
        /// The key that it ends before.
        to: u8,
    },
    /// Removes a record, so that it can be restored.
    Remove {
        /// Which tenant.
        tenant: u8,
        /// Which collection.
        collection: u8,
        /// Which key.
        key: u8,
    },
    /// Removes a range of a collection.
    RemoveRange {
        /// Which tenant.
        tenant: u8,
        /// Which collection.
        collection: u8,
        /// The first key.
        from: u8,
        /// The key that it ends before.
        to: u8,
    },
    /// Restores the record that was removed last of a key.
    Restore {
        /// Which tenant.
        tenant: u8,
        /// Which collection.
        collection: u8,
        /// Which key.
        key: u8,
    },
    /// Puts a value in chunks.
    PutLarge {
        /// Which tenant.
        tenant: u8,
        /// Which collection.
        collection: u8,
        /// Which key.
        key: u8,
        /// How far it goes beyond 1 MiB, in chunks.
        chunks: u8,
    },
    /// Gets a record.
    Get {
        /// Which tenant.
        tenant: u8,
        /// Which collection.
        collection: u8,
        /// Which key.
        key: u8,
    },
    /// Gets a part of a record's value.
    GetRange {
        /// Which tenant.
        tenant: u8,
        /// Which collection.
        collection: u8,
        /// Which key.
        key: u8,
        /// The first byte, in multiples of 16.
        from: u16,
        /// How many.
        length: u16,
    },
    /// Scans a collection.
    Scan {
        /// Which tenant.
        tenant: u8,
        /// Which collection.
        collection: u8,
        /// The first key.
        from: u8,
        /// How many.
        limit: u8,
        /// In descending order.
        reverse: bool,
    },
    /// Reads the next page of a collection, behind the one before, or the first one.
    Page {
        /// Which tenant.
        tenant: u8,
        /// Which collection.
        collection: u8,
        /// How many records a page has.
        limit: u8,
    },
    /// Reads the next page of what the index finds, behind the one before, or the first one.
    FindPage {
        /// Which tenant.
        tenant: u8,
        /// Which collection.
        collection: u8,
        /// How many records a page has.
        limit: u8,
        /// In descending order, where it is the first.
        reverse: bool,
    },
    /// Finds records by their key in the index.
    Find {
        /// Which tenant.
        tenant: u8,
        /// Which collection.
        collection: u8,
        /// The key.
        first: u8,
        /// In descending order.
        reverse: bool,
    },
    /// Makes a new data key, seals a tenant's records anew under it and destroys the ones before, where nothing needs them.
    Rekey {
        /// Which tenant.
        tenant: u8,
    },
    /// Places a hold.
    Hold {
        /// Which tenant.
        tenant: u8,
        /// Which name.
        name: u8,
        /// Which collection.
        collection: u8,
        /// Which key, or which subject.
        key: u8,
        /// Whether it covers the tenant, a collection, a prefix, a subject or a record.
        scope: u8,
    },
    /// Releases a hold.
    Release {
        /// Which tenant.
        tenant: u8,
        /// Which name.
        name: u8,
    },
    /// Puts a record with a subject.
    PutOf {
        /// Which tenant.
        tenant: u8,
        /// Which collection.
        collection: u8,
        /// Which key.
        key: u8,
        /// Length of its value.
        length: u16,
        /// Which subject.
        subject: u8,
    },
    /// Erases all of a subject.
    EraseSubject {
        /// Which tenant.
        tenant: u8,
        /// Which subject.
        subject: u8,
    },
    /// Sets a tenant's policy and applies it to what is there.
    SetPolicy {
        /// Which tenant.
        tenant: u8,
        /// Which policy.
        policy: u8,
    },
    /// Makes a checkpoint of a tenant.
    Checkpoint {
        /// Which tenant.
        tenant: u8,
    },
    /// Syncs what is buffered, makes the checkpoints that are due, retires and empties segments.
    Tick,
    /// Rewrites a tenant's file.
    Rewrite {
        /// Which tenant.
        tenant: u8,
    },
    /// Gives a tenant new section keys.
    RenewSections {
        /// Which tenant.
        tenant: u8,
    },
    /// Makes operations while a thread rekeys a tenant, rewrites its file, or both.
    Beside {
        /// Which tenant.
        tenant: u8,
        /// What the thread does.
        work: u8,
        /// What is done meanwhile, but for what ends the handle that the thread has, and batches under way.
        operations: Vec<Operation>,
    },
    /// Moves a tenant to the other region.
    Move {
        /// Which tenant.
        tenant: u8,
    },
    /// Removes the sealed bytes of what was erased of a tenant.
    Scrub {
        /// Which tenant.
        tenant: u8,
    },
    /// Closes the store and opens it; or drops it as it is and opens it.
    Reopen {
        /// Whether it is closed before.
        clean: bool,
    },
    /// Verifies everything.
    Verify,
}
