//! Text in columns, and numbers as people read them.

use std::fmt::Write as _;

/// Which side of its column a text keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// `8,897` for 8897.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 seat`, `8,897 seats`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// Names on the left, values beside them; a value that is empty is left out.
pub(crate) fn fields(lines: &[(&str, String)]) -> String {
    let shown: Vec<_> = lines.iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = shown.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    shown.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:<width$}  {value}");
        text
    })
}

/// Rows under a header, two spaces between columns.
pub(crate) fn columns(header: &[(&str, Side)], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|(name, _)| name.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let names: Vec<String> = header.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut text = String::new();
    for row in std::iter::once(&names).chain(rows) {
        let mut line = String::new();
        for ((cell, &width), (_, side)) in row.iter().zip(&widths).zip(header) {
            let _ = match side {
                Side::Left => write!(line, "{cell:<width$}  "),
                Side::Right => write!(line, "{cell:>width$}  "),
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let shown: Vec<_> = [0, 7, 999, 1_000, 8_897, 123_456, 10_000_000].into_iter().map(grouped).collect();
        assert_eq!(shown, ["0", "7", "999", "1,000", "8,897", "123,456", "10,000,000"]);
        assert_eq!(counted(1, "seat", "seats"), "1 seat");
        assert_eq!(counted(8_897, "seat", "seats"), "8,897 seats");
    }

    #[test]
    fn names_keep_left_and_numbers_right() {
        let text = columns(
            &[("section", Side::Left), ("open", Side::Right)],
            &[vec!["Stalls".into(), "1,204".into()], vec!["B".into(), "9".into()]],
        );
        assert_eq!(text, "section   open\nStalls   1,204\nB            9\n");
    }

    #[test]
    fn a_field_without_a_value_is_not_shown() {
        assert_eq!(
            fields(&[("seats", "A-1".into()), ("ga", String::new()), ("hold id", "x".into())]),
            "seats    A-1\nhold id  x\n"
        );
    }
}
