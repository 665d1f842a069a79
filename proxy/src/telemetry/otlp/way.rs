//! Whether the collector takes what it is sent. Each change is told once.

/// It does or does not, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// Nothing was sent yet.
    #[default]
    Unknown,
    /// It took the last message.
    Open,
    /// It did not.
    Closed,
}

impl Way {
    /// After a message of such `things`.
    #[must_use]
    pub fn after(self, outcome: &Result<(), String>, things: &str) -> Self {
        match outcome {
            Ok(()) => {
                if self == Self::Closed {
                    tracing::info!("the collector takes {things} again");
                }
                Self::Open
            }
            Err(error) => {
                if self != Self::Closed {
                    tracing::warn!(%error, "the collector does not take {things}: they are dropped and counted");
                }
                Self::Closed
            }
        }
    }
}
