//! The checksum of Sony's Bluetooth reports: CRC-32 as in Ethernet and zlib, over a byte that says what
//! kind of report it is and then the report (`ps_check_crc32` in drivers/hid/hid-playstation.c).

/// `PS_INPUT_CRC32_SEED`.
pub(super) const INPUT: u8 = 0xa1;
/// `PS_OUTPUT_CRC32_SEED`.
pub(super) const OUTPUT: u8 = 0xa2;
/// `PS_FEATURE_CRC32_SEED`.
pub(super) const FEATURE: u8 = 0xa3;

/// Size of the checksum, at the end of a report, little endian.
const SIZE: usize = 4;

/// Writes the checksum into the last four bytes of the report.
pub(super) fn seal(kind: u8, report: &mut [u8]) {
    if let Some((body, end)) = report.split_last_chunk_mut::<SIZE>() {
        *end = crc32(kind, body).to_le_bytes();
    }
}

/// Whether the last four bytes of the report are its checksum.
pub(super) fn is_sealed(kind: u8, report: &[u8]) -> bool {
    report
        .split_last_chunk::<SIZE>()
        .is_some_and(|(body, end)| *end == crc32(kind, body).to_le_bytes())
}

fn crc32(kind: u8, body: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| (crc >> 8) ^ TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)];
    !body.iter().fold(step(u32::MAX, &kind), step)
}

/// The remainder of each byte under the polynomial 0x04c11db7, bits reversed.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_the_crc_catalogues() {
        // CRC-32/ISO-HDLC has the check value 0xcbf43926 for "123456789".
        assert_eq!(crc32(b'1', b"23456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_report_of_a_real_pad_is_sealed() {
        // The calibration of a DualShock 4 over Bluetooth, as the hid-tools project recorded it.
        let report = [
            0x05, 0x1e, 0x00, 0x05, 0x00, 0xe2, 0xff, 0xf2, 0x22, 0xbe, 0x22, 0x8d, 0x22, 0x4f,
            0xdd, 0x4d, 0xdd, 0x39, 0xdd, 0x1c, 0x02, 0x1c, 0x02, 0xe3, 0x1f, 0x8b, 0xdf, 0x8c,
            0x1e, 0xb4, 0xde, 0x30, 0x20, 0x71, 0xe0, 0x10, 0x00, 0xca, 0xfc, 0x64, 0x4d,
        ];
        assert!(is_sealed(FEATURE, &report));
        let mut again = report;
        again[37..].fill(0);
        seal(FEATURE, &mut again);
        assert_eq!(again, report);
    }

    #[test]
    fn a_changed_byte_or_another_kind_breaks_the_seal() {
        let mut report = [7; 78];
        seal(OUTPUT, &mut report);
        assert!(is_sealed(OUTPUT, &report));
        assert!(!is_sealed(INPUT, &report));
        report[9] ^= 1;
        assert!(!is_sealed(OUTPUT, &report));
    }

    #[test]
    fn what_is_too_short_for_a_checksum_is_not_sealed() {
        assert!(!is_sealed(OUTPUT, &[]));
        assert!(!is_sealed(OUTPUT, &[0, 0, 0]));
        seal(OUTPUT, &mut [0, 0, 0]);
    }
}
