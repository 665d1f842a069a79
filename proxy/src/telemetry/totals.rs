//! What the books have, for pages that show less than all of it.

use crate::telemetry::Book;
use crate::telemetry::ConnectionSeries;

impl ConnectionSeries {
    /// Those that are open.
    pub fn open(&self) -> i64 {
        self.open.value()
    }

    /// Those that were opened so far.
    pub fn opened(&self) -> u64 {
        self.opened.value()
    }
}

impl Book {
    /// How many services are counted.
    pub fn service_count(&self) -> usize {
        self.all_services().len()
    }
}
