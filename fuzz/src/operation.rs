//! What is done to a store, as the fuzzer makes it up.

use std::ops::Bound;

use arbitrary::{Arbitrary, Unstructured};
use strongroom::simulation::PowerLoss;

/// One of the tenants' collections.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Collection {
    tenant: bool,
    name: u8,
}

impl Collection {
    const NAMES: [&str; 3] = ["a", "a/b", "日本"];

    /// The index of its tenant.
    pub fn tenant(self) -> usize {
        usize::from(self.tenant)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES[usize::from(self.name) % Self::NAMES.len()]
    }
}

/// A record's key. Most are few, so that records are put over each other.
#[derive(Arbitrary, Clone, Debug)]
pub enum Key {
    /// One of sixteen.
    Few(u8),
    /// Any short one.
    Short([u8; 3]),
    /// From empty, which is refused, to longer than allowed.
    Long {
        /// What it is made of.
        byte: u8,
        /// How long it is, modulo 4,100.
        bytes: u16,
    },
}

impl Key {
    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Few(number) => vec![b'k', number % 16],
            Self::Short(bytes) => bytes.to_vec(),
            Self::Long { byte, bytes } => vec![*byte; usize::from(*bytes) % 4_100],
        }
    }
}

/// A record's value.
#[derive(Arbitrary, Clone, Debug)]
pub enum Value {
    /// None.
    Empty,
    /// A short one.
    Short([u8; 5]),
    /// One byte, repeated.
    Fill {
        /// The byte.
        byte: u8,
        /// How long it is, modulo 20,000.
        bytes: u16,
    },
    /// As long as allowed, or one byte longer.
    Longest {
        /// Whether it is the longer one.
        too_long: bool,
    },
}

/// One put.
#[derive(Arbitrary, Clone, Debug)]
pub struct Put {
    /// Its collection; in a batch only the name counts.
    pub collection: Collection,
    /// Its key.
    pub key: Key,
    /// Its value.
    pub value: Value,
}

/// The puts of a batch.
#[derive(Clone, Debug)]
pub struct Puts(pub Vec<Put>);

impl<'a> Arbitrary<'a> for Puts {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let count = usize::from(u8::arbitrary(bytes)?) % 6;
        (0..count).map(|_| Put::arbitrary(bytes)).collect::<Result<_, _>>().map(Self)
    }
}

/// Batches under way together.
#[derive(Clone, Debug)]
pub struct Batches(pub Vec<Puts>);

impl<'a> Arbitrary<'a> for Batches {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let count = usize::from(u8::arbitrary(bytes)?) % 5;
        (0..count).map(|_| Puts::arbitrary(bytes)).collect::<Result<_, _>>().map(Self)
    }
}

/// What a put depends on.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Condition {
    /// That there is no such record.
    Absent,
    /// The version that the record has.
    Current,
    /// A version that no record has.
    Other,
}

/// A range of keys, and how it is read.
#[derive(Arbitrary, Clone, Debug)]
pub struct Range {
    /// Where it begins.
    pub from: Bound<Key>,
    /// Where it ends.
    pub to: Bound<Key>,
    /// What its keys begin with.
    pub prefix: Option<u8>,
    /// Whether it is read from its end.
    pub reverse: bool,
    /// How much of it is read.
    pub limit: Option<u8>,
    /// Whether values stay shut.
    pub keys_only: bool,
}

/// What becomes of unsynced writes: nothing is under way, so nothing acknowledged may go.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Loss {
    /// The process ends, the system goes on.
    Process,
    /// All of them go.
    All,
    /// Some of them go.
    Some {
        /// What decides.
        seed: u64,
    },
}

impl Loss {
    /// The simulated disk's name for it, and the seed.
    pub fn policy(self) -> (u64, PowerLoss) {
        match self {
            Self::Process => (0, PowerLoss::KeepAll),
            Self::All => (0, PowerLoss::DropAll),
            Self::Some { seed } => (seed, PowerLoss::Random),
        }
    }
}

/// One operation.
#[derive(Arbitrary, Clone, Debug)]
pub enum Operation {
    /// Puts a record.
    Put(Put),
    /// Puts several records of one tenant, all or none.
    Batch {
        /// Which one.
        tenant: bool,
        /// The records.
        puts: Puts,
    },
    /// Hands in batches one after the other, then waits for all.
    Submit {
        /// Of which tenant.
        tenant: bool,
        /// The batches.
        batches: Batches,
    },
    /// Puts a record if a condition holds.
    PutIf {
        /// The record.
        put: Put,
        /// The condition.
        condition: Condition,
    },
    /// Erases a record.
    Erase {
        /// Where it is.
        collection: Collection,
        /// Its key.
        key: Key,
    },
    /// Erases what lies between two keys.
    EraseRange {
        /// Of which collection.
        collection: Collection,
        /// From where.
        from: Bound<Key>,
        /// To where.
        to: Bound<Key>,
    },
    /// Puts what only the journals have into files.
    Checkpoint {
        /// Of which tenant; of all where it is none.
        tenant: Option<bool>,
    },
    /// Does what is due.
    Tick,
    /// Reads a record.
    Get {
        /// Where it is.
        collection: Collection,
        /// Its key.
        key: Key,
    },
    /// Reads a range.
    Scan {
        /// Of which collection.
        collection: Collection,
        /// From where to where.
        range: Range,
    },
    /// Begins to read a collection, and keeps the scan while other things happen.
    Hold {
        /// Which one.
        collection: Collection,
    },
    /// Reads so many records of the scan that is kept.
    Resume {
        /// How many.
        records: u8,
    },
    /// Rewrites a tenant's file.
    Rewrite {
        /// Which one.
        tenant: bool,
    },
    /// Verifies the store.
    Verify,
    /// Lets time pass.
    Wait {
        /// Milliseconds.
        ms: u16,
    },
    /// Closes the store and opens it.
    Reopen,
    /// Loses the power and opens what is left.
    PowerLoss(Loss),
}

/// What one run does, in order.
#[derive(Clone, Debug)]
pub struct Operations(pub Vec<Operation>);

impl Operations {
    const COUNT_MAX: usize = 16;
}

/// As many as the bytes give. The derived sequence would end after one element in two.
impl<'a> Arbitrary<'a> for Operations {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut operations = Vec::new();
        while !bytes.is_empty() && operations.len() < Self::COUNT_MAX {
            operations.push(Operation::arbitrary(bytes)?);
        }
        Ok(Self(operations))
    }
}
