//! What was found and done: verification, salvage, rewriting.

use std::ffi::c_char;

use strongroom::{LaneReport, TenantReport, VerifyReport};

use crate::boxed::{self, Boxed, Named, free};
use crate::call::{call, guarded};
use crate::error::{Error, Failure, Status};
use crate::library::init;
use crate::pointer::{self, Growing};

/// What was found of a tenant that was salvaged. Set up with strongroom_salvage_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Salvage {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Changes of the journal that count.
    pub changes: u64,
    /// Changes that are lost, as far as there is a trace of them.
    pub changes_lost: u64,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers.
unsafe impl Growing for Salvage {
    const LEAST: usize = 24;
}

/// What a rewrite did. Set up with strongroom_rewrite_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Rewrite {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Rows copied, of all tables.
    pub rows: u64,
    /// Length of the file before, in bytes.
    pub bytes_before: u64,
    /// Length of the file afterwards, in bytes.
    pub bytes_after: u64,
    /// The slot of the structure key the new file is sealed under.
    pub structure_slot: u32,
    /// 1: the file was rewritten. 0: the tenant has no file yet, and nothing was to be done.
    pub has_file: u32,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers.
unsafe impl Growing for Rewrite {
    const LEAST: usize = 40;
}

/// Figures of a verification. Set up with strongroom_report_summary_init.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ReportSummary {
    /// Size of this struct in bytes.
    pub size: usize,
    /// Tenants looked at, the catalog included.
    pub tenants: u64,
    /// Tenants with something wrong.
    pub tenants_bad: u64,
    /// Blocks that opened.
    pub blocks: u64,
    /// Blocks that do not open.
    pub blocks_bad: u64,
    /// Records whose value opened; one that a file holds in an older version counts twice.
    pub records: u64,
    /// Records that do not open.
    pub records_bad: u64,
    /// Frames of the journals that opened.
    pub frames: u64,
    /// Frames that do not open.
    pub frames_bad: u64,
    /// Files that belong to nothing the store knows. They are no harm.
    pub unknown_files: u64,
    /// 1: nothing is wrong that was not mended.
    pub is_good: u32,
    /// Records whose value was not opened, because the store is open for maintenance.
    pub records_unopened: u64,
}

// SAFETY: it is `repr(C)`, begins with its size, and consists of integers.
unsafe impl Growing for ReportSummary {
    const LEAST: usize = 88;
}

/// What a verification found: owned by whoever gets it, freed with strongroom_report_free. Immutable; may be read from any
/// thread.
pub struct Report {
    _opaque: [u8; 0],
}

/// Figures, and a sentence for each thing that is wrong.
pub(crate) struct Found {
    summary: ReportSummary,
    problems: Vec<String>,
}

impl Named for Report {
    type Value = Found;
    const TAG: u64 = u64::from_le_bytes(*b"sr.repor");
}

impl Report {
    pub(crate) fn give(report: &VerifyReport) -> *mut Self {
        let mut summary = ReportSummary {
            unknown_files: report.unknown_files.len() as u64,
            is_good: u32::from(report.is_good()),
            ..ReportSummary::initial()
        };
        for tenant in &report.tenants {
            summary.tenants += 1;
            summary.tenants_bad += u64::from(!tenant.is_good());
            summary.blocks += tenant.file.blocks;
            summary.blocks_bad += tenant.file.blocks_bad.len() as u64;
            summary.records += tenant.file.records;
            summary.records_bad += tenant.file.records_bad;
            summary.records_unopened += tenant.file.records_unopened;
            summary.frames += tenant.journal.frames;
            summary.frames_bad += tenant.journal.frames_bad;
        }
        let regions =
            report.regions.iter().map(|(name, problem)| format!("region {name} can't be reached: {problem}"));
        let lanes = report.lanes.iter().filter(|lane| !lane.is_good()).map(of_lane);
        let tenants = report.tenants.iter().filter(|tenant| !tenant.is_good()).map(of_tenant);
        let problems = regions.chain(lanes).chain(tenants).collect();
        boxed::give(Found { summary, problems })
    }
}

fn of_lane(lane: &LaneReport) -> String {
    let problem = lane.problem.clone();
    let problem = problem.unwrap_or_else(|| format!("it is damaged at {} places", lane.stats.damaged));
    format!("journal {} of region {}: {problem}", lane.id, lane.region)
}

