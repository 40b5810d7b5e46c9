//! `/proc/PID/uid_map` and `gid_map` (user_namespaces(7)).

use std::str::FromStr;

/// A line of an id map that is not three numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a line of a user namespace id map")]
pub struct IdMapError(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    inside: u32,
    outside: u32,
    count: u32,
}

/// How a user namespace's ids appear to its parent; possibly several ranges with holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMap(Vec<Range>);

impl IdMap {
    /// The host's id of `inside`, or `None` for a hole.
    pub fn to_host(&self, inside: u32) -> Option<u32> {
        self.0.iter().find_map(|range| {
            let distance = inside.checked_sub(range.inside)?;
            (distance < range.count).then(|| range.outside.checked_add(distance))?
        })
    }

    /// The namespace's id of the host's `outside`, or `None` when it has none.
    pub fn to_inside(&self, outside: u32) -> Option<u32> {
        self.0.iter().find_map(|range| {
            let distance = outside.checked_sub(range.outside)?;
            (distance < range.count).then(|| range.inside.checked_add(distance))?
        })
    }
}

impl FromStr for IdMap {
    type Err = IdMapError;

    fn from_str(text: &str) -> Result<Self, IdMapError> {
        text.lines()
            .map(|line| {
                let mut numbers = line.split_ascii_whitespace().map(str::parse);
                match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
                    (Some(Ok(inside)), Some(Ok(outside)), Some(Ok(count)), None) => {
                        Ok(Range { inside, outside, count })
                    }
                    _ => Err(IdMapError(line.to_owned())),
                }
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_initial_namespace_maps_every_id_to_itself() {
        let map: IdMap = "         0          0 4294967295\n".parse().unwrap();
        assert_eq!(map.to_host(1000), Some(1000));
    }

    #[test]
    fn several_ranges_with_a_hole() {
        let map: IdMap = "0 100000 1000\n1000 1000 1\n1001 101001 64535\n".parse().unwrap();
        assert_eq!(map.to_host(0), Some(100_000));
        assert_eq!(map.to_host(1000), Some(1000));
        assert_eq!(map.to_host(65_535), Some(165_535));
        assert_eq!(map.to_host(65_536), None);
        assert_eq!(map.to_inside(1000), Some(1000));
        assert_eq!(map.to_inside(165_535), Some(65_535));
        assert_eq!(map.to_inside(99_999), None);
    }

    #[test]
    fn a_namespace_without_a_map_yet_maps_nothing() {
        assert_eq!("".parse::<IdMap>().unwrap().to_host(0), None);
    }

    #[test]
    fn other_text_is_refused() {
        for line in ["0 0", "a b c", "0 0 1 2", "-1 0 1"] {
            assert_eq!(line.parse::<IdMap>(), Err(IdMapError(line.to_owned())));
        }
    }
}
