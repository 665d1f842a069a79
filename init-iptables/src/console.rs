//! Where a command speaks: results on standard output, warnings on standard error.

use std::io::Write;

/// The two ends that a command writes to.
///
/// What cannot be written is lost on purpose: rules that were installed stay installed when the reader of the log has
/// gone, and the exit status tells the outcome.
pub struct Console<'a> {
    /// For results.
    pub out: &'a mut dyn Write,
    /// For warnings.
    pub err: &'a mut dyn Write,
}

impl Console<'_> {
    /// Says what was done.
    pub fn say(&mut self, line: &str) {
        let _ = writeln!(self.out, "{line}");
    }

    /// Says what an operator should look at.
    pub fn warn(&mut self, line: &str) {
        let _ = writeln!(self.err, "evenkeel-init: warning: {line}");
    }

    /// Prints a text that ends its own lines.
    pub fn print(&mut self, text: &str) {
        let _ = write!(self.out, "{text}");
    }
}
