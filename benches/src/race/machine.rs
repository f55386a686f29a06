//! Where and when a race is run, what the system says of this process, and how fast the disk is just now.

use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

/// What the system counts processor time in, whatever its clock ticks at.
const TICKS_A_SECOND: f64 = 100.0;

/// What a program prints, without the end of its last line; empty where it can't be run.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// The time, UTC.
pub(crate) fn now() -> String {
    output("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"])
}

/// The commit that is checked out, and whether anything in the tree differs from it.
pub(crate) fn commit() -> Value {
    let is_dirty = !output("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    json!({ "id": output("git", &["rev-parse", "HEAD"]), "dirty": is_dirty })
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The line's value in a file of `name: value` or `name value` lines.
fn line<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line[name.len()..].trim_start_matches(|c: char| c == ':' || c.is_whitespace()).trim())
}

/// Kernel, processor, memory, and the file system of a directory.
pub(crate) fn describe(directory: &Path) -> Value {
    let processor = text("/proc/cpuinfo");
    json!({
        "kernel": text("/proc/sys/kernel/osrelease").trim(),
        "processor": line(&processor, "model name").unwrap_or("unknown"),
        "processors": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "memory": line(&text("/proc/meminfo"), "MemTotal").unwrap_or("unknown"),
        "file_system": file_system(directory),
        "load": text("/proc/loadavg").trim(),
    })
}

/// Type and options of the file system that a directory is on.
fn file_system(directory: &Path) -> String {
    let mounts = text("/proc/self/mounts");
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let above = fields.filter(|fields| fields.len() > 3 && directory.starts_with(fields[1]));
    let nearest = above.max_by_key(|fields| fields[1].len());
    nearest.map_or("unknown".to_owned(), |fields| format!("{} ({})", fields[2], fields[3]))
}

/// Bytes that this process had written to the device, as the system counts them.
pub(super) fn bytes_written() -> u64 {
    line(&text("/proc/self/io"), "write_bytes").and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Seconds of processor time that this process has used, in user space and in the kernel.
pub(super) fn cpu_seconds() -> f64 {
    let stat = text("/proc/self/stat");
    // The name of the program comes before, in parentheses, and may hold anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_A_SECOND
}

/// Seconds that the processors were busy, for whatever process, or taken away from this machine.
fn busy_seconds() -> f64 {
    let stat = text("/proc/stat");
    let ticks = line(&stat, "cpu ").unwrap_or_default().split(' ').map(|ticks| ticks.parse().unwrap_or(0.0));
    // All but the fourth and fifth, which are idle.
    ticks
        .take(8)
        .enumerate()
        .map(|(index, ticks)| if [3, 4].contains(&index) { 0.0 } else { ticks })
        .sum::<f64>()
        / TICKS_A_SECOND
}

/// Looks at the processors from here on.
#[derive(Debug)]
pub(super) struct Watch {
    begun: Instant,
    busy: f64,
    own: f64,
}

impl Watch {
    pub(super) fn begin() -> Self {
        Self { begun: Instant::now(), busy: busy_seconds(), own: cpu_seconds() }
    }

    /// Which part of one processor others used in the meantime: a measure of how far the figures can be trusted.
    pub(super) fn others(&self) -> f64 {
        let busy = busy_seconds() - self.busy;
        let own = cpu_seconds() - self.own;
        (busy - own).max(0.0) / self.begun.elapsed().as_secs_f64()
    }
}

/// Kibibytes of memory that this process has now.
pub(crate) fn memory_kib() -> f64 {
    let status = text("/proc/self/status");
    let value = line(&status, "VmRSS").and_then(|value| value.split(' ').next());
    value.and_then(|value| value.parse().ok()).unwrap_or(0.0)
}

/// Has what other turns left written out, so that this one does not pay for it.
pub(super) fn settle() {
    let _ = Command::new("sync").status();
}

/// Microseconds that 4 KiB and a sync take now: the median of fifty.
pub(super) fn sync_micros(directory: &Path) -> f64 {
    let mut file = tempfile::tempfile_in(directory).expect("a file is made");
    file.write_all(&[1; 4_096]).and_then(|()| file.sync_all()).expect("the disk takes it");
    let mut times: Vec<_> = (0..50_u8)
        .map(|n| {
            let begun = Instant::now();
            file.write_all_at(&[n; 4_096], 0).and_then(|()| file.sync_data()).expect("the disk takes it");
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
