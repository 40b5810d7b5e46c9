//! Numbers that wrap around: serial number arithmetic (RFC 1982, section 3.2).

/// Whether `number` comes after `other`. Of two numbers half the range apart neither comes after the other.
pub(crate) fn is_newer_u8(number: u8, other: u8) -> bool {
    (1..0x80).contains(&number.wrapping_sub(other))
}

/// The same for 16 bit.
pub(crate) fn is_newer_u16(number: u16, other: u16) -> bool {
    (1..0x8000).contains(&number.wrapping_sub(other))
}

/// The same for 32 bit.
pub(crate) fn is_newer_u32(number: u32, other: u32) -> bool {
    (1..0x8000_0000).contains(&number.wrapping_sub(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_across_the_wrap() {
        assert!(is_newer_u8(1, 0) && is_newer_u8(0, 255) && is_newer_u8(127, 0));
        assert!(!is_newer_u8(0, 0) && !is_newer_u8(0, 1) && !is_newer_u8(255, 0));
        assert!(is_newer_u16(3, 0xfffe) && !is_newer_u16(0xfffe, 3));
        assert!(is_newer_u32(0, u32::MAX) && !is_newer_u32(u32::MAX, 0));
    }

    #[test]
    fn numbers_half_the_range_apart_have_no_order() {
        assert!(!is_newer_u8(128, 0) && !is_newer_u8(0, 128));
        assert!(!is_newer_u16(0x8000, 0) && !is_newer_u16(0, 0x8000));
        assert!(!is_newer_u32(0x8000_0000, 0) && !is_newer_u32(0, 0x8000_0000));
    }
}
