//! A table of docs/profiles.md: a row per profile, a column per program.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// A table, by what stands around it and in its first row and column.
pub(crate) struct Table {
    /// The folder of the tests that make it, in crates/vinput/tests; the line before the table names it.
    pub(crate) tests: &'static str,
    /// The names of the profiles.
    pub(crate) rows: Vec<&'static str>,
    pub(crate) columns: &'static [&'static str],
}

const END: &str = "<!-- End of the table. -->\n";

impl Table {
    /// Holds what a program found of each profile against its column, or writes it where
    /// `HOTSEAT_UPDATE_DOCS` is set. A profile of which nothing was found has a dash.
    pub(crate) fn check(&self, column: &str, found: &[(&str, String)]) {
        // Debian 12 has older programs, for which it is enough that every control arrived.
        if env::var("HOTSEAT_VM").as_deref() != Ok("trixie") {
            return;
        }
        let column = self.columns.iter().position(|known| *known == column).unwrap();
        let begin = format!(
            "<!-- The table is made by crates/vinput/tests/{}; see docs/testing.md. -->\n",
            self.tests
        );
        let path = path();
        let text = fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once(&begin).unwrap();
        let (old, after) = rest.split_once(END).unwrap();
        let new = self.with_column(old, column, found);
        if env::var_os("HOTSEAT_UPDATE_DOCS").is_some() {
            fs::write(&path, format!("{before}{begin}{new}{END}{after}")).unwrap();
        } else {
            assert_eq!(
                old, new,
                "docs/profiles.md is out of date; docs/testing.md says how to write it"
            );
        }
    }

    /// The table with one column replaced.
    fn with_column(&self, old: &str, column: usize, found: &[(&str, String)]) -> String {
        let mut new = format!("\n| profile | {} |\n", self.columns.join(" | "));
        new.push_str(&"|---".repeat(self.columns.len() + 1));
        new.push_str("|\n");
        for profile in &self.rows {
            let start = format!("| `{profile}` |");
            let row = old.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_default();
            let mut cells: Vec<_> = row.split('|').map(|cell| cell.trim().to_owned()).collect();
            cells.resize(self.columns.len(), String::new());
            let cell = found.iter().find(|(it, _)| it == profile);
            cells[column] = cell.map_or_else(|| "–".to_owned(), |(_, cell)| cell.clone());
            let _ = writeln!(new, "{start} {} |", cells.join(" | "));
        }
        new.push('\n');
        new
    }
}

/// Where a run in the test machine sees the file.
fn path() -> PathBuf {
    let crate_path = env::var("CARGO_MANIFEST_DIR").unwrap();
    PathBuf::from(crate_path).join("../../docs/profiles.md")
}
