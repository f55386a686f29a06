//! Fuzz target: any sequence of operations, among them closing and power loss, over a store and a map. They hold the
//! same at each step.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_fuzz::model::Model;
use strongroom_fuzz::operation::Operations;

fuzz_target!(|operations: Operations| {
    let mut model = Model::new();
    operations.0.iter().for_each(|operation| model.apply(operation));
    model.finish();
});
