//! The C ABI of Strongroom. What it promises, `include/strongroom.h` says; this crate keeps it.
//!
//! Each exported function first turns its pointers into references, in one `unsafe` block (`pointer`, `handle` and
//! `boxed` hold the operations), and then works in safe code, inside [`call::call`], at which panics end.

#![allow(
    clippy::doc_markdown,
    reason = "the comments of exported items are the header's, where backticks and links mean nothing"
)]
#![allow(unreachable_pub, reason = "what is `pub` is in the header")]
#![allow(clippy::too_many_arguments, reason = "C has no slices: a pointer and a length take two")]

// In the order of the header.
mod library;

mod error;

mod config;

mod provider;

mod engine;

mod tenant;

mod life;

mod collection;

mod index;

mod retention;

mod subject;

mod hold;

mod ledger;

mod quota;

mod data_key;

mod wrapping;

mod removal;

mod session;

mod snapshot;

mod stream;

mod buffer;

mod batch;

mod completion;

mod scan;

mod list;

mod report;

mod log;

// What the above are made of.
mod boxed;
mod call;
mod handle;
mod pointer;
