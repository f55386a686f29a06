//! The lines of a file, none of which takes more memory than it may.

use std::io::{self, BufRead};

use crate::export_format::LINE_BYTES_MAX;

/// A line, without its ending (LF or CR LF).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Whole(&'a [u8]),
    /// Longer than any record; passed over.
    TooLong,
}

/// Reads lines one after the other.
pub(super) struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    is_too_long: bool,
    number: u64,
    /// The last line is to be given once more.
    again: bool,
    /// Bytes read from the source so far.
    bytes: u64,
    bytes_max: usize,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            is_too_long: false,
            number: 0,
            again: false,
            bytes: 0,
            bytes_max: LINE_BYTES_MAX,
        }
    }

    /// Has the next call give the last line once more.
    pub(super) fn put_back(&mut self) {
        self.again = self.number > 0;
    }

    /// Bytes read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next line and its number, from 1.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        if self.again {
            self.again = false;
        } else if !self.read()? {
            return Ok(None);
        }
        let line = if self.is_too_long { Line::TooLong } else { Line::Whole(&self.buffer) };
        Ok(Some((self.number, line)))
    }

    /// Reads a line into the buffer; `false` at the end of the source.
    fn read(&mut self) -> io::Result<bool> {
        self.buffer.clear();
        self.is_too_long = false;
        let mut is_empty = true;
        loop {
            let available = match self.source.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                available => available?,
            };
            if available.is_empty() {
                break;
            }
            is_empty = false;
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(available.len(), |end| end + 1);
            if self.buffer.len() + taken > self.bytes_max {
                self.is_too_long = true;
                self.buffer.clear();
            } else if !self.is_too_long {
                self.buffer.extend_from_slice(&available[..taken]);
            }
            self.source.consume(taken);
            self.bytes += taken as u64;
            if end.is_some() {
                break;
            }
        }
        if is_empty {
            return Ok(false);
        }
        self.number += 1;
        if self.buffer.pop_if(|byte| *byte == b'\n').is_some() {
            self.buffer.pop_if(|byte| *byte == b'\r');
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of at most 8 bytes, read `step` bytes at a time.
    fn lines_of(text: &str, step: usize) -> Vec<Option<String>> {
        let mut lines = Lines::new(io::BufReader::with_capacity(step, text.as_bytes()));
        lines.bytes_max = 8;
        let mut found = Vec::new();
        while let Some((number, line)) = lines.next().expect("reads") {
            found.push(match line {
                Line::Whole(line) => Some(String::from_utf8_lossy(line).into_owned()),
                Line::TooLong => None,
            });
            assert_eq!(number, found.len() as u64);
        }
        assert_eq!(lines.bytes(), text.len() as u64);
        found
    }

    #[test]
    fn endings_are_taken_off_and_long_lines_are_passed_over_whatever_the_source_gives_at_a_time() {
        let text = "a\r\n\nb\rc\n0123456789abcdef\n1234567\nlast";
        let expected = ["a", "", "b\rc", "", "1234567", "last"].map(|line| Some(line.to_owned()));
        for step in [1, 2, 3, 7, 64] {
            let mut found = lines_of(text, step);
            assert_eq!(found[3].take(), None, "step {step}");
            found[3] = Some(String::new());
            assert_eq!(found, expected, "step {step}");
        }
        assert!(lines_of("", 1).is_empty());
        assert_eq!(lines_of("\n", 1), [Some(String::new())]);
    }
}
