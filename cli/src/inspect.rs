//! `strongroom verify` and `stats`.

use serde_json::{Value, json};
use strongroom::{Engine, ErrorKind, LaneReport, TenantInfo, TenantReport, TenantStats, VerifyReport};

use crate::args::Global;
use crate::console::{self, Counted, Output};
use crate::failure::{Failure, Outcome};
use crate::store::with_store;
use crate::text::{counted, grouped, size};

/// Verifies the store, or one tenant of it.
pub(crate) fn verify(global: &Global, tenant: Option<&str>) -> Outcome {
    with_store(global, |engine| {
        let bar = console::progress("Verifying", 0, Counted::Steps);
        let mut progress = |more| bar.inc(more);
        let report = match tenant {
            Some(name) => {
                let tenants = vec![engine.verify_tenant(name, &mut progress)?];
                VerifyReport { tenants, ..VerifyReport::default() }
            }
            None => engine.verify(&mut progress)?,
        };
        bar.finish_and_clear();
        let mut output = Output::new();
        if global.json {
            output.json(&report_json(&report))?;
        } else {
            print_report(&mut output, &report)?;
        }
        output.flush()?;
        if report.is_good() {
            return Ok(());
        }
        Err(Failure::new(ErrorKind::Corrupted, "something is wrong with the store: the report says what"))
    })
}

fn print_report(output: &mut Output, report: &VerifyReport) -> Outcome {
    for tenant in &report.tenants {
        let name = tenant.name.as_deref().unwrap_or("the catalog");
        let verdict = if tenant.is_good() { "good" } else { "WRONG" };
        output.line(format_args!("{verdict}  {name}  ({})", tenant.id))?;
        for line in tenant_lines(tenant) {
            output.line(format_args!("      {line}"))?;
        }
        for advice in tenant.advice() {
            output.line(format_args!("      to do: {advice}"))?;
        }
    }
    for lane in &report.lanes {
        let verdict = if lane.is_good() { "good" } else { "WRONG" };
        let owner = report
            .tenants
            .iter()
            .find(|tenant| tenant.id == lane.id)
            .and_then(|tenant| tenant.name.as_deref());
        let of = owner.map_or_else(|| format!("region {}", lane.region), str::to_owned);
        output.line(format_args!("{verdict}  the journal of {of}  ({})", lane.id))?;
        output.line(format_args!("      {}", lane_text(lane)))?;
    }
    for (name, problem) in &report.regions {
        output.line(format_args!("WRONG  region {name}: {problem}"))?;
    }
    for path in &report.unknown_files {
        output.line(format_args!("note  {} belongs to nothing the store knows", path.display()))?;
    }
    Ok(())
}

fn tenant_lines(tenant: &TenantReport) -> Vec<String> {
    if let Some(problem) = &tenant.problem {
        return vec![format!("can't be verified: {problem}")];
    }
    let (file, journal, keyring) = (&tenant.file, &tenant.journal, &tenant.keyring);
    let pending = match file.pending {
        0 => String::new(),
        pending => format!(", {} of them in the journal only", grouped(pending)),
    };
    let removed = match file.removed {
        0 => String::new(),
        removed => format!(", {} that can be restored", grouped(removed)),
    };
    let (blocks, records) = (counted(file.blocks, "block"), counted(file.records, "record"));
    let mut lines = vec![format!("{blocks}, {records}{pending}{removed}")];
    if journal.frames_bad > 0 {
        let problem = journal.problem.as_deref().unwrap_or_default();
        lines.push(format!("{} of the journal do not open: {problem}", counted(journal.frames_bad, "frame")));
    }
    if !file.blocks_bad.is_empty() {
        let shown: Vec<_> = file.blocks_bad.iter().take(10).map(u64::to_string).collect();
        let more = if file.blocks_bad.len() > shown.len() { ", ..." } else { "" };
        lines.push(format!("{} blocks do not open: {}{more}", file.blocks_bad.len(), shown.join(", ")));
    }
    lines.extend(file.tables.iter().map(|problem| format!("the tables contradict each other: {problem}")));
    if file.records_bad > 0 {
        let problem = file.record_problem.as_deref().unwrap_or_default();
        lines.push(format!("{} records do not open: {problem}", grouped(file.records_bad)));
    }
    if file.records_unopened > 0 {
        lines.push(format!(
            "{} not opened: the store is open for maintenance",
            counted(file.records_unopened, "value")
        ));
    }
    if file.secondary_keys_bad > 0 {
        let problem = file.secondary_problem.as_deref().unwrap_or_default();
        lines.push(format!("{} secondary keys do not agree: {problem}", grouped(file.secondary_keys_bad)));
    }
    if !keyring.slots_lost.is_empty() {
        lines.push(format!("keys lost in the key store: slots {:?}", keyring.slots_lost));
    }
    if !keyring.subjects_lost.is_empty() {
        lines.push(format!("subject keys lost in the key store: slots {:?}", keyring.subjects_lost));
    }
    if let Some(problem) = &keyring.ledger_problem {
        lines.push(problem.clone());
    }
    let subjects_mended = usize::try_from(keyring.subjects_mended).unwrap_or(usize::MAX);
    let mended = (keyring.headers_mended + keyring.twins_mended).saturating_add(subjects_mended);
    if mended > 0 || keyring.anchors_damaged > 0 {
        lines.push(format!(
            "in the key store {mended} damaged copies were mended and {} damaged anchors will be replaced",
            keyring.anchors_damaged
        ));
    }
    lines
}

