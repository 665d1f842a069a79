//! Something that does not work for a while: said once when it begins, and once when it is over. Attempts come every few seconds.

use tokio::time::Instant;

/// Since when it does not work; `None`: it does.
#[derive(Debug, Default)]
pub(crate) struct Outage(Option<Instant>);

impl Outage {
    /// An attempt has failed; whether that is news.
    pub(crate) fn begins(&mut self) -> bool {
        let news = self.0.is_none();
        self.0.get_or_insert_with(Instant::now);
        news
    }

    /// An attempt went well; since when none had, where that is news.
    pub(crate) fn ends(&mut self) -> Option<Instant> {
        self.0.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_news_when_it_begins_and_when_it_ends() {
        let mut outage = Outage::default();
        assert_eq!(outage.ends(), None);
        assert!(outage.begins() && !outage.begins());
        assert!(outage.ends().is_some());
        assert_eq!(outage.ends(), None);
        assert!(outage.begins());
    }
}
