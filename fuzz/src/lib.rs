//! What the structural fuzz targets are made of: stores on a simulated disk, damage to their files, and models of what
//! they must give. The targets themselves are in `fuzz_targets`, seeds of their corpora in `seeds`.

pub mod damage;
pub mod examine;
pub mod golden;
pub mod model;
pub mod operation;
pub mod panics;
pub mod store;
