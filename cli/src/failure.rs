//! How a command fails: the kind of error that gives the exit status, and one sentence.

use std::fmt::Display;
use std::io::{self, Write};

use serde_json::json;
use strongroom::ErrorKind;

/// The result of a command or a step of it.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: ErrorKind,
    message: String,
    retryable: bool,
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Said on standard error.
    Said,
    /// The reader of standard output went away before it had everything: no failure, and nothing to say.
    ReaderLeft,
    /// The same, where work was left undone.
    ReaderLeftUndone,
}

/// What a command that failed adds to the kind's number.
const EXIT_STATUS_BASE: u8 = 10;

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retryable: false, how: How::Said }
    }

    /// A failure of the operating system; `what` says what was being done.
    pub(crate) fn io(what: impl Display, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
            _ => ErrorKind::Io,
        };
        Self::new(kind, format!("{what}: {error}"))
    }

    /// A failure to write to standard output.
    pub(crate) fn output(error: &io::Error) -> Self {
        let mut failure = Self::io("writing to standard output", error);
        if error.kind() == io::ErrorKind::BrokenPipe {
            failure.kind = ErrorKind::Cancelled;
            failure.how = How::ReaderLeft;
        }
        failure
    }

    /// The same failure in a command that was to do more than to print.
    pub(crate) fn undone(mut self) -> Self {
        if self.how == How::ReaderLeft {
            self.how = How::ReaderLeftUndone;
        }
        self
    }

    /// The same failure, its sentence preceded by where it happened.
    pub(crate) fn within(mut self, place: impl Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// The same failure, its sentence followed by what to do.
    pub(crate) fn followed_by(mut self, advice: impl Display) -> Self {
        self.message = format!("{}; {advice}", self.message);
        self
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn exit_status(&self) -> u8 {
        if self.how == How::ReaderLeft { 0 } else { EXIT_STATUS_BASE + self.kind.code() }
    }

    /// Says it on standard error, as a sentence or as JSON.
    pub(crate) fn report(&self, json: bool) {
        if self.how != How::Said {
            return;
        }
        let text = if json {
            json!({"error": {
                "kind": self.kind.name(),
                "code": self.kind.code(),
                "message": self.message,
                "retryable": self.retryable,
            }})
            .to_string()
        } else {
            format!("strongroom: {}", self.message)
        };
        // Nobody is left to be told where standard error is closed too.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

impl From<strongroom::Error> for Failure {
    fn from(error: strongroom::Error) -> Self {
        let mut failure = Self::new(error.kind(), error.to_string());
        failure.retryable = error.is_retryable();
        failure
    }
}