fn lane_text(lane: &LaneReport) -> String {
    if let Some(problem) = &lane.problem {
        return format!("can't be read: {problem}");
    }
    let stats = &lane.stats;
    let sizes = format!("{}, {}", counted(stats.segments, "segment"), size(stats.segment_bytes));
    if stats.damaged == 0 {
        return sizes;
    }
    format!(
        "{sizes}; damaged in {}: put the journal's files back from a copy, else salvage the tenants that are refused",
        counted(stats.damaged, "place")
    )
}

fn report_json(report: &VerifyReport) -> Value {
    let tenants = report.tenants.iter().map(|tenant| {
        json!({
            "name": tenant.name,
            "id": tenant.id.to_string(),
            "good": tenant.is_good(),
            "problem": tenant.problem,
            "advice": tenant.advice(),
            "blocks": tenant.file.blocks,
            "blocks_unwritten": tenant.file.blocks_unwritten,
            "blocks_bad": tenant.file.blocks_bad,
            "tables_problem": tenant.file.tables,
            "records": tenant.file.records,
            "records_pending": tenant.file.pending,
            "records_removed": tenant.file.removed,
            "records_bad": tenant.file.records_bad,
            "record_problem": tenant.file.record_problem,
            "records_unopened": tenant.file.records_unopened,
            "secondary_keys": tenant.file.secondary_keys,
            "secondary_keys_bad": tenant.file.secondary_keys_bad,
            "secondary_problem": tenant.file.secondary_problem,
            "journal": {
                "frames": tenant.journal.frames,
                "frames_bad": tenant.journal.frames_bad,
                "problem": tenant.journal.problem,
            },
            "keyring": {
                "headers_mended": tenant.keyring.headers_mended,
                "anchors_damaged": tenant.keyring.anchors_damaged,
                "twins_mended": tenant.keyring.twins_mended,
                "slots_lost": tenant.keyring.slots_lost,
                "subjects_mended": tenant.keyring.subjects_mended,
                "subjects_lost": tenant.keyring.subjects_lost,
                "ledger_entries": tenant.keyring.ledger_entries,
                "ledger_problem": tenant.keyring.ledger_problem,
            },
        })
    });
    let regions = report.regions.iter().map(|(name, problem)| json!({"name": name, "problem": problem}));
    json!({
        "good": report.is_good(),
        "tenants": tenants.collect::<Vec<_>>(),
        "lanes": report.lanes.iter().map(lane_verdict_json).collect::<Vec<_>>(),
        "regions_unavailable": regions.collect::<Vec<_>>(),
        "unknown_files": report.unknown_files.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
    })
}

fn lane_verdict_json(lane: &LaneReport) -> Value {
    json!({
        "region": lane.region,
        "id": lane.id.to_string(),
        "good": lane.is_good(),
        "problem": lane.problem,
        "segments": lane.stats.segments,
        "bytes": lane.stats.segment_bytes,
        "pending_bytes": lane.stats.pending_bytes,
        "damaged": lane.stats.damaged,
    })
}

/// Prints sizes and counts. A tenant that does not open is said on standard error; the others are printed.
pub(crate) fn stats(global: &Global, tenant: Option<&str>) -> Outcome {
    with_store(global, |engine| {
        if let Some(name) = tenant {
            let info = engine.tenant_info(name)?;
            let stats = tenant_stats(engine, &info)?;
            return print_stats(global.json, &[(info, stats)], None);
        }
        let mut found = Vec::new();
        let mut failed: Vec<Failure> = Vec::new();
        for info in engine.tenants()? {
            match tenant_stats(engine, &info) {
                Ok(stats) => found.push((info, stats)),
                Err(failure) => failed.push(failure),
            }
        }
        let mut lanes = engine.lanes()?;
        // By region: the one that tenants share, then the others in the order of their tenants.
        lanes.sort_by_key(|lane| {
            let place = found.iter().position(|(info, _)| info.id == lane.id);
            (lane.region.clone(), place)
        });
        print_stats(global.json, &found, Some(&lanes))?;
        let first = failed.pop();
        for failure in &failed {
            failure.report(global.json);
        }
        first.map_or(Ok(()), Err)
    })
}

