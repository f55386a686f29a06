//! Strongroom's command line: arguments in, an exit status out.
//!
//! Standard output holds what was asked for and nothing else; everything said besides goes to standard error.

#![deny(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "the command line reads and writes the user's own files, and measures time; stores are reached through the engine only"
)]

mod args;
mod collection;
mod console;
mod erase;
mod export;
mod export_format;
mod failure;
mod files;
mod health;
mod hold;
mod import;
mod index;
mod init;
mod inspect;
mod key;
mod ledger;
mod maintain;
mod output_file;
mod passphrase;
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
mod processor;
mod quota;
mod record;
mod removal;
mod retention;
mod setup;
mod store;
mod subject;
mod tenant;
mod text;
mod tour;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use clap::Parser;
use strongroom::ErrorKind;

use crate::args::{Arguments, Command};
use crate::failure::{Failure, Outcome};

/// Where the last panic was. Its message is not kept: it could hold what nobody may see.
static PANICKED_AT: Mutex<Option<String>> = Mutex::new(None);

fn main() -> ExitCode {
    // The engine turns panics of redb's into errors: nothing is printed unless one gets as far as here.
    std::panic::set_hook(Box::new(|info| {
        *PANICKED_AT.lock().unwrap_or_else(PoisonError::into_inner) =
            info.location().map(ToString::to_string);
    }));
    let arguments = Arguments::parse();
    let json = arguments.global.json;
    let outcome = catch_unwind(AssertUnwindSafe(|| run(&arguments))).unwrap_or_else(|_| {
        let place = PANICKED_AT.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        Err(Failure::new(ErrorKind::Internal, format!("a defect at {place}: please report it")))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(json);
            ExitCode::from(failure.exit_status())
        }
    }
}

fn run(arguments: &Arguments) -> Outcome {
    let global = &arguments.global;
    match &arguments.command {
        Command::Init(init) => init::run(global, init),
        Command::Tenant(command) => tenant::run(global, command),
        Command::Collection(command) => collection::run(global, command),
        Command::Put(put) => record::put(global, put),
        Command::Get(get) => record::get(global, get),
        Command::Key(command) => key::run(global, command),
        Command::Scan(scan) => record::scan(global, scan),
        Command::Remove(remove) => removal::remove(global, remove),
        Command::Restore(restore) => removal::restore(global, restore),
        Command::Erase(erase) => erase::erase(global, erase),
        Command::Find(find) => index::find(global, find),
        Command::Index(command) => index::run(global, command),
        Command::Quota(command) => quota::run(global, command),
        Command::Count(count) => record::count(global, count),
        Command::Policy(command) => retention::policy(global, command),
        Command::Sweep { tenant } => retention::sweep(global, tenant.as_deref()),
        Command::Ledger { tenant } => ledger::ledger(global, tenant),
        Command::Scrub { tenant } => ledger::scrub(global, tenant),
        Command::Clock(command) => retention::clock(global, command),
        Command::Subject(command) => subject::run(global, command),
        Command::Hold(command) => hold::run(global, command),
        Command::Import(import) => import::run(global, import),
        Command::Export(export) => export::run(global, export),
        Command::Verify { tenant } => inspect::verify(global, tenant.as_deref()),
        Command::Stats { tenant } => inspect::stats(global, tenant.as_deref()),
        Command::Health => health::run(global),
        Command::Checkpoint { tenant } => maintain::checkpoint(global, tenant.as_deref()),
        Command::Rewrite { tenant } => maintain::rewrite(global, tenant.as_deref()),
        Command::Salvage { tenant } => maintain::salvage(global, tenant),
        Command::Tour(tour) => tour::run(global, tour),
        Command::Config => setup::config(global),
        Command::Completions { shell } => setup::completions(*shell),
        Command::Man { directory } => setup::man(directory),
    }
}
