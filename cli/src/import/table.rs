//! A table of an `SQLite` database, or of one that SQLCipher encrypted: each row is a record.

#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "sqlite")]
pub(super) use sqlite::Table;

#[cfg(not(feature = "sqlite"))]
pub(super) use without::Table;

/// A program that has no `SQLite` in it says so.
#[cfg(not(feature = "sqlite"))]
mod without {
    use std::convert::Infallible;

    use strongroom::ErrorKind;

    use super::super::loader::Loader;
    use crate::args::Import;
    use crate::failure::{Failure, Outcome};

    /// There is none.
    pub(in super::super) struct Table(Infallible);

    impl Table {
        pub(in super::super) fn open(_: &Import, _: &str) -> Outcome<Self> {
            let message = "this program was compiled without SQLite: build it with `--features sqlite`";
            Err(Failure::new(ErrorKind::InvalidArgument, message))
        }

        pub(in super::super) fn import(self, _: &mut Loader<'_>, _: &Import) -> Outcome {
            match self.0 {}
        }
    }
}
