//! A short list that needs no memory of its own.

use std::fmt;
use std::ops::Deref;

/// Up to `N` items, kept in place: decoding a frame allocates nothing.
#[derive(Clone, Copy)]
pub struct List<T, const N: usize> {
    len: usize,
    items: [T; N],
}

impl<T: Copy + Default, const N: usize> List<T, N> {
    /// No items.
    #[must_use]
    pub fn new() -> Self {
        Self { len: 0, items: [T::default(); N] }
    }

    /// Adds an item at the end. Returns whether there was room.
    pub fn push(&mut self, item: T) -> bool {
        let Some(free) = self.items.get_mut(self.len) else { return false };
        *free = item;
        self.len += 1;
        true
    }

    /// Keeps the items of which `keep` says so, in their order.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        let mut kept = Self::new();
        for item in self.iter().filter(|item| keep(item)) {
            kept.push(*item);
        }
        *self = kept;
    }

    /// The item for which `is_it` says so.
    pub(crate) fn find_mut(&mut self, is_it: impl Fn(&T) -> bool) -> Option<&mut T> {
        self.items[..self.len].iter_mut().find(|item| is_it(item))
    }
}

impl<T: Copy + Default, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> Deref for List<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items[..self.len]
    }
}

impl<T: PartialEq, const N: usize> PartialEq for List<T, N> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: fmt::Debug, const N: usize> fmt::Debug for List<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The first `N` of the items; what does not fit is left out.
impl<T: Copy + Default, const N: usize> FromIterator<T> for List<T, N> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut list = Self::new();
        for item in items.into_iter().take(N) {
            list.push(item);
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_list_takes_no_more() {
        let mut list: List<u8, 2> = List::new();
        assert!(list.push(1) && list.push(2) && !list.push(3));
        assert_eq!(*list, [1, 2]);
        list.retain(|item| *item == 2);
        assert_eq!(*list, [2]);
        assert_eq!(list, (2..9).take(1).collect());
    }
}
