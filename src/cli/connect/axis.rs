//! The range of an absolute axis.

/// The range of an absolute axis, as `struct input_absinfo` has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Axis {
    pub(super) least: i32,
    pub(super) most: i32,
    /// Units per millimetre, radian, g or degree per second (include/uapi/linux/input.h); 0 if the device does not know.
    pub(super) resolution: i32,
}

impl Axis {
    /// A stick: −32767 to 32767, and 0 for exactly the middle, so that a stick at rest is at rest.
    pub(super) fn stick(self, value: i32) -> i16 {
        let (least, most) = (i64::from(self.least), i64::from(self.most));
        let value = i64::from(value).clamp(least.min(most), most.max(least));
        // Of 0 to 255 that is 128, as pads have it.
        let middle = (least + most + 1).div_euclid(2);
        let room = if value < middle { middle - least } else { most - middle };
        let part = if room <= 0 { 0 } else { (value - middle) * i64::from(i16::MAX) / room };
        i16::try_from(part).unwrap_or_default()
    }

    /// A trigger, a place or a pressure: 0 to 65535.
    pub(super) fn part(self, value: i32) -> u16 {
        let (least, most) = (i64::from(self.least), i64::from(self.most));
        if most <= least {
            return 0;
        }
        let value = i64::from(value).clamp(least, most);
        let part = ((value - least) * i64::from(u16::MAX) + (most - least) / 2) / (most - least);
        u16::try_from(part).unwrap_or_default()
    }

    /// What a sensor measures, in units of the resolution: g, or degrees per second.
    pub(super) fn measured(self, value: i32) -> f64 {
        f64::from(value) / f64::from(self.resolution.max(1))
    }

    /// A tilt in degrees. Without a resolution the range is taken for 180 degrees, as kernel drivers do.
    pub(super) fn degrees(self, value: i32) -> i8 {
        let degrees = if self.resolution > 0 {
            (f64::from(value) / f64::from(self.resolution)).to_degrees()
        } else {
            f64::from(self.stick(value)) / f64::from(i16::MAX) * 90.0
        };
        #[expect(clippy::cast_possible_truncation, reason = "it is -90 to 90")]
        let degrees = degrees.clamp(-90.0, 90.0).round() as i8;
        degrees
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(least: i32, most: i32) -> Axis {
        Axis { least, most, resolution: 0 }
    }

    #[test]
    fn a_stick_has_its_ends_and_its_middle() {
        for (least, middle, most) in
            [(0, 128, 255), (-32768, 0, 32767), (-127, 0, 127), (0, 2048, 4095)]
        {
            let axis = axis(least, most);
            assert_eq!([least, middle, most].map(|value| axis.stick(value)), [-32767, 0, 32767]);
            assert_eq!(axis.stick(i32::MAX), 32767);
            assert_eq!(axis.stick(i32::MIN), -32767);
        }
    }

    #[test]
    fn a_part_has_its_ends() {
        let trigger = axis(0, 1023);
        assert_eq!([0, 1023, 2000, -1].map(|value| trigger.part(value)), [0, 65535, 65535, 0]);
        assert_eq!(axis(0, 65535).part(1234), 1234);
    }

    #[test]
    fn an_axis_without_a_range_says_nothing() {
        for axis in [axis(0, 0), axis(5, -5), axis(i32::MIN, i32::MAX)] {
            let _no_panic = (axis.stick(3), axis.part(3), axis.degrees(3));
        }
        assert_eq!((axis(0, 0).stick(1), axis(0, 0).part(1)), (0, 0));
    }

    #[test]
    fn tilt_is_in_degrees() {
        let known = Axis { least: -64, most: 63, resolution: 57 };
        assert_eq!([-64, 0, 45].map(|value| known.degrees(value)), [-64, 0, 45]);
        assert_eq!([-127, 0, 127].map(|value| axis(-127, 127).degrees(value)), [-90, 0, 90]);
    }
}
