//! Patterns with `*`, `?` and `[...]`, as fnmatch(3) without flags compares them.

/// Whether `text` matches `pattern`. Takes at most time proportional to the product of their lengths.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut rest) = (0, text);
    // After the last `*`: the pattern behind it, and the text from which it was tried.
    let mut retry: Option<(usize, &[u8])> = None;
    loop {
        match step(pattern, at, rest) {
            Step::Star => {
                at += 1;
                retry = Some((at, rest));
                continue;
            }
            Step::End => return true,
            Step::One(next) => {
                at = next;
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            Step::Fail => {}
        }
        // Let the last `*` take one character more.
        let Some((after_star, tried)) = retry else { return false };
        let Some(fewer) = tried.get(1..) else { return false };
        (at, rest) = (after_star, fewer);
        retry = Some((after_star, fewer));
    }
}

enum Step {
    Star,
    /// One character matched; the pattern goes on here.
    One(usize),
    /// Both are at their end.
    End,
    Fail,
}

fn step(pattern: &[u8], at: usize, text: &[u8]) -> Step {
    let Some(&symbol) = pattern.get(at) else {
        return if text.is_empty() { Step::End } else { Step::Fail };
    };
    if symbol == b'*' {
        return Step::Star;
    }
    let Some(&character) = text.first() else { return Step::Fail };
    let (matched, next) = match symbol {
        b'?' => (true, at + 1),
        b'[' => match bracket(pattern, at, character) {
            Some(outcome) => outcome,
            // Without its end it is an ordinary character.
            None => (character == b'[', at + 1),
        },
        b'\\' if at + 1 < pattern.len() => (pattern.get(at + 1) == Some(&character), at + 2),
        _ => (character == symbol, at + 1),
    };
    if matched { Step::One(next) } else { Step::Fail }
}

/// Whether the bracket expression at `at` matches, and where it ends; `None` when it has no end.
fn bracket(pattern: &[u8], at: usize, character: u8) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(at + 1), Some(b'!' | b'^'));
    let first = at + 1 + usize::from(negated);
    let mut place = first;
    let mut found = false;
    loop {
        let mut low = *pattern.get(place)?;
        if low == b']' && place > first {
            return Some((found != negated, place + 1));
        }
        if low == b'\\' {
            place += 1;
            low = *pattern.get(place)?;
        }
        let range_end = pattern.get(place + 2).filter(|end| **end != b']');
        match (pattern.get(place + 1), range_end) {
            (Some(b'-'), Some(&high)) => {
                found |= (low..=high).contains(&character);
                place += 3;
            }
            _ => {
                found |= low == character;
                place += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_fnmatch() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "a/b"),
            ("a*c*e", "abcde"),
            ("a*bc", "abbc"),
            ("input:b0003v045Ep02EA*", "input:b0003v045Ep02EAe0408-e0"),
            ("?[0-9]", "x7"),
            ("[!a-c]", "d"),
            ("[]a]", "]"),
            ("[a-]", "-"),
            ("\\*", "*"),
            ("[", "["),
        ] {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("?", ""),
            ("a*c", "abd"),
            ("[a-c]", "d"),
            ("[!a-c]", "b"),
            ("\\*", "a"),
            ("*x", "xxxxy"),
        ] {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_do_not_take_forever() {
        let pattern = "*a".repeat(500);
        assert!(!matches(pattern.as_bytes(), "b".repeat(2000).as_bytes()));
        assert!(!matches(pattern.as_bytes(), "a".repeat(499).as_bytes()));
    }
}
