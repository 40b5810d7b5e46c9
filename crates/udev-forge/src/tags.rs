//! The rules for tags and lists of them.

use crate::names;

/// Whether libudev takes `tag`: `is_valid_tag` in systemd's src/libsystemd/sd-device/sd-device.c.
pub(crate) fn is_tag(tag: &str) -> bool {
    names::is_file_name(tag)
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// The tags in the value of `TAGS` or `CURRENT_TAGS`.
pub(crate) fn split(value: &str) -> impl Iterator<Item = &str> {
    value.split(':').filter(|tag| !tag.is_empty())
}

/// The value of `TAGS`: every tag between colons, which eudev needs on both ends.
pub(crate) fn join(tags: &[String]) -> String {
    format!(":{}:", tags.join(":"))
}
