//! The hardware database, hwdb(7): what is known of devices by their modalias.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, str};

use crate::glob;
use crate::properties::{Properties, breaks};

/// Where udevd looks for the database, in this order (`hwdb_bin_paths` in systemd's
/// src/shared/hwdb-util.h).
const PATHS: [&str; 5] = [
    "/etc/systemd/hwdb/hwdb.bin",
    "/etc/udev/hwdb.bin",
    "/usr/lib/systemd/hwdb/hwdb.bin",
    "/lib/udev/hwdb.bin",
    "/usr/lib/udev/hwdb.bin",
];

/// The first bytes of the file: `HWDB_SIG` in systemd's src/libsystemd/sd-hwdb/hwdb-internal.h, as are the
/// places of the fields below. Every number is a little-endian `u64` unless said otherwise.
const SIGNATURE: &[u8; 8] = b"KSLPHHRH";

const FILE_SIZE: usize = 16;
const NODE_SIZE: usize = 32;
const CHILD_SIZE: usize = 40;
const VALUE_SIZE: usize = 48;
const ROOT: usize = 56;

/// The size of a node without children and values.
const SMALLEST_NODE: usize = 24;

/// A key longer than this matches no pattern: `LINE_MAX`, the size of systemd's `linebuf`.
const PATTERN_LIMIT: usize = 2048;

/// Why the database could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HwdbError {
    /// The file could not be read.
    #[error("cannot read the hardware database {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not a hardware database, or is cut short.
    #[error("{} is not a hardware database; `systemd-hwdb update` makes a new one", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
}

/// A compiled hardware database, `hwdb.bin`, in memory.
///
/// Whatever the file says, a lookup ends and does not panic: what leads out of the file counts as absent.
#[derive(Debug, Clone, Default)]
pub struct Hwdb {
    data: Vec<u8>,
    /// Where it came from, and when that was written.
    source: Option<(PathBuf, SystemTime)>,
}

impl Hwdb {
    /// A database that knows nothing.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The database of this machine; one that knows nothing where there is none.
    ///
    /// # Errors
    ///
    /// [`HwdbError`] when there is one that cannot be read.
    pub fn of_system() -> Result<Self, HwdbError> {
        match system_path() {
            Some(path) => Self::read(&path),
            None => Ok(Self::empty()),
        }
    }

    /// A database that knows nothing, in place of the machine's, which could not be read: it
    /// [is current](Self::is_current) until that is another.
    pub fn in_place_of_systems() -> Self {
        Self { data: Vec::new(), source: system_source() }
    }

    /// The database in a file.
    ///
    /// # Errors
    ///
    /// [`HwdbError`].
    pub fn read(path: &Path) -> Result<Self, HwdbError> {
        let error = |source| HwdbError::Read { path: path.to_owned(), source };
        let written = fs::metadata(path).and_then(|meta| meta.modified()).map_err(error)?;
        let data = fs::read(path).map_err(error)?;
        let mut hwdb =
            Self::parse(data).ok_or_else(|| HwdbError::Format { path: path.to_owned() })?;
        hwdb.source = Some((path.to_owned(), written));
        Ok(hwdb)
    }

    /// The database in these bytes; `None` when they are none.
    pub fn parse(data: Vec<u8>) -> Option<Self> {
        let hwdb = Self { data, source: None };
        let is_whole = hwdb.data.starts_with(SIGNATURE)
            && hwdb.number(FILE_SIZE)? == hwdb.data.len()
            && hwdb.number(NODE_SIZE)? >= SMALLEST_NODE
            && hwdb.number(CHILD_SIZE)? >= 16
            && hwdb.number(VALUE_SIZE)? >= 16;
        is_whole.then_some(hwdb)
    }

    /// Whether the machine's database is still the one that [`of_system`](Self::of_system) read.
    pub fn is_current(&self) -> bool {
        system_source() == self.source
    }

    /// What the database says of `modalias`, the first match first.
    pub fn lookup(&self, modalias: &str) -> Properties {
        // No node is met twice, unless the file has circles.
        let nodes = self.data.len() / SMALLEST_NODE;
        let mut search = Search { hwdb: self, nodes, pattern: Vec::new(), found: Vec::new() };
        if !self.data.is_empty() && modalias.len() < PATTERN_LIMIT {
            // `None` is an offset that leads out of the file; what was found until then counts.
            let _ = search.run(modalias.as_bytes());
        }
        let mut properties = Properties::new();
        for entry in search.found {
            properties.put(entry.key, entry.value);
        }
        properties
    }

    fn number(&self, at: usize) -> Option<usize> {
        let bytes = self.data.get(at..at.checked_add(8)?)?;
        usize::try_from(u64::from_le_bytes(bytes.try_into().ok()?)).ok()
    }

    fn string(&self, at: usize) -> Option<&[u8]> {
        let rest = self.data.get(at..)?;
        rest.get(..rest.iter().position(|byte| *byte == 0)?)
    }

