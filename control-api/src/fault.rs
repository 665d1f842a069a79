//! What is wrong with a configuration: every fault at once, each with the place where it is.

use std::fmt;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: a file's line and column when it came from text (`3:7`), else empty.
    pub position: Option<Position>,
    /// The path inside the document or resource, such as `services[2].ports[0].balance`.
    pub path: String,
    /// What is wrong and what would be right, as a sentence without a full stop.
    pub reason: String,
}

/// A place in a text, both numbers from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// All faults of one document or set of resources; never empty where it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

/// Something that was accepted and has no effect, which an operator may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The path of the field.
    pub path: String,
    /// Why it has no effect, as a sentence without a full stop.
    pub reason: String,
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.0.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.reason)
    }
}
