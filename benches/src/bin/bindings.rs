//! What the bindings cost: `cargo xtask bench bindings`, which builds the players.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool prints")]
#![allow(
    clippy::disallowed_methods,
    reason = "Clock and Disk are the engine's seams; this is not the engine"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use strongroom_benches::bindings::{Player, run, table};

/// Lets players in several languages take turns with the Rust one.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench bindings")]
struct Arguments {
    /// How many turns each of them has
    #[arg(long, default_value_t = 300, value_name = "N")]
    rounds: usize,
    /// Where the log goes, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where the stores are made; default: in the target folder
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// A language and its command, as `name=program|argument|...`; the first one is Rust
    #[arg(long = "player", value_name = "NAME=COMMAND", value_parser = player)]
    players: Vec<Player>,
}

fn player(text: &str) -> Result<Player, String> {
    let (name, command) = text.split_once('=').ok_or("a player is `name=command`")?;
    Ok(Player { name: name.to_owned(), command: command.split('|').map(str::to_owned).collect() })
}

fn main() -> ExitCode {
    let Arguments { rounds, out, directory, players } = Arguments::parse();
    let Some(directory) = directory.or_else(strongroom_benches::directory_beside) else {
        eprintln!("there is no target folder: name a directory");
        return ExitCode::FAILURE;
    };
    let result = run(&players, rounds, &directory).and_then(|log| {
        print!("{}", table(&log));
        out.map_or(Ok(()), |out| std::fs::write(out, format!("{log:#}\n")))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
