//! Fuzz target: any edits of any files of a store. What it then gives is right or an error, and damage to one tenant's
//! files is no matter to the other.
#![no_main]

use std::collections::BTreeSet;
use std::sync::OnceLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use strongroom::Freshness;
use strongroom_fuzz::damage::Edit;
use strongroom_fuzz::examine::Examination;
use strongroom_fuzz::golden::Golden;
use strongroom_fuzz::panics;

const EDITS_MAX: usize = 8;

static GOLDEN: OnceLock<Golden> = OnceLock::new();

#[derive(Arbitrary, Debug)]
struct Input {
    full_freshness: bool,
    edits: Vec<Edit>,
}

fuzz_target!(init: panics::let_redb_panic(), |input: Input| {
    let golden = GOLDEN.get_or_init(|| Golden::build().expect("the golden store is made"));
    let disk = golden.disk.snapshot();
    let mut touched = BTreeSet::new();
    for edit in input.edits.iter().take(EDITS_MAX) {
        edit.apply(golden, &disk, &mut touched);
    }
    let freshness = if input.full_freshness { Freshness::Full } else { Freshness::Standard };
    Examination::new(golden, disk, touched, freshness).run();
});
