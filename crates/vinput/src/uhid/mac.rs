//! The Bluetooth address by which drivers and programs tell pads apart.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A pad's address: its `uniq`, by which the kernel refuses the same pad twice and programs find which
/// motion sensor belongs to which pad. Also what pads on USB have.
///
/// Shown in lower case, as hid-playstation does (`%pMR`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

/// A text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an address is six bytes in hexadecimal with colons between them, like 02:00:5e:10:00:01")]
pub struct MacError;

impl Mac {
    /// The address that belongs to a text, like the name of a session and a slot: the same text always
    /// has the same one, so that programs know a pad again that was plugged anew. Two texts having the
    /// same one is as unlikely as one in 2^46; the kernel's refusal would say so.
    ///
    /// It is one of the locally administered addresses, which no real pad has (IEEE 802, 8.2).
    #[must_use]
    pub fn derived_from(text: &str) -> Self {
        // FNV-1a, and a last mixing step because its high bits change little with the last bytes.
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let [a, b, c, d, e, f, _, _] = (hash ^ (hash >> 32)).to_be_bytes();
        Self([a & 0xfc | 0x02, b, c, d, e, f])
    }

    /// The bytes, last one first, as most reports have them.
    pub(super) fn reversed(self) -> [u8; 6] {
        let [a, b, c, d, e, f] = self.0;
        [f, e, d, c, b, a]
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or(MacError)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| MacError)?;
        }
        if parts.next().is_some() { Err(MacError) } else { Ok(Self(bytes)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_shown() {
        let mac: Mac = "02:AB:00:5e:10:ff".parse().unwrap();
        assert_eq!(mac, Mac([0x02, 0xab, 0x00, 0x5e, 0x10, 0xff]));
        assert_eq!(mac.to_string(), "02:ab:00:5e:10:ff");
    }

    #[test]
    fn anything_else_is_refused() {
        let wrong = [
            "",
            "02:ab:00:5e:10",
            "02:ab:00:5e:10:ff:00",
            "2:ab:00:5e:10:ff",
            "+2:ab:00:5e:10:ff x",
        ];
        for text in wrong {
            assert_eq!(text.parse::<Mac>(), Err(MacError), "{text}");
        }
    }

    #[test]
    fn derived_addresses_are_local_and_stable_and_differ() {
        assert_eq!(Mac::derived_from("ann/pad0"), Mac::derived_from("ann/pad0"));
        let macs: std::collections::HashSet<_> =
            (0..10_000).map(|slot| Mac::derived_from(&format!("ann/pad{slot}"))).collect();
        assert_eq!(macs.len(), 10_000);
        assert!(macs.iter().all(|mac| mac.0[0] & 0x03 == 0x02));
    }
}
