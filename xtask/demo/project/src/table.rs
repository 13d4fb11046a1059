//! Columns of text.

/// The rows as lines, cells padded to their column's width, two spaces between
/// columns and none at a line's end.
pub fn render(rows: &[Vec<&str>]) -> String {
    let widths = widths(rows);
    rows.iter().map(|row| line(row, &widths)).collect::<Vec<_>>().join("\n")
}

fn widths(rows: &[Vec<&str>]) -> Vec<usize> {
    let Some(first) = rows.first() else { return Vec::new() };
    first.iter().map(|cell| cell.chars().count()).collect()
}

fn line(row: &[&str], widths: &[usize]) -> String {
    let cells: Vec<String> =
        row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    cells.join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn the_widest_cell_sets_the_width() {
        let rows = [vec!["id", "name"], vec!["1000", "Ada"], vec!["7", "Grace"]];
        assert_eq!(render(&rows), "id    name\n1000  Ada\n7     Grace");
    }

    #[test]
    fn a_later_row_may_have_more_cells() {
        assert_eq!(render(&[vec!["a"], vec!["b", "c"]]), "a\nb  c");
    }

    #[test]
    fn no_rows_make_no_text() {
        assert_eq!(render(&[]), "");
    }
}
