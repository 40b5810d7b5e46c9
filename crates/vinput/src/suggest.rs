//! "Did you mean": the known name nearest to a mistyped one.

/// Longest name that is looked at. No known name is longer, and comparing takes time by length.
const LONGEST: usize = 40;

/// The candidate that differs from `name` in the fewest letters, if few enough for it to be a slip:
/// one in three, capitals aside.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    let limit = name.len().div_ceil(3);
    let near = |candidate: &&str| distance(name, candidate);
    candidates.into_iter().min_by_key(near).filter(|best| distance(name, best) <= limit)
}

/// Levenshtein distance, capitals aside.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(!x.eq_ignore_ascii_case(&y));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_changed_added_and_removed_letters() {
        assert_eq!(distance("south", "SOUTH"), 0);
        assert_eq!(distance("sauth", "south"), 1);
        assert_eq!(distance("soth", "south"), 1);
        assert_eq!(distance("", "ls"), 2);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn only_a_near_miss_is_suggested() {
        let controls = ["south", "east", "dpad_x"];
        assert_eq!(nearest("suoth", controls), Some("south"));
        assert_eq!(nearest("dpadx", controls), Some("dpad_x"));
        assert_eq!(nearest("wheel", controls), None);
        assert_eq!(nearest("", controls), None);
        assert_eq!(nearest(&"x".repeat(LONGEST + 1), ["x".repeat(LONGEST).as_str()]), None);
    }
}
