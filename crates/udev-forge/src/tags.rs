//! The rules for tags and lists of them.

use std::borrow::Borrow;

use crate::names;

/// Whether libudev takes `tag`: `is_valid_tag` in systemd's src/libsystemd/sd-device/sd-device.c.
pub(crate) fn is_tag(tag: &str) -> bool {
    names::is_file_name(tag)
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// The properties that are lists of tags.
pub(crate) const LISTS: [&str; 2] = ["TAGS", "CURRENT_TAGS"];

/// The tags in the value of `TAGS` or `CURRENT_TAGS`.
pub(crate) fn split(value: &str) -> impl Iterator<Item = &str> {
    value.split(':').filter(|tag| !tag.is_empty())
}

/// The value of `TAGS`: every tag between colons, which eudev needs on both ends.
pub(crate) fn join<T: Borrow<str>>(tags: &[T]) -> String {
    format!(":{}:", tags.join(":"))
}

/// The value of `TAGS` or `CURRENT_TAGS` as everybody understands it; `None` for no tags, for which there must be
/// no property: an empty one makes programs with libudev of systemd 247 and 252 crash
/// (`udev_device_get_properties_list_entry`, tests/receivers).
pub(crate) fn normal(value: &str) -> Option<String> {
    let tags: Vec<&str> = split(value).collect();
    (!tags.is_empty()).then(|| join(&tags))
}
