//! `strongroom checkpoint`, `rewrite` and `salvage`.

use serde_json::json;
use strongroom::{Engine, RecoveryReport};

use crate::args::Global;
use crate::console::{self, Counted};
use crate::failure::Outcome;
use crate::store::with_store;
use crate::text::{counted, grouped, size};

/// Puts what only the journals have into the tenants' files.
pub(crate) fn checkpoint(global: &Global, tenant: Option<&str>) -> Outcome {
    with_store(global, |engine| {
        let pending = pending_bytes(engine, tenant)?;
        match tenant {
            Some(name) => engine.tenant(name)?.checkpoint()?,
            None => engine.checkpoint()?,
        }
        let left = pending_bytes(engine, tenant)?;
        let bytes = pending.saturating_sub(left);
        let files = if tenant.is_some() { "the tenant's file" } else { "the tenants' files" };
        console::print(
            global.json,
            &json!({"journal_bytes": bytes}),
            format_args!("Put {} of the journal into {files}.", size(bytes)),
        )
    })
}

/// Rewrites the files of tenants. One that has none yet has nothing to rewrite.
pub(crate) fn rewrite(global: &Global, tenant: Option<&str>) -> Outcome {
    with_store(global, |engine| {
        let names = match tenant {
            Some(tenant) => vec![tenant.to_owned()],
            None => engine.tenants()?.into_iter().map(|info| info.name).collect(),
        };
        let (mut files, mut rows, mut before, mut after) = (0, 0, 0, 0);
        let bar = console::progress("copying", 0, Counted::Records);
        for name in names {
            let progress = &mut |done, total| {
                bar.set_length(total);
                bar.set_position(done);
            };
            let Some(report) = engine.tenant(&name)?.rewrite(progress)? else { continue };
            files += 1;
            rows += report.rows;
            before += report.bytes_before;
            after += report.bytes_after;
        }
        bar.finish_and_clear();
        console::print(
            global.json,
            &json!({"files": files, "rows": rows, "bytes_before": before, "bytes_after": after}),
            format_args!(
                "Rewrote {}: {} before, {} now. The older structure keys are destroyed.",
                counted(files, "file"),
                size(before),
                size(after)
            ),
        )
    })
}

/// Bytes of journals that no file has yet. Opens what it asks.
fn pending_bytes(engine: &Engine, tenant: Option<&str>) -> Outcome<u64> {
    if let Some(name) = tenant {
        return Ok(engine.tenant_stats(name)?.journal_bytes);
    }
    Ok(engine.lanes()?.iter().map(|lane| lane.stats.pending_bytes).sum())
}

/// Goes on with what can be read of a tenant whose journal is damaged.
pub(crate) fn salvage(global: &Global, tenant: &str) -> Outcome {
    with_store(global, |engine| {
        let was_whole = engine.tenant(tenant).is_ok();
        let report = if was_whole { RecoveryReport::default() } else { engine.salvage(tenant)? };
        let RecoveryReport { changes, changes_lost, collections_named } = report;
        let text = if was_whole {
            "The tenant is whole: nothing was changed.".to_owned()
        } else {
            format!(
                "The tenant goes on, on a new timeline, with its file and {} of its journal.\n{}{}",
                batches(changes),
                lost(changes_lost),
                named(collections_named)
            )
        };
        console::print(
            global.json,
            &json!({
                "salvaged": !was_whole,
                "changes": changes,
                "changes_lost": changes_lost,
                "collections_named": collections_named,
            }),
            format_args!("{text}"),
        )
    })
}

fn batches(count: u64) -> String {
    if count == 1 { "1 batch".to_owned() } else { format!("{} batches", grouped(count)) }
}

/// What became of collections without names.
fn named(count: u64) -> String {
    if count == 0 {
        return String::new();
    }
    format!(
        "\nThe names of {count} of its collections are lost; `strongroom scan` finds their records in collections called \
         salvaged- and an id."
    )
}

/// What it means that so many batches are lost.
fn lost(count: u64) -> String {
    if count == 0 {
        return "No trace of a lost batch was found. The last batches before the damage may have left none: compare with \
                what you know of them."
            .to_owned();
    }
    let are = if count == 1 { "is" } else { "are" };
    format!(
        "{} {are} lost for good: a record that only they had is gone, and one that they had replaced has its older value \
         again.",
        batches(count)
    )
}
