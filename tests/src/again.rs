//! A measurement that whatever else a machine does can disturb is taken again: a fault is there each time.

use anyhow::Result;

/// How often it is taken at most.
const TIMES: usize = 3;

/// Measures until it is good, at most three times, and gives the last; an error is one at once. Whether that one is good is
/// for the caller to ask.
pub fn until_good<T>(mut measure: impl FnMut() -> Result<T>, is_good: impl Fn(&T) -> bool) -> Result<T> {
    let mut measured = measure()?;
    for _ in 1..TIMES {
        if is_good(&measured) {
            break;
        }
        measured = measure()?;
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn what_is_good_is_measured_once_and_what_never_is_three_times() {
        for (good, taken) in [(1, 1), (3, 3), (9, 3)] {
            let mut times = 0;
            let measure = || {
                times += 1;
                Ok(times)
            };
            assert_eq!(until_good(measure, |&time| time == good).unwrap(), taken);
        }
    }

    #[test]
    fn an_error_is_no_measurement() {
        let mut times = 0;
        let measure = || -> Result<()> {
            times += 1;
            bail!("broken")
        };
        assert!(until_good(measure, |()| false).is_err());
        assert_eq!(times, 1);
    }
}