    /// A node is followed by its children and then by its values.
    fn node(&self, at: usize) -> Option<Node<'_>> {
        let prefix = self.number(at)?;
        let children_count = usize::from(*self.data.get(at.checked_add(8)?)?);
        let children = at.checked_add(self.number(NODE_SIZE)?)?;
        let values = children.checked_add(children_count.checked_mul(self.number(CHILD_SIZE)?)?)?;
        Some(Node {
            // Offset 0 is the file's header: no prefix.
            prefix: if prefix == 0 { &[] } else { self.string(prefix)? },
            children,
            children_count,
            values,
            values_count: self.number(at.checked_add(16)?)?,
        })
    }

    /// The character and the node of the `index`th child.
    fn child(&self, node: &Node<'_>, index: usize) -> Option<(u8, usize)> {
        let at = node.children.checked_add(index.checked_mul(self.number(CHILD_SIZE)?)?)?;
        Some((*self.data.get(at)?, self.number(at.checked_add(8)?)?))
    }

    /// The child for `character`; children are sorted.
    fn child_for(&self, node: &Node<'_>, character: u8) -> Option<Node<'_>> {
        let mut range = 0..node.children_count;
        while !range.is_empty() {
            let middle = range.start.midpoint(range.end);
            let (found, at) = self.child(node, middle)?;
            match found.cmp(&character) {
                std::cmp::Ordering::Equal => return self.node(at),
                std::cmp::Ordering::Less => range.start = middle + 1,
                std::cmp::Ordering::Greater => range.end = middle,
            }
        }
        None
    }

    fn value(&self, node: &Node<'_>, index: usize) -> Option<Entry<'_>> {
        let size = self.number(VALUE_SIZE)?;
        let at = node.values.checked_add(index.checked_mul(size)?)?;
        // The second version of the format says where the entry comes from.
        let rank = if size < 32 {
            Rank::default()
        } else {
            let origin = self.number(at.checked_add(24)?)?;
            Rank {
                priority: origin >> 32 & 0xffff,
                file: self.number(at.checked_add(16)?)?,
                line: origin & 0xffff_ffff,
            }
        };
        let key = str::from_utf8(self.string(self.number(at)?)?).ok()?;
        let value = str::from_utf8(self.string(self.number(at.checked_add(8)?)?)?).ok()?;
        Some(Entry { key, value, rank })
    }
}

fn system_source() -> Option<(PathBuf, SystemTime)> {
    let path = system_path()?;
    let written = fs::metadata(&path).ok()?.modified().ok()?;
    Some((path, written))
}

fn system_path() -> Option<PathBuf> {
    let exists = |path: &&str| match fs::metadata(path) {
        Ok(_) => true,
        Err(error) => error.kind() != ErrorKind::NotFound,
    };
    PATHS.into_iter().find(exists).map(PathBuf::from)
}

struct Node<'a> {
    prefix: &'a [u8],
    children: usize,
    children_count: usize,
    values: usize,
    values_count: usize,
}

struct Entry<'a> {
    key: &'a str,
    value: &'a str,
    rank: Rank,
}

/// Which of two values of a key wins: the one from the file read later, then from the later line
/// (`hwdb_add_property` in systemd's src/libsystemd/sd-hwdb/sd-hwdb.c).
#[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    priority: usize,
    file: usize,
    line: usize,
}

impl Rank {
    fn is_below(&self, other: &Self) -> bool {
        if self.priority == 0 {
            (self.file, self.line) < (other.file, other.line)
        } else {
            (self.priority, self.line) < (other.priority, other.line)
        }
    }
}

/// One lookup (`trie_search_f` and `trie_fnmatch_f` in sd-hwdb.c).
struct Search<'a> {
    hwdb: &'a Hwdb,
    /// How many more nodes may be visited.
    nodes: usize,
    /// The part of a pattern from its first wildcard on, as far as it is known.
    pattern: Vec<u8>,
    found: Vec<Entry<'a>>,
}

impl<'a> Search<'a> {
    fn run(&mut self, text: &[u8]) -> Option<()> {
        let hwdb = self.hwdb;
        let mut node = hwdb.node(hwdb.number(ROOT)?)?;
        let mut rest = text;
        loop {
            for (place, &character) in node.prefix.iter().enumerate() {
                if is_wildcard(character) {
                    return self.matching(&node, place, rest.get(place..)?);
                }
                if rest.get(place) != Some(&character) {
                    return Some(());
                }
            }
            rest = rest.get(node.prefix.len()..)?;

            for wildcard in *b"*?[" {
                if let Some(child) = hwdb.child_for(&node, wildcard) {
                    self.pattern.push(wildcard);
                    self.matching(&child, 0, rest)?;
                    self.pattern.pop();
                }
            }
            let Some((&character, after)) = rest.split_first() else {
                return self.take(&node);
            };
            let Some(child) = hwdb.child_for(&node, character) else { return Some(()) };
            node = child;
            rest = after;
        }
    }

    /// Compares `rest` with every pattern below `node`, whose prefix counts from `place` on.
    fn matching(&mut self, node: &Node<'a>, place: usize, rest: &[u8]) -> Option<()> {
        self.nodes = self.nodes.checked_sub(1)?;
        let known = self.pattern.len();
        self.pattern.extend_from_slice(node.prefix.get(place..)?);
        if self.pattern.len() < PATTERN_LIMIT {
            for index in 0..node.children_count {
                let (character, at) = self.hwdb.child(node, index)?;
                self.pattern.push(character);
                self.matching(&self.hwdb.node(at)?, 0, rest)?;
                self.pattern.pop();
            }
            if node.values_count > 0 && glob::matches(&self.pattern, rest) {
                self.take(node)?;
            }
        }
        self.pattern.truncate(known);
        Some(())
    }

    fn take(&mut self, node: &Node<'a>) -> Option<()> {
        for index in 0..node.values_count {
            let entry = self.hwdb.value(node, index)?;
            // Keys that do not begin with a space are kept for the future.
            let Some(key) = entry.key.strip_prefix(' ') else { continue };
            if key.is_empty() || key.contains('=') || breaks(key) || breaks(entry.value) {
                continue;
            }
            let entry = Entry { key, ..entry };
            match self.found.iter_mut().find(|known| known.key == key) {
                Some(known) if entry.rank.is_below(&known.rank) => {}
                Some(known) => *known = entry,
                None => self.found.push(entry),
            }
        }
        Some(())
    }
}

fn is_wildcard(character: u8) -> bool {
    b"*?[".contains(&character)
}
