//! The flash memory behind the pad's SPI bus, from which hosts read the calibration.
//!
//! Addresses and layouts: hid-nintendo.c (`JC_CAL_*`, `JC_IMU_CAL_*`) and spi_flash_notes.md of the
//! notes.

use super::Kind;

/// Most bytes of one read: what fits into an answer after address and length.
pub(super) const MAX_READ: u8 = 0x1d;

/// Where a stick is at rest, of 12 bits.
pub(super) const STICK_CENTRE: u16 = 2048;
/// How far it goes to each side.
pub(super) const STICK_REACH: u16 = 1536;

/// Two values of 12 bits in three bytes.
pub(super) fn pack(first: u16, second: u16) -> [u8; 3] {
    let [low, high] = first.to_le_bytes();
    let [second_low, _] = (second << 4).to_le_bytes();
    let [second_high, _] = (second >> 4).to_le_bytes();
    [low, high & 0x0f | second_low, second_high]
}

/// The accelerometer's and the gyroscope's zero and sensitivity on all axes, as pads leave the factory:
/// the ones with which hid-nintendo and SDL get along without any (`DFLT_ACCEL_SCALE`,
/// `DFLT_GYRO_SCALE`).
const ACCEL_SCALE: u16 = 16384;
const GYRO_SCALE: u16 = 13371;

/// Reads flash memory; what is not known here is erased (all ones), like the user's calibration of a
/// new pad.
pub(super) fn read(kind: Kind, address: u32, data: &mut [u8]) {
    data.fill(0xff);
    let reach = pack(STICK_REACH, STICK_REACH);
    let centre = pack(STICK_CENTRE, STICK_CENTRE);
    let axes = |value: u16| [value.to_le_bytes(); 3].concat();
    let imu = [axes(0), axes(ACCEL_SCALE), axes(0), axes(GYRO_SCALE)].concat();
    // The left one has: above the centre, centre, below; the right one: centre, below, above.
    let left = [reach, centre, reach].concat();
    let right = [centre, reach, reach].concat();
    let dark_grey = [0x32; 3];
    let white = [0xff; 3];
    let memory: [(u32, &[u8]); 6] = [
        (0x6012, &[kind as u8, 0xa0]),
        (0x601b, &[0x01]),
        (0x6020, &imu),
        (0x603d, &left),
        (0x6046, &right),
        (0x6050, &[dark_grey, white, dark_grey, dark_grey].concat()),
    ];
    for (start, bytes) in memory {
        for (at, byte) in (start..).zip(bytes) {
            let slot = at.checked_sub(address).and_then(|offset| usize::try_from(offset).ok());
            if let Some(slot) = slot.and_then(|offset| data.get_mut(offset)) {
                *slot = *byte;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(address: u32, length: usize) -> Vec<u8> {
        let mut data = vec![0; length];
        read(Kind::ProUsb, address, &mut data);
        data
    }

    #[test]
    fn both_sticks_can_be_read_at_once_or_each_alone() {
        let both = bytes(0x603d, 18);
        assert_eq!(bytes(0x603d, 9), both[..9]);
        assert_eq!(bytes(0x6046, 9), both[9..]);
        // 1536 is 0x600, 2048 is 0x800.
        assert_eq!(both[..6], [0x00, 0x06, 0x60, 0x00, 0x08, 0x80]);
        assert_eq!(both[9..12], [0x00, 0x08, 0x80]);
    }

    #[test]
    fn there_is_no_calibration_by_the_user() {
        assert_eq!(bytes(0x8010, 2), [0xff, 0xff]);
        assert_eq!(bytes(0x8026, 2), [0xff, 0xff]);
    }

    #[test]
    fn a_read_across_the_end_of_the_address_space_is_erased_memory() {
        assert_eq!(bytes(u32::MAX, 4), [0xff; 4]);
    }

    #[test]
    fn the_motion_sensors_have_no_offset() {
        let imu = bytes(0x6020, 24);
        assert_eq!(imu[..8], [0, 0, 0, 0, 0, 0, 0x00, 0x40]);
        assert_eq!(imu[18..20], [0x3b, 0x34]);
    }
}
