//! The table of profiles and programs in docs/profiles.md.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use vinput::Profile;

/// The programs, in the order of the columns.
const COLUMNS: [&str; 5] = ["SDL 3", "SDL 2", "libinput", "python-evdev", "fftest"];

/// What stands around the table.
const BEGIN: &str =
    "<!-- The table is made by crates/vinput/tests/consumers; see docs/testing.md. -->\n";
const END: &str = "<!-- End of the table. -->\n";

/// Holds what a program found of each profile against the table, or writes it.
pub(crate) fn check(column: &str, found: &[(&Profile, String)]) {
    // Debian 12 has older programs, for which it is enough that every control arrived.
    if env::var("HOTSEAT_VM").as_deref() != Ok("trixie") {
        return;
    }
    let column = COLUMNS.iter().position(|known| *known == column).unwrap();
    let path = path();
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (old, after) = rest.split_once(END).unwrap();
    let new = table(old, column, found);
    if env::var_os("HOTSEAT_UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{new}{END}{after}")).unwrap();
    } else {
        assert_eq!(
            old, new,
            "docs/profiles.md is out of date; docs/testing.md says how to write it"
        );
    }
}

/// Where a run in the test machine sees the file.
fn path() -> PathBuf {
    let crate_path = env::var("CARGO_MANIFEST_DIR").unwrap();
    PathBuf::from(crate_path).join("../../docs/profiles.md")
}

/// The table with one column replaced, and a row per built-in profile.
fn table(old: &str, column: usize, found: &[(&Profile, String)]) -> String {
    let mut new = format!("\n| profile | {} |\n", COLUMNS.join(" | "));
    new.push_str(&"|---".repeat(COLUMNS.len() + 1));
    new.push_str("|\n");
    for profile in Profile::builtins() {
        let start = format!("| `{}` |", profile.name());
        let row = old.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_default();
        let mut cells: Vec<String> = row.split('|').map(|cell| cell.trim().to_owned()).collect();
        cells.resize(COLUMNS.len(), String::new());
        let cell = found.iter().find(|(it, _)| it.name() == profile.name());
        cells[column] = cell.map_or_else(|| "–".to_owned(), |(_, cell)| cell.clone());
        let _ = writeln!(new, "{start} {} |", cells.join(" | "));
    }
    new.push('\n');
    new
}