/// Names the tenant by its id, as logs do.
fn of_tenant(tenant: &TenantReport) -> String {
    let mut parts: Vec<String> = tenant.problem.iter().cloned().collect();
    if !tenant.keyring.slots_lost.is_empty() {
        parts.push(format!("{} slots of its keyring are lost", tenant.keyring.slots_lost.len()));
    }
    parts.extend(tenant.journal.problem.clone());
    if !tenant.file.blocks_bad.is_empty() {
        parts.push(format!("{} blocks do not open", tenant.file.blocks_bad.len()));
    }
    parts.extend(tenant.file.tables.clone());
    parts.extend(tenant.file.record_problem.clone());
    format!("tenant {}: {}", tenant.id, parts.join("; "))
}

/// Sets up what a salvage fills.
///
/// @param[out] salvage borrowed; not initialised yet.
/// @param[in]  size    sizeof *salvage.
/// @return InvalidArgument where salvage is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_salvage_init(salvage: *mut Salvage, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(salvage, size) }
}

/// Sets up what a rewrite fills.
///
/// @param[out] rewrite borrowed; not initialised yet.
/// @param[in]  size    sizeof *rewrite.
/// @return InvalidArgument where rewrite is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_rewrite_init(rewrite: *mut Rewrite, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(rewrite, size) }
}

/// Sets up what a report's summary fills.
///
/// @param[out] summary borrowed; not initialised yet.
/// @param[in]  size    sizeof *summary.
/// @return InvalidArgument where summary is NULL or the size is none it ever had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_report_summary_init(summary: *mut ReportSummary, size: usize) -> Status {
    // SAFETY: the caller's pointer is NULL or a struct of this size, as the header demands.
    unsafe { init(summary, size) }
}

/// The figures of a report.
///
/// @param[in]     report  borrowed.
/// @param[in,out] summary borrowed; set up before.
/// @param[out]    error   owned, or NULL: why it failed.
/// @return InvalidArgument.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_report_get_summary(
    report: *const Report,
    summary: *mut ReportSummary,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (report, place, error) = unsafe {
        (Boxed::of(report, "report"), pointer::growing_out(summary, "summary"), pointer::optional_out(error))
    };
    call(error, || {
        let (report, place) = (report?, place?);
        place.write(&report.summary);
        Ok(())
    })
}

/// How many things are wrong.
///
/// @param[in] report borrowed; NULL gives 0.
/// @return the number; 0 where nothing is wrong that was not mended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_report_problem_count(report: *const Report) -> usize {
    // SAFETY: the caller's pointer is NULL or a report that it has not freed, as the header demands.
    let report = unsafe { Boxed::of(report, "report") };
    guarded(0, || report.map_or(0, |found| found.problems.len()))
}

/// One thing that is wrong, as a sentence in English. It shows no key, value, record key or name of a tenant.
///
/// @param[in]  report    borrowed.
/// @param[in]  index     0 to strongroom_report_problem_count - 1.
/// @param[out] text      borrowed from the report until it is freed; UTF-8, not NUL-terminated.
/// @param[out] text_size its length in bytes.
/// @param[out] error     owned, or NULL: why it failed.
/// @return InvalidArgument.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_report_problem(
    report: *const Report,
    index: usize,
    text: *mut *const c_char,
    text_size: *mut usize,
    error: *mut *mut Error,
) -> Status {
    // SAFETY: the caller's pointers are NULL or what the header demands, for the time of this call.
    let (report, text, text_size, error) = unsafe {
        (
            Boxed::of(report, "report"),
            pointer::out(text, "text"),
            pointer::out(text_size, "text_size"),
            pointer::optional_out(error),
        )
    };
    call(error, || {
        let (report, text, text_size) = (report?, text?, text_size?);
        let problem = report.problems.get(index);
        let problem = problem.ok_or_else(|| {
            Failure::invalid(format_args!(
                "there is no problem {index} in a report of {}",
                report.problems.len()
            ))
        })?;
        text.write(problem.as_ptr().cast());
        text_size.write(problem.len());
        Ok(())
    })
}

/// Frees a report.
///
/// @param[in] report owned: not to be used afterwards; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_report_free(report: *mut Report) {
    // SAFETY: the caller's pointer is NULL or a report that it gives up, as the header demands.
    let report = unsafe { Boxed::take(report) };
    guarded((), || free(report));
}
