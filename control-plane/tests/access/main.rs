//! Who may come in, and what is shown to them: real TLS, the real client of Kubernetes, and an API server that a test scripts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod api;
mod certificates;
mod reviews;
mod streams;

use std::time::Duration;

/// Between two looks at a fact: whoever makes it has the processor meanwhile.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits for a fact. What is waited for comes by itself, or the test has failed.
async fn until(what: &str, fact: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_mins(1), async {
        while !fact() {
            tokio::time::sleep(PAUSE).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}
