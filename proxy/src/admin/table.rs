//! Tables for people, in columns as wide as they must be.

use std::fmt::Write;

/// Writes a table, indented by two: a line of headings, and a line for each row.
pub(super) fn write<const COLUMNS: usize>(page: &mut String, headings: [&str; COLUMNS], rows: &[[String; COLUMNS]]) {
    let headings = headings.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&headings]).map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    for row in [&headings].into_iter().chain(rows) {
        let cells: Vec<_> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        // Writing to a String cannot fail.
        let _ = writeln!(page, "  {}", cells.join("  ").trim_end());
    }
}

/// What a cell says when there is nothing to say.
pub(super) fn or_dash(text: Option<impl ToString>) -> String {
    text.map_or_else(|| "-".to_owned(), |text| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut page = String::new();
        let row = |first: &str, second: &str| [first.to_owned(), second.to_owned()];
        write(&mut page, ["A", "LONG"], &[row("aaa", "b"), row("ä", "")]);
        assert_eq!(page, "  A    LONG\n  aaa  b\n  ä\n");
    }
}
