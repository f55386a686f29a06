//! Fuzz target: any edits of any files of a store. What it then gives is right or an error, and damage to one tenant's
//! files is no matter to the other.
#![no_main]

use std::collections::BTreeSet;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use strongroom_fuzz::damage::Edits;
use strongroom_fuzz::examine::{Examination, Means};
use strongroom_fuzz::golden::Golden;
use strongroom_fuzz::panics;

static GOLDEN: OnceLock<Golden> = OnceLock::new();

fuzz_target!(init: panics::let_redb_panic(), |input: (Means, Edits)| {
    let (means, Edits(edits)) = input;
    let golden = GOLDEN.get_or_init(|| Golden::build().expect("the golden store is made"));
    let disk = golden.disk.snapshot();
    let mut touched = BTreeSet::new();
    for edit in &edits {
        edit.apply(golden, &disk, &mut touched);
    }
    Examination::new(golden, disk, touched, means).run();
});
