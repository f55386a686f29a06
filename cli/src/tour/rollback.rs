//! Old copies put back: a whole file, and a single block.

use strongroom::{Engine, ErrorKind, Freshness};

use super::COLLECTION;
use super::lab::{Lab, answer, broken, copy, failed};
use super::report::Report;
use super::sealed_blocks::SealedBlocks;
use super::workspace::STORE;
use crate::failure::Outcome;

/// Copies the victim's file, then has the victim write a record again, with the value it has, into its file.
fn copy_then_write(lab: &Lab<'_>, name: &str, times: usize) -> Outcome {
    for _ in 0..times {
        copy(&lab.victim().data, &lab.copy_path(name))?;
        lab.with_store(|engine| {
            let mut key = Vec::new();
            lab.control.each(|each, _| {
                if key.is_empty() {
                    key = each.to_vec();
                }
                Ok(())
            })?;
            let victim = engine.tenant(lab.victim().name)?;
            victim.collection(COLLECTION)?.put(&key, lab.control.get(&key)?)?;
            Ok(victim.checkpoint()?)
        })?;
    }
    Ok(())
}

/// The victim's whole file as it was before its last checkpoint.
pub(super) fn put_old_file_back(lab: &Lab<'_>, report: &mut Report) -> Outcome {
    copy_then_write(lab, "old", 1)?;
    let seen = lab.spoiling(|| {
        copy(&lab.copy_path("old"), &lab.victim().data)?;
        lab.with_store(|engine| match lab.read(engine, lab.victim())? {
            Err(ErrorKind::RolledBack) => Ok(format!("refused: RolledBack; {}", lab.other_goes_on(engine)?)),
            Err(kind) => Err(broken(format!("an old file was answered with {kind}"))),
            Ok(_) => Err(broken("an old file was taken for the newest")),
        })
    })?;
    report.add("Put one tenant's file back as it was one checkpoint earlier", seen);
    Ok(())
}

/// One block of the victim's as it was before: authentic, but old.
pub(super) fn put_old_block_back(lab: &Lab<'_>, report: &mut Report) -> Outcome {
    // A few checkpoints, so that blocks freed by one are written again by a later one.
    copy_then_write(lab, "old", 4)?;
    let mut old = SealedBlocks::open(&lab.copy_path("old")).map_err(failed)?;
    let candidates = old.written().map_err(failed)?;
    for block in candidates {
        let before = old.read(block).map_err(failed)?;
        let now = SealedBlocks::open(&lab.victim().data)
            .and_then(|mut blocks| blocks.read(block))
            .map_err(failed)?;
        if before == now {
            continue;
        }
        let seen = lab.spoiling(|| {
            let mut blocks = SealedBlocks::open(&lab.victim().data).map_err(failed)?;
            blocks.write(block, &before).map_err(failed)?;
            drop(blocks);
            old_block_seen(lab)
        })?;
        if let Some(seen) = seen {
            report.add("Put one sealed block back as it was some checkpoints earlier", seen);
            return Ok(());
        }
    }
    Err(broken("no old block was ever noticed"))
}

/// What is said of the old block; nothing where it is a free one, which nobody reads.
fn old_block_seen(lab: &Lab<'_>) -> Outcome<Option<String>> {
    let root_key = format!("{STORE}.root-key");
    let config = lab.workspace.config(STORE, &root_key).freshness(Freshness::Full);
    let refused = Lab::with_engine(Engine::open(config)?, |engine| match engine.tenant(lab.victim().name) {
        Ok(_) => Ok(None),
        Err(error) => Ok(Some(format!("{}; {}", answer(&error)?, lab.other_goes_on(engine)?))),
    })?;
    let Some(refused) = refused else { return Ok(None) };
    let is_good =
        lab.with_store(|engine| Ok(engine.verify_tenant(lab.victim().name, &mut |_| {})?.is_good()))?;
    if is_good {
        return Err(broken("an old block was refused at open, but verify did not find it"));
    }
    Ok(Some(format!("found by verify; with full freshness refused at open: {refused}")))
}
