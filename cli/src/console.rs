//! What is printed: results on standard output, notes and progress on standard error.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use strongroom::ErrorKind;

use crate::failure::{Failure, Outcome};

/// Standard output. A reader that went away is a [`Failure`], never a panic.
pub(crate) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    pub(crate) fn new() -> Self {
        Self(BufWriter::new(io::stdout().lock()))
    }

    pub(crate) fn line(&mut self, text: fmt::Arguments<'_>) -> Outcome {
        self.0.write_fmt(text).and_then(|()| self.0.write_all(b"\n")).map_err(|error| Failure::output(&error))
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Outcome {
        self.0.write_all(bytes).map_err(|error| Failure::output(&error))
    }

    /// One line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Outcome {
        let written = serde_json::to_writer(&mut self.0, value).map_err(io::Error::from);
        written.and_then(|()| self.0.write_all(b"\n")).map_err(|error| Failure::output(&error))
    }

    pub(crate) fn flush(&mut self) -> Outcome {
        self.0.flush().map_err(|error| Failure::output(&error))
    }
}

/// Prints `value` as a line of JSON, or the text.
pub(crate) fn print(json: bool, value: &impl Serialize, text: fmt::Arguments<'_>) -> Outcome {
    let mut output = Output::new();
    if json {
        output.json(value)?;
    } else {
        output.line(text)?;
    }
    output.flush()
}

/// Says something on standard error that is no failure.
pub(crate) fn note(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "strongroom: {text}");
}

/// Asks a person whether to go on; `yes` where the answer was given beforehand.
pub(crate) fn confirm(yes: bool, question: fmt::Arguments<'_>) -> Outcome {
    if yes {
        return Ok(());
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        let message = "there is nobody to ask: give --yes where it is meant";
        return Err(Failure::new(ErrorKind::InvalidArgument, message));
    }
    let mut answer = String::new();
    let asked = write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stdin().read_line(&mut answer));
    asked.map_err(|error| Failure::io("asking", &error))?;
    if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        return Ok(());
    }
    Err(Failure::new(ErrorKind::Cancelled, "nothing was done"))
}

/// What a progress bar counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counted {
    Bytes,
    Records,
    Steps,
}

/// A progress bar on standard error, where that is a terminal. `total` 0 where it is not known.
pub(crate) fn progress(what: &'static str, total: u64, counted: Counted) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let numbers = match (counted, total) {
        (Counted::Bytes, 0) => "{bytes} at {bytes_per_sec}",
        (Counted::Bytes, _) => "{bytes} of {total_bytes} at {bytes_per_sec}",
        (Counted::Records, 0) => "{human_pos} records, {elapsed}",
        (Counted::Records, _) => "{human_pos} of {human_len} records",
        (Counted::Steps, 0) => "{human_pos} done, {elapsed}",
        (Counted::Steps, _) => "{human_pos} of {human_len}",
    };
    let template = if total == 0 {
        format!("{{msg:<26}} {{spinner}} {numbers}")
    } else {
        format!("{{msg:<26}} [{{bar:30}}] {numbers}")
    };
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = if total == 0 { ProgressBar::no_length() } else { ProgressBar::new(total) };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.with_style(style.progress_chars("=> ")).with_message(what)
}
