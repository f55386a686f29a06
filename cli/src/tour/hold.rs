//! A legal hold, and everything that would erase what it covers.

use strongroom::{Error, ErrorKind, Selector};

use super::COLLECTION;
use super::lab::{Lab, broken};
use super::report::Report;
use crate::failure::Outcome;
use crate::text::counted;

const NAME: &str = "case 17";

/// Places a hold on what one tenant stores, tries to erase it, and releases the hold.
pub(super) fn try_to_erase(lab: &Lab<'_>, report: &mut Report) -> Outcome {
    let seen = lab.with_store(|engine| {
        let victim = engine.tenant(lab.victim().name)?;
        let documents = victim.collection(COLLECTION)?;
        victim.hold(NAME, Selector::collection(COLLECTION))?;
        let mut first = None;
        lab.control.each(|key, _| {
            first.get_or_insert_with(|| key.to_vec());
            Ok(())
        })?;
        let first = first.unwrap_or_default();
        must_be_held(documents.erase(&first))?;
        must_be_held(documents.put(&first, b"something else"))?;
        must_be_held(victim.drop_collection(COLLECTION))?;
        let erased = documents.erase_prefix("")?;
        if (erased.records, erased.held) != (0, lab.records) {
            return Err(broken("records that a hold covers were erased with their range"));
        }
        victim.release_hold(NAME)?;
        let held = counted(erased.held, "record");
        Ok(format!("refused: Held; a range left {held} where they are"))
    })?;
    report.add("Erased, put over and dropped what a legal hold covers", seen);
    Ok(())
}

fn must_be_held<T>(outcome: Result<T, Error>) -> Outcome {
    match outcome {
        Err(error) if error.kind() == ErrorKind::Held => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(broken("a record that a hold covers was erased")),
    }
}
