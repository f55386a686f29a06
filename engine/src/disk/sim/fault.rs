//! Faults, and the gate every operation passes: it counts and decides who is struck.

use std::io;

/// A failure that strikes one operation of a [`SimDisk`](super::SimDisk).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Strikes the first operation of the fault's kind whose index, counted from the disk's creation, is
    /// this or higher. The next operation has the index [`SimDisk::operations`](super::SimDisk::operations);
    /// for [`FaultKind::ReadEio`] it is [`SimDisk::reads`](super::SimDisk::reads).
    pub at_operation: u64,
    /// What happens.
    pub kind: FaultKind,
}

/// What a [`Fault`] does. One fault strikes one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// An operation fails and has no effect.
    Eio,
    /// From this operation until [`SimDisk::heal`](super::SimDisk::heal) the disk is full: creating,
    /// growing, and allocating or writing where nothing was allocated fail with `StorageFull`; of such a
    /// write the part in front of the first missing block is written.
    Enospc,
    /// Half of a write's bytes are written, then it fails.
    ShortWrite,
    /// A sync fails, and what it should have made durable never will be, although reads still see it and
    /// later syncs succeed: Linux marks pages clean after a failed write-back.
    FailedSync,
    /// An operation is under way when the power fails: it returns an error but may have had its effect.
    /// Every later operation fails too; see [`SimDisk::power_loss`](super::SimDisk::power_loss).
    PowerOff,
    /// A read fails.
    ReadEio,
}

/// What an operation is, as far as faults distinguish.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Write,
    Sync,
    /// Create, remove, change of length, allocation.
    Metadata,
}

/// What the operation that passed the gate has to do differently.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strike {
    None,
    ShortWrite,
    FailedSync,
    PowerOff,
}

#[derive(Default)]
pub(super) struct Gate {
    operations: u64,
    reads: u64,
    faults: Vec<Fault>,
    full: bool,
    powered_off: bool,
}

impl Gate {
    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn reads(&self) -> u64 {
        self.reads
    }

    /// Whether a fault of kind `Enospc` is in force.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn inject(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn heal(&mut self) {
        self.faults.clear();
        self.full = false;
    }

    /// Counts a mutating operation and tells how it is struck.
    pub(super) fn pass(&mut self, operation: Operation) -> io::Result<Strike> {
        self.power()?;
        let index = self.operations;
        self.operations += 1;
        let strike = self.strike(index, |kind| match kind {
            FaultKind::Eio | FaultKind::Enospc | FaultKind::PowerOff => true,
            FaultKind::ShortWrite => operation == Operation::Write,
            FaultKind::FailedSync => operation == Operation::Sync,
            FaultKind::ReadEio => false,
        });
        match strike {
            None | Some(FaultKind::ReadEio) => Ok(Strike::None),
            Some(FaultKind::Eio) => Err(eio()),
            Some(FaultKind::Enospc) => {
                self.full = true;
                Ok(Strike::None)
            }
            Some(FaultKind::ShortWrite) => Ok(Strike::ShortWrite),
            Some(FaultKind::FailedSync) => Ok(Strike::FailedSync),
            Some(FaultKind::PowerOff) => {
                self.powered_off = true;
                Ok(Strike::PowerOff)
            }
        }
    }

    /// Counts a read.
    pub(super) fn pass_read(&mut self) -> io::Result<()> {
        self.power()?;
        let index = self.reads;
        self.reads += 1;
        match self.strike(index, |kind| kind == FaultKind::ReadEio) {
            Some(_) => Err(eio()),
            None => Ok(()),
        }
    }

    /// An error once the power is off. An operation that was struck by it ends with this.
    pub(super) fn power(&self) -> io::Result<()> {
        if self.powered_off { Err(io::Error::other("simulated power loss")) } else { Ok(()) }
    }

    fn strike(&mut self, index: u64, fits: impl Fn(FaultKind) -> bool) -> Option<FaultKind> {
        let due = self.faults.iter().position(|fault| fault.at_operation <= index && fits(fault.kind))?;
        Some(self.faults.remove(due).kind)
    }
}

pub(super) fn eio() -> io::Error {
    io::Error::other("simulated I/O error")
}
