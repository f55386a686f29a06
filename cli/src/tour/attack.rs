//! Attacks on one tenant's files by somebody who can write to the disk: each must be refused with the right kind of error,
//! while the other tenant reads all of its records.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use strongroom::{Engine, ErrorKind, KeyFile, KeyProvider};
use walkdir::WalkDir;

use super::lab::{Lab, broken, copy, failed};
use super::report::Report;
use super::sealed_blocks::SealedBlocks;
use super::search::below;
use super::workspace::STORE;
use crate::failure::{Failure, Outcome};
use crate::text::grouped;

/// Blocks that are tried until one is hit that holds records: others are free, or hold what no read needs.
const TRIES_MAX: usize = 200;

/// Opens the store and sees that the victim is refused with `expected`, and that the other tenant reads on.
fn refused_at_open(lab: &Lab<'_>, expected: ErrorKind) -> Outcome<String> {
    lab.with_store(|engine| {
        match lab.read(engine, lab.victim())? {
            Err(kind) if kind == expected => {}
            Err(kind) => {
                return Err(broken(format!("the tenant was refused with {kind}, not with {expected}")));
            }
            Ok(_) => return Err(broken("the tenant opened all the same")),
        }
        Ok(format!("refused: {expected}; {}", lab.other_goes_on(engine)?))
    })
}

/// The other tenant's whole file, under the victim's name.
pub(super) fn move_file(lab: &Lab<'_>, report: &mut Report) -> Outcome {
    let seen = lab.spoiling(|| {
        copy(&lab.other().data, &lab.victim().data)?;
        refused_at_open(lab, ErrorKind::Unauthentic)
    })?;
    report.add("Put one tenant's file in the place of another's", seen);
    Ok(())
}

/// Sealed blocks of the other tenant, their tags with them, each in the place of the victim's.
pub(super) fn move_blocks(lab: &Lab<'_>, report: &mut Report) -> Outcome {
    let mut source = SealedBlocks::open(&lab.other().data).map_err(failed)?;
    let theirs = source.written().map_err(failed)?;
    let seen = first_hit(lab, |blocks, block| {
        if theirs.contains(&block) {
            let sealed = source.read(block)?;
            blocks.write(block, &sealed)?;
        }
        Ok(())
    })?;
    report
        .add("Moved one sealed block of records, its tag with it, from one tenant's file to another's", seen);
    Ok(())
}

/// One bit of a block, changed.
pub(super) fn flip_byte(lab: &Lab<'_>, report: &mut Report) -> Outcome {
    let seen = first_hit(lab, SealedBlocks::flip)?;
    report.add("Changed one byte of one tenant's file", seen);
    Ok(())
}

/// Damages one block after the other, each time putting the file right again, until reads meet a damage that leaves most
/// records as they were; else takes the damage that left the most.
fn first_hit(
    lab: &Lab<'_>,
    mut damage: impl FnMut(&mut SealedBlocks, u64) -> io::Result<()>,
) -> Outcome<String> {
    let candidates =
        SealedBlocks::open(&lab.victim().data).and_then(|mut blocks| blocks.written()).map_err(failed)?;
    let mut best: Option<Hit> = None;
    for block in candidates.into_iter().take(TRIES_MAX) {
        let hit = lab.spoiling(|| {
            let mut blocks = SealedBlocks::open(&lab.victim().data).map_err(failed)?;
            damage(&mut blocks, block).map_err(failed)?;
            drop(blocks);
            lab.with_store(|engine| observe(lab, engine))
        })?;
        best = best.into_iter().chain(hit).max_by_key(|hit| hit.equal);
        if best.as_ref().is_some_and(|hit| hit.equal >= lab.records - lab.records / 10 - 1 && hit.equal > 0) {
            break;
        }
    }
    best.map(|hit| hit.text).ok_or_else(|| broken("no damage was ever noticed"))
}

/// A damage that was noticed.
struct Hit {
    /// Records of the damaged tenant that read as before.
    equal: u64,
    text: String,
}

/// What reading all records of both tenants gives; nothing where no read met the damage.
fn observe(lab: &Lab<'_>, engine: &Engine) -> Outcome<Option<Hit>> {
    let (equal, victim) = match lab.read(engine, lab.victim())? {
        Ok(reading) if reading.refusals() == 0 => return Ok(None),
        Ok(reading) if reading.is_partial => (0, reading.refused_text()),
        Ok(reading) => {
            let rest = grouped(reading.equal);
            (reading.equal, format!("{}, the tenant's other {rest} read as before", reading.refused_text()))
        }
        Err(kind) => (0, format!("refused at open: {kind}")),
    };
    Ok(Some(Hit { equal, text: format!("{victim}; {}", lab.other_goes_on(engine)?) }))
}

/// The victim's keyring, gone.
pub(super) fn remove_keyring(lab: &Lab<'_>, report: &mut Report) -> Outcome {
    let seen = lab.spoiling(|| {
        fs::remove_file(&lab.victim().keyring).map_err(failed)?;
        refused_at_open(lab, ErrorKind::KeyMissing)
    })?;
    report.add("Removed one tenant's keyring from the key store", seen);
    Ok(())
}

/// Another root key than the store was made with.
pub(super) fn use_wrong_root_key(lab: &Lab<'_>, report: &mut Report) -> Outcome {
    let wrong = "wrong.root-key";
    KeyFile::at(lab.workspace.join(wrong))
        .create()
        .map_err(|error| Failure::new(ErrorKind::Io, format!("making another root key: {error}")))?;
    let places = below(lab.workspace, STORE)?;
    let before = fingerprints(&places)?;
    match Engine::open(lab.workspace.config(STORE, wrong)) {
        Ok(engine) => {
            engine.close()?;
            return Err(broken("the store opened under a wrong root key"));
        }
        Err(error) if error.kind() != ErrorKind::KeyUnavailable => {
            return Err(broken(format!("a wrong root key was answered with {}", error.kind())));
        }
        Err(_) => {}
    }
    if fingerprints(&places)? != before {
        return Err(broken("a file was changed by an open under a wrong root key"));
    }
    let files = grouped(before.len() as u64);
    report.add(
        "Opened the store with a wrong root key",
        format!("refused: KeyUnavailable; none of {files} files changed"),
    );
    Ok(())
}

/// A number for the content of every file in these places.
fn fingerprints(places: &[PathBuf]) -> Outcome<BTreeMap<PathBuf, u64>> {
    let mut found = BTreeMap::new();
    for entry in places.iter().flat_map(WalkDir::new) {
        let entry = entry.map_err(|error| failed(error.into()))?;
        if entry.file_type().is_file() {
            let mut hasher = DefaultHasher::new();
            hash_file(entry.path(), &mut hasher).map_err(failed)?;
            found.insert(entry.into_path(), hasher.finish());
        }
    }
    Ok(found)
}

fn hash_file(path: &Path, hasher: &mut DefaultHasher) -> io::Result<()> {
    let mut file = fs::File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(()),
            read => hasher.write(&buffer[..read]),
        }
    }
}
