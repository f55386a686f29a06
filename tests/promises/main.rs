//! The promises that Strongroom makes, each in one module, all in one binary.

mod layers;