fn tenant_stats(engine: &Engine, info: &TenantInfo) -> Outcome<TenantStats> {
    let stats = engine.tenant_stats(&info.name);
    stats.map_err(|error| Failure::from(error).within(format_args!("tenant {}", info.id)))
}

/// `lanes`: where they were asked for.
fn print_stats(json: bool, found: &[(TenantInfo, TenantStats)], lanes: Option<&[LaneReport]>) -> Outcome {
    let mut output = Output::new();
    if json {
        let tenants: Vec<_> = found.iter().map(|(info, stats)| stats_json(info, stats)).collect();
        let mut value = json!({"tenants": tenants});
        if let Some(lanes) = lanes {
            value["lanes"] = lanes.iter().map(lane_stats_json).collect();
        }
        output.json(&value)?;
        return output.flush();
    }
    output.line(format_args!(
        "{:>12}  {:>11}  {:>10}  {:>10}  {:>9}  {:>9}  tenant",
        "records", "collections", "file", "journal", "key store", "version"
    ))?;
    for (info, stats) in found {
        output.line(format_args!(
            "{:>12}  {:>11}  {:>10}  {:>10}  {:>9}  {:>9}  {}",
            grouped(stats.records),
            stats.collections,
            size(stats.file_bytes),
            size(stats.journal_bytes),
            size(stats.key_store_bytes),
            stats.version.to_string(),
            info.name
        ))?;
    }
    if let Some(lanes) = lanes {
        print_lanes(&mut output, found, lanes)?;
    }
    output.flush()
}

fn print_lanes(output: &mut Output, found: &[(TenantInfo, TenantStats)], lanes: &[LaneReport]) -> Outcome {
    output.line(format_args!(
        "\n{:>8}  {:>10}  {:>10}  {:>7}  {:>8}  {:>10}  {:>7}  {:>9}  {:>7}  journal of",
        "segments", "size", "pending", "batches", "changes", "written", "syncs", "mean sync", "damaged"
    ))?;
    for lane in lanes {
        let stats = &lane.stats;
        let owner = found.iter().find(|(info, _)| info.id == lane.id);
        let of = owner.map_or_else(|| format!("region {}", lane.region), |(info, _)| info.name.clone());
        output.line(format_args!(
            "{:>8}  {:>10}  {:>10}  {:>7}  {:>8}  {:>10}  {:>7}  {:>9}  {:>7}  {of}",
            grouped(stats.segments),
            size(stats.segment_bytes),
            size(stats.pending_bytes),
            grouped(stats.batches),
            grouped(stats.changes),
            size(stats.written_bytes),
            grouped(stats.syncs),
            mean_sync_micros(lane).map_or_else(|| "-".to_owned(), |micros| format!("{} us", grouped(micros))),
            grouped(stats.damaged),
        ))?;
    }
    Ok(())
}

/// Microseconds that a sync took, if there was one.
fn mean_sync_micros(lane: &LaneReport) -> Option<u64> {
    lane.stats.sync_micros.checked_div(lane.stats.syncs)
}

fn stats_json(info: &TenantInfo, stats: &TenantStats) -> Value {
    json!({
        "name": info.name,
        "records": stats.records,
        "collections": stats.collections,
        "file_bytes": stats.file_bytes,
        "journal_bytes": stats.journal_bytes,
        "key_store_bytes": stats.key_store_bytes,
        "version": stats.version.to_string(),
        "structure_slot": stats.structure_slot,
        "data_slot": stats.data_slot,
    })
}

fn lane_stats_json(lane: &LaneReport) -> Value {
    let stats = &lane.stats;
    json!({
        "region": lane.region,
        "id": lane.id.to_string(),
        "segments": stats.segments,
        "bytes": stats.segment_bytes,
        "pending_bytes": stats.pending_bytes,
        "pending_tenants": stats.pending_tenants,
        "batches": stats.batches,
        "changes": stats.changes,
        "written_bytes": stats.written_bytes,
        "syncs": stats.syncs,
        "sync_micros": stats.sync_micros,
        "mean_sync_micros": mean_sync_micros(lane),
        "damaged": stats.damaged,
    })
}
