//! `strongroom verify` and `stats`.

use serde_json::{Value, json};
use strongroom::{Engine, ErrorKind, TenantReport, TenantStats, VerifyReport};

use crate::args::Global;
use crate::console::{self, Counted, Output};
use crate::failure::{Failure, Outcome};
use crate::store::with_store;
use crate::text::{grouped, size};

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
    let (file, keyring) = (&tenant.file, &tenant.keyring);
    let mut lines = vec![format!("{} blocks, {} records", grouped(file.blocks), grouped(file.records))];
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
    if !keyring.slots_lost.is_empty() {
        lines.push(format!("keys lost in the key store: slots {:?}", keyring.slots_lost));
    }
    let mended = keyring.headers_mended + keyring.twins_mended;
    if mended > 0 || keyring.anchors_damaged > 0 {
        lines.push(format!(
            "in the key store {mended} damaged copies were mended and {} damaged anchors will be replaced",
            keyring.anchors_damaged
        ));
    }
    lines
}

fn report_json(report: &VerifyReport) -> Value {
    let tenants = report.tenants.iter().map(|tenant| {
        json!({
            "name": tenant.name,
            "id": tenant.id.to_string(),
            "good": tenant.is_good(),
            "problem": tenant.problem,
            "blocks": tenant.file.blocks,
            "blocks_unwritten": tenant.file.blocks_unwritten,
            "blocks_bad": tenant.file.blocks_bad,
            "tables_problem": tenant.file.tables,
            "records": tenant.file.records,
            "records_bad": tenant.file.records_bad,
            "record_problem": tenant.file.record_problem,
            "keyring": {
                "headers_mended": tenant.keyring.headers_mended,
                "anchors_damaged": tenant.keyring.anchors_damaged,
                "twins_mended": tenant.keyring.twins_mended,
                "slots_lost": tenant.keyring.slots_lost,
            },
        })
    });
    let regions = report.regions.iter().map(|(name, problem)| json!({"name": name, "problem": problem}));
    json!({
        "good": report.is_good(),
        "tenants": tenants.collect::<Vec<_>>(),
        "regions_unavailable": regions.collect::<Vec<_>>(),
        "unknown_files": report.unknown_files.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
    })
}

/// Prints sizes and counts. A tenant that does not open is said on standard error; the others are printed.
pub(crate) fn stats(global: &Global, tenant: Option<&str>) -> Outcome {
    with_store(global, |engine| {
        if let Some(name) = tenant {
            return print_stats(global.json, &[(name.to_owned(), tenant_stats(engine, name)?)]);
        }
        let mut found = Vec::new();
        let mut failed: Vec<Failure> = Vec::new();
        for info in engine.tenants()? {
            match tenant_stats(engine, &info.name) {
                Ok(stats) => found.push((info.name, stats)),
                Err(failure) => failed.push(failure),
            }
        }
        print_stats(global.json, &found)?;
        let first = failed.pop();
        for failure in &failed {
            failure.report(global.json);
        }
        first.map_or(Ok(()), Err)
    })
}

fn tenant_stats(engine: &Engine, name: &str) -> Outcome<TenantStats> {
    let id = engine.tenant_info(name)?.id;
    engine.tenant_stats(name).map_err(|error| Failure::from(error).within(format_args!("tenant {id}")))
}

fn print_stats(json: bool, found: &[(String, TenantStats)]) -> Outcome {
    let mut output = Output::new();
    if json {
        let rows = found.iter().map(|(name, stats)| {
            json!({
                "name": name,
                "records": stats.records,
                "collections": stats.collections,
                "file_bytes": stats.file_bytes,
                "key_store_bytes": stats.key_store_bytes,
                "version": {"timeline": stats.version.timeline, "sequence": stats.version.sequence},
                "structure_slot": stats.structure_slot,
                "data_slot": stats.data_slot,
            })
        });
        output.json(&rows.collect::<Vec<_>>())?;
        return output.flush();
    }
    output.line(format_args!(
        "{:>12}  {:>11}  {:>10}  {:>9}  {:>9}  tenant",
        "records", "collections", "file", "key store", "version"
    ))?;
    for (name, stats) in found {
        output.line(format_args!(
            "{:>12}  {:>11}  {:>10}  {:>9}  {:>9}  {name}",
            grouped(stats.records),
            stats.collections,
            size(stats.file_bytes),
            size(stats.key_store_bytes),
            stats.version.to_string(),
        ))?;
    }
    output.flush()
}
