//! `strongroom tour`: a person's own files, stored for two tenants, searched for on the disk, and attacked. Every step
//! really happens, on real files, in a temporary directory.

mod attack;
mod control;
mod erasure;
mod hold;
mod input;
mod journal;
mod journal_frames;
mod lab;
mod load;
mod removal;
mod report;
mod rollback;
mod sealed_blocks;
mod search;
mod workspace;

use std::io::{self, Write};

use crate::args::{Global, Tour};
use crate::failure::Outcome;
use input::Input;
use lab::Lab;
use report::Report;
use search::Search;
use workspace::Workspace;

/// The tenants, and the region each is in.
const TENANTS: [(&str, &str); 2] =
    [("Ada Lovelace Clinic", "default"), ("Babbage and Daughters Bank", "frankfurt")];
/// The one region besides `default`.
const REGION: &str = "frankfurt";
/// The collection that holds the files.
const COLLECTION: &str = "customer documents";

/// Shows what the store does.
pub(crate) fn run(global: &Global, tour: &Tour) -> Outcome {
    let input = Input::find(tour.dir.as_deref())?;
    let workspace = Workspace::create(tour.keep)?;
    let mut report = Report::new();
    let outcome = walk(&input, &workspace, &mut report);
    if let Err(failure) = &outcome {
        workspace.end_if_interrupted();
        report.failed("the tour ended here", failure.message());
    }
    let printed = report.print(global.json);
    let removed = workspace.remove();
    outcome.and(printed).and(removed)
}

fn walk(input: &Input, workspace: &Workspace, report: &mut Report) -> Outcome {
    say(&format!("Loading {} for each of two tenants.", input.summary()));
    let mut loaded = load::load(input, workspace)?;

    say("Searching every file on the disk for what was stored, while the journals hold it.");
    let search = Search::in_journals(workspace, &loaded)?;

    say("Reading everything back, from the journals and then from the tenants' files.");
    load::replay(workspace, &mut loaded)?;
    load::checkpoint(workspace, &mut loaded)?;
    loaded.describe(input, report);
    load::read_back(workspace, &loaded, report)?;
    let lab = Lab::new(workspace, &loaded)?;
    load::measure_disk(&lab, &loaded, report)?;

    say("Searching every file again.");
    search.in_files(workspace, report)?;

    say("Removing records and restoring them.");
    removal::remove_and_restore(&lab, &loaded, report)?;

    say("Placing a legal hold, and trying to erase what it covers.");
    hold::try_to_erase(&lab, report)?;

    say("Copying a store away, letting values go, and reading the copy with today's keys.");
    erasure::reach_copies(&lab, report)?;

    say("Attacking the files of one tenant, while the other goes on.");
    attack::move_file(&lab, report)?;
    attack::move_blocks(&lab, report)?;
    attack::flip_byte(&lab, report)?;
    rollback::put_old_file_back(&lab, report)?;
    rollback::put_old_block_back(&lab, report)?;
    let written = journal::write_to_the_journal(&lab)?;
    journal::flip_byte(&lab, &written, report)?;
    journal::put_old_journal_back(&lab, &written, report)?;
    attack::remove_keyring(&lab, report)?;
    attack::use_wrong_root_key(&lab, report)?;

    say("Putting everything right, and verifying all of it.");
    lab.everything_is_well(&written, report)
}

/// Says which step comes next.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
