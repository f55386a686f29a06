//! What the bindings cost: players in several languages, each with a store of its own and the same records, take turns of a
//! few milliseconds with the Rust one. A turn that was disturbed by something else is told from the others by taking the
//! tenth part of all turns that was fastest; medians stand beside it.
#![allow(
    clippy::disallowed_methods,
    reason = "Clock and Disk are the engine's seams; this is not the engine"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::race::machine;

/// Records of each store; all players know it.
pub const RECORDS: usize = 10_000;
/// From one key to the next; all players know it.
pub const STRIDE: usize = 7_919;
/// Bytes of each value; all players know it.
pub const VALUE_BYTES: usize = 1_024;

/// What is measured, and the calls of one turn. A scan is one call over all records.
const WHAT: [(&str, usize); 3] = [("get", 1_000), ("put", 200), ("scan", 1)];

/// A language and the command that plays it; the first is Rust.
#[derive(Clone, Debug)]
pub struct Player {
    /// The language's name.
    pub name: String,
    /// Program and arguments; the directory of its store comes after them.
    pub command: Vec<String>,
}

/// A player that runs.
struct Playing {
    name: String,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Nanoseconds a call, for each of `WHAT` and each round.
    nanos: [Vec<f64>; WHAT.len()],
}

impl Playing {
    fn begin(player: &Player, directory: &Path) -> std::io::Result<Self> {
        let directory = directory.join(&player.name);
        fs::create_dir_all(&directory)?;
        let mut child = Command::new(&player.command[0])
            .args(&player.command[1..])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = child.stdin.take().zip(child.stdout.take()).expect("both are piped");
        let name = player.name.clone();
        let mut playing =
            Self { name, child, input, output: BufReader::new(output), nanos: Default::default() };
        assert_eq!(playing.line(), "ready", "the player of {}", playing.name);
        Ok(playing)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the player prints a line");
        line.trim().to_owned()
    }

    /// One turn: nanoseconds a call.
    #[expect(clippy::cast_precision_loss, reason = "a few seconds in nanoseconds")]
    fn turn(&mut self, what: &str, from: usize, calls: usize) -> std::io::Result<f64> {
        writeln!(self.input, "{what} {from} {calls}")?;
        let line = self.line();
        let nanos: u64 = line.parse().unwrap_or_else(|_| panic!("the player of {} said `{line}`", self.name));
        Ok(nanos as f64 / calls as f64)
    }
}

/// The value below which this part of them lies.
fn quantile(values: &[f64], part: usize, of: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() * part / of).min(sorted.len() - 1)]
}

/// Runs them all, turn and turn about; gives the log, and says how it goes.
///
/// # Errors
/// Those of starting players and talking to them.
///
/// # Panics
/// Where a player fails.
pub fn run(players: &[Player], rounds: usize, directory: &Path) -> std::io::Result<Value> {
    let folder: PathBuf = directory.join("bindings");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let (begun, commit) = (machine::now(), machine::commit());
    let mut playing = Vec::new();
    for player in players {
        playing.push(Playing::begin(player, &folder)?);
    }
    for round in 0..rounds {
        for (index, (what, calls)) in WHAT.into_iter().enumerate() {
            for turn in 0..playing.len() {
                // Nobody is always the one after the same other.
                let many = playing.len();
                let player = &mut playing[(turn + round) % many];
                let from = round * calls % (RECORDS - calls + 1);
                let nanos = player.turn(what, from, calls)?;
                player.nanos[index].push(nanos);
            }
        }
    }
    let log = json!({
        "what": "nanoseconds a call of 1 KiB, in turns of a few milliseconds; a scan is of 10,000 records",
        "begun": begun,
        "ended": machine::now(),
        "commit": commit,
        "machine": machine::describe(directory),
        "rounds": rounds,
        "cells": WHAT.iter().enumerate().map(|(index, (what, calls))| {
            let of = |playing: &Playing| {
                let nanos = &playing.nanos[index];
                json!({
                    "language": playing.name,
                    "fastest_tenth": quantile(nanos, 1, 10).round(),
                    "median": quantile(nanos, 1, 2).round(),
                })
            };
            json!({ "call": what, "calls_a_turn": calls, "of": playing.iter().map(of).collect::<Vec<_>>() })
        }).collect::<Vec<_>>(),
    });
    for mut player in playing {
        drop(player.input);
        let status = player.child.wait()?;
        assert!(status.success(), "the player of {}: {status}", player.name);
    }
    fs::remove_dir_all(&folder)?;
    Ok(log)
}

/// The log as a table: nanoseconds, and what each language adds to Rust.
#[must_use]
pub fn table(log: &Value) -> String {
    let mut table =
        String::from("call  language  fastest tenth  beyond Rust            median  beyond Rust\n");
    for cell in log["cells"].as_array().into_iter().flatten() {
        let rows = cell["of"].as_array().map_or(&[][..], Vec::as_slice);
        for row in rows {
            let nanos = |which: &str| row[which].as_f64().unwrap_or_default();
            let beyond = |which: &str| {
                let rust = rows[0][which].as_f64().unwrap_or_default();
                let more = nanos(which) - rust;
                format!("{more:>+9.0} {:>+6.1} %", more / rust * 100.0)
            };
            let (tenth, median) = ("fastest_tenth", "median");
            let _ = writeln!(
                table,
                "{:<5} {:<8} {:>14.0} {:>19} {:>14.0} {:>19}",
                cell["call"].as_str().unwrap_or_default(),
                row["language"].as_str().unwrap_or_default(),
                nanos(tenth),
                beyond(tenth),
                nanos(median),
                beyond(median),
            );
        }
    }
    table
}
