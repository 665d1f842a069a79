//! What concerns one hop alone: the `Connection` options and the fields that they name (RFC 9110 7.6.1).

use super::Fault;
use super::head::Cuts;
use super::head::Lines;
use super::octets;

/// More options than this in one head are refused: each is compared with each field line.
const MOST_OPTIONS: u32 = 64;

/// The options of all `Connection` lines of one head. Reading the first line alone lets a client smuggle the others
/// to the next hop.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of a head that do not depend on each other"
)]
pub(super) struct Options {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
    count: u32,
    /// Options that are neither of the above nor the name of a field that is always cut.
    naming: bool,
}

impl Options {
    /// One `Connection` line.
    pub(super) fn read(&mut self, value: &[u8]) -> Result<(), Fault> {
        for option in octets::list(value) {
            self.count += 1;
            if self.count > MOST_OPTIONS {
                return Err(Fault::malformed("too many Connection options"));
            }
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else if !option.eq_ignore_ascii_case(b"te") {
                self.naming = true;
            }
        }
        Ok(())
    }

    /// Cuts the lines that an option names. What everyone on the way must see stays, whoever names it: a message
    /// without its framing is another message, and a client that waits for 100 must get it from someone. `Upgrade` has its own rules.
    pub(super) fn cut_named(&self, head: &[u8], fields: usize, cuts: &mut Cuts) {
        if !self.naming {
            return;
        }
        let mut named: Vec<&[u8]> = Vec::new();
        for field in Lines::fields(head, fields).filter(|field| field.name.eq_ignore_ascii_case(b"connection")) {
            named.extend(octets::list(field.value));
        }
        for field in Lines::fields(head, fields) {
            let kept = [
                &b"host"[..],
                b"content-length",
                b"transfer-encoding",
                b"expect",
                b"upgrade",
            ];
            if named.iter().any(|name| name.eq_ignore_ascii_case(field.name))
                && !kept.iter().any(|name| name.eq_ignore_ascii_case(field.name))
            {
                cuts.add(field.line);
            }
        }
    }
}

/// Appends one `Connection` line with the options that are given, or nothing.
pub(super) fn write_options(options: &[Option<&str>], out: &mut Vec<u8>) {
    let mut lead: &[u8] = b"Connection: ";
    for option in options.iter().flatten() {
        out.extend_from_slice(lead);
        out.extend_from_slice(option.as_bytes());
        lead = b", ";
    }
    if lead == b", " {
        out.extend_from_slice(b"\r\n");
    }
}
