//! The hashes by which a udev monitor's socket filter tells messages apart without reading them
//! (systemd: src/basic/MurmurHash2.c, `string_bloom64` in src/libsystemd/sd-device/device-monitor.c).

/// MurmurHash2, 32 bit, seed 0.
///
/// Words are read in the machine's own byte order, so the hash of a string differs between machines of
/// different order; sender and receiver of a udev message always share one.
///
/// ```
/// # if cfg!(target_endian = "little") {
/// assert_eq!(udev_forge::hash::murmur2(b"input"), 0xc1a2_8470);
/// # }
/// ```
pub fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;

    #[expect(clippy::cast_possible_truncation, reason = "MurmurHash2 knows the length modulo 2^32")]
    let mut hash = data.len() as u32;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_ne_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (position, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * position);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The Bloom filter bits of one tag: up to four bits of 64. A message carries the OR over all its tags.
pub fn bloom(tag: &str) -> u64 {
    let hash = murmur2(tag.as_bytes());
    [0, 6, 12, 18].into_iter().fold(0, |bits, shift| bits | 1 << ((hash >> shift) & 63))
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    #[test]
    fn murmur2_agrees_with_systemds_own() {
        let vectors = [
            ("", 0x0000_0000),
            ("a", 0x9268_5f5e),
            ("ab", 0x1aa1_4063),
            ("abc", 0x1357_7c9b),
            ("abcd", 0x2687_3021),
            ("abcde", 0x5f09_a8de),
            ("abcdefgh", 0x0422_87e6),
            ("input", 0xc1a2_8470),
            ("hidraw", 0xc2ca_f397),
            ("usb", 0x0577_c5e5),
            ("hid", 0x7088_c98a),
            ("leds", 0x2903_c6c3),
            ("power_supply", 0xb1ac_bcca),
            ("video4linux", 0xe9cf_3931),
            ("block", 0xf003_1db7),
            ("net", 0xa74d_3cc8),
            ("mem", 0xc365_cd83),
            ("misc", 0x4b1a_4e75),
            ("sound", 0xd196_ab6e),
            ("drm", 0x1666_4179),
            ("tty", 0x8afa_90c8),
            ("usb_device", 0x27f8_f50c),
            ("usb_interface", 0xb102_4765),
            ("drm_minor", 0x1ca6_541e),
            ("disk", 0x7bcb_c5ee),
            ("seat", 0x435b_3e40),
            ("uaccess", 0xe88e_d0cc),
            ("power-switch", 0x43b5_e13f),
            ("master-of-seat", 0xd5d2_3c68),
            ("systemd", 0xa75f_972a),
            ("security-device", 0xb7aa_9f16),
            ("seat0", 0x087a_66ff),
            ("seat1", 0x4259_d170),
            ("seat9", 0xcea3_4171),
        ];
        for (text, hash) in vectors {
            assert_eq!(murmur2(text.as_bytes()), hash, "{text}");
        }
    }

    #[test]
    fn bloom_agrees_with_systemds_own() {
        let vectors = [
            ("seat", 0x0208_0000_0040_0001),
            ("uaccess", 0x0000_2008_0000_1008),
            ("power-switch", 0x8000_2000_4000_0010),
            ("master-of-seat", 0x0012_0108_0000_0000),
            ("systemd", 0x0200_0400_1080_0000),
            ("security-device", 0x1000_0600_0040_0000),
            ("seat0", 0x8000_0040_4800_0000),
            ("seat1", 0x0001_0000_2040_0020),
            ("seat9", 0x0012_0100_0000_0020),
            ("input", 0x0001_0100_0002_0000),
            ("usb_device", 0x4000_0000_0010_9000),
            ("hidraw", 0x0004_8000_0080_4000),
        ];
        for (tag, bits) in vectors {
            assert_eq!(bloom(tag), bits, "{tag}");
        }
        assert_eq!(bloom("seat") | bloom("uaccess"), 0x0208_2008_0040_1009);
    }
}
