//! Fuzz target: any sequence of operations, among them closing and power loss, over a store and a map. They hold the
//! same at each step.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_fuzz::model::Model;
use strongroom_fuzz::operation::Operation;

const OPERATIONS_MAX: usize = 32;

fuzz_target!(|operations: Vec<Operation>| {
    let mut model = Model::new();
    operations.iter().take(OPERATIONS_MAX).for_each(|operation| model.apply(operation));
    model.finish();
});
