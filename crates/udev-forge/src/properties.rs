//! Lists of `KEY=VALUE`.

/// Why a key or value cannot be a property.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PropertyError {
    /// The key is empty or contains `=`, NUL or a line break.
    #[error("`{}` is not a property key", .0.escape_debug())]
    Key(String),
    /// The value contains NUL or a line break.
    #[error("the value of {} contains NUL or a line break", .0.escape_debug())]
    Value(String),
}

/// An ordered list of `KEY=VALUE` with unique keys.
///
/// No value contains a NUL, which would end it on the wire, nor a line feed or carriage return: libudev
/// cuts values there and ends database lines there (`NEWLINE` in systemd's src/basic/string-util.h), so
/// a value with one could smuggle in a property of its own.
///
/// ```
/// let mut properties = udev_forge::Properties::new();
/// properties.set("ID_INPUT", "1")?;
/// properties.set("NAME", "\"pad\"")?;
/// properties.set("ID_INPUT", "0")?;
/// assert_eq!(properties.iter().collect::<Vec<_>>(), [("ID_INPUT", "0"), ("NAME", "\"pad\"")]);
/// assert!(properties.set("UNIQ", "x\nID_SEAT=seat0").is_err());
/// # Ok::<(), udev_forge::PropertyError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties(Vec<(String, String)>);

impl Properties {
    /// The empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// Sets `key`. A key that was there keeps its place and loses its value: the last one wins.
    ///
    /// # Errors
    ///
    /// [`PropertyError`] when the key or the value cannot be represented.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), PropertyError> {
        if key.is_empty() || key.contains('=') || breaks(key) {
            return Err(PropertyError::Key(key.to_owned()));
        }
        if breaks(value) {
            return Err(PropertyError::Value(key.to_owned()));
        }
        self.put(key, value);
        Ok(())
    }

    /// [`set`](Self::set) for a key and value known to be valid.
    pub(crate) fn put(&mut self, key: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => value.clone_into(old),
            None => self.0.push((key.to_owned(), value.to_owned())),
        }
    }

    /// Takes `key` out of the list.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        let place = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.remove(place).1)
    }

    /// Whether there is no property.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// Whether `text` would end early on the wire or in a database record.
pub(crate) fn breaks(text: &str) -> bool {
    text.contains(['\0', '\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_set_twice_keeps_its_place_and_its_last_value() {
        let mut properties = Properties::new();
        for (key, value) in [("A", "1"), ("B", "2"), ("A", "3")] {
            properties.set(key, value).unwrap();
        }
        assert_eq!(properties.iter().collect::<Vec<_>>(), [("A", "3"), ("B", "2")]);
        assert_eq!(properties.remove("A").as_deref(), Some("3"));
        assert_eq!(properties.get("A"), None);
    }

    #[test]
    fn nothing_that_would_end_a_value_early_gets_in() {
        let mut properties = Properties::new();
        for value in ["a\0b", "a\nb", "a\rb", "\n"] {
            assert_eq!(properties.set("K", value), Err(PropertyError::Value("K".into())));
        }
        for key in ["", "a=b", "a\nb", "a\0"] {
            assert_eq!(properties.set(key, ""), Err(PropertyError::Key(key.into())));
        }
        assert!(properties.is_empty());
        properties.set("K", "=übung \"x\" \\").unwrap();
    }
}
