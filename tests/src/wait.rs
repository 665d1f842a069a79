//! Waiting for an event with a deadline. Where the event can be waited for directly (a line, a connection, a status) the
//! harness does that; this is for states that can only be looked at, such as a counter behind HTTP.

use std::time::Duration;
use std::time::Instant;

use anyhow::Result;
use anyhow::bail;

/// Between two looks; short against any deadline, long against the cost of a look.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks again and again until `look` finds something; an error at the deadline.
pub fn until<T>(deadline: Duration, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() >= end {
            bail!("did not happen within {} s", deadline.as_secs_f64());
        }
        std::thread::sleep(PAUSE);
    }
}
