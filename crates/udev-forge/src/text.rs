//! How udevd makes words of what devices say of themselves.

/// What may stay in the name of a node (`allow_listed_char_for_devnode` in systemd's
/// src/shared/device-nodes.c).
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || "#+-.:=@_".contains(character)
}

/// C's `isspace`.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// The first `limit` bytes of `text`, without spaces at both ends, every run of spaces in it one
/// underscore (`udev_replace_whitespace` in systemd's src/shared/udev-util.c).
fn underscore_spaces(text: &str, limit: usize) -> String {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let words = text[..end].split(is_space).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}

/// `text` with an underscore for every character that is neither plain, nor in `allowed`, nor beyond
/// ASCII, nor the beginning of `\x` (`udev_replace_chars`).
pub(crate) fn replace_unusual(text: &str, allowed: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\\' && characters.next_if_eq(&'x').is_some() {
            replaced.push_str("\\x");
        } else if is_plain(character) || allowed.contains(character) || !character.is_ascii() {
            replaced.push(character);
        } else if is_space(character) && allowed.contains(' ') {
            replaced.push(' ');
        } else {
            replaced.push('_');
        }
    }
    replaced
}

/// What a device says of itself as one word of at most `limit` bytes, such as the value of `ID_VENDOR`.
pub(crate) fn word(text: &str, limit: usize) -> String {
    replace_unusual(&underscore_spaces(text, limit), "")
}

/// The value of `$attr{...}` in a rule (`FORMAT_SUBST_ATTR` and `UDEV_ALLOWED_CHARS_INPUT` in systemd's
/// src/udev/udev-format.c).
pub(crate) fn substituted(attribute: &str) -> String {
    replace_unusual(attribute.trim_end_matches(is_space), "/ $%?,")
}

/// `text` with `\x20` for a space and the like (`encode_devnode_name` in systemd's
/// src/shared/device-nodes.c). What does not fit into `limit` bytes with a NUL is cut off.
pub(crate) fn encoded(text: &str, limit: usize) -> String {
    let mut encoded = String::new();
    for character in text.chars() {
        let next = if is_plain(character) || !character.is_ascii() {
            character.to_string()
        } else {
            format!("\\x{:02x}", u32::from(character))
        };
        if encoded.len() + next.len() >= limit {
            break;
        }
        encoded += &next;
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_words() {
        assert_eq!(word("  QEMU  USB\tMouse ", 63), "QEMU_USB_Mouse");
        assert_eq!(word("a/b (c)\u{7f}", 63), "a_b__c__");
        assert_eq!(word("\\x20 \\y", 63), "\\x20__y");
        assert_eq!(word("Über", 2), "Ü");
        assert_eq!(word("\u{2028}", 63), "\u{2028}");
    }

    #[test]
    fn attributes_in_rules_keep_what_names_have() {
        assert_eq!(substituted("Pad (v1), 5% off? \n"), "Pad _v1_, 5% off?");
        assert_eq!(substituted("a\tb"), "a b");
    }

    #[test]
    fn encoding_can_be_undone() {
        assert_eq!(encoded("QEMU USB\\", 256), "QEMU\\x20USB\\x5c");
        assert_eq!(encoded("ü/", 256), "ü\\x2f");
        assert_eq!(encoded("   ", 8), "\\x20");
    }
}
