use proptest::prelude::*;

use super::*;

/// A boot mouse (HID 1.11, appendix B.2): three buttons, five bits of padding, X and Y.
const MOUSE: [u8; 50] = [
    0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00, 0x05, 0x09, 0x19, 0x01, 0x29, 0x03,
    0x15, 0x00, 0x25, 0x01, 0x95, 0x03, 0x75, 0x01, 0x81, 0x02, 0x95, 0x01, 0x75, 0x05, 0x81, 0x01,
    0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x15, 0x81, 0x25, 0x7f, 0x75, 0x08, 0x95, 0x02, 0x81, 0x06,
    0xc0, 0xc0,
];

fn error(bytes: &[u8]) -> String {
    Descriptor::parse(bytes).unwrap_err().to_string()
}

#[test]
fn a_mouse_is_three_buttons_and_two_relative_axes_in_three_bytes() {
    let mouse = Descriptor::parse(&MOUSE).unwrap();
    assert_eq!(mouse.reports(), [Report { kind: ReportKind::Input, number: 0, bits: 24 }]);
    assert_eq!(mouse.reports()[0].size(), 3);
    assert_eq!(mouse.applications(), 1);
    let [buttons, motion] = mouse.inputs() else { panic!("{mouse:?}") };
    assert_eq!((buttons.offset, buttons.size, buttons.count), (0, 1, 3));
    assert_eq!((buttons.usage(0), buttons.usage(2)), (Some(0x90001), Some(0x90003)));
    assert_eq!((motion.offset, motion.size, motion.count), (8, 8, 2));
    assert_eq!((motion.min, motion.max, motion.is_relative), (-127, 127, true));
    assert_eq!((motion.usage(1), motion.application), (Some(0x10031), 0x10002));
}

#[test]
fn a_maximum_is_unsigned_where_the_minimum_is() {
    // Usage page 1, usage X, logical 0 to 0xff in one byte, 8 bits, one, input.
    let bytes = [5, 1, 9, 0x30, 0x15, 0, 0x25, 0xff, 0x75, 8, 0x95, 1, 0x81, 2];
    let descriptor = Descriptor::parse(&bytes).unwrap();
    assert_eq!((descriptor.inputs()[0].min, descriptor.inputs()[0].max), (0, 255));
}

#[test]
fn globals_are_pushed_and_popped() {
    // 8 bits, one; push; 4 bits; pop; and then a usage with a page of its own.
    let bytes =
        [5, 1, 0x25, 1, 0x75, 8, 0x95, 1, 0xa4, 0x75, 4, 0xb4, 0x0b, 0x32, 0, 9, 0, 0x81, 2];
    let descriptor = Descriptor::parse(&bytes).unwrap();
    let [field] = descriptor.inputs() else { panic!("{descriptor:?}") };
    assert_eq!((field.size, field.usage(0)), (8, Some(0x0009_0032)));
}

#[test]
fn of_alternatives_between_delimiters_the_first_counts() {
    let bytes = [
        5, 1, 0x25, 1, 0x75, 1, 0x95, 1, // one bit
        0xa9, 1, 9, 0x30, 0xa9, 0, 0xa9, 1, 9, 0x31, 0xa9, 0, 0x81, 2,
    ];
    let descriptor = Descriptor::parse(&bytes).unwrap();
    assert_eq!(descriptor.inputs()[0].usage(0), Some(0x10030));
}

#[test]
fn what_is_wrong_is_told_with_its_byte() {
    assert_eq!(error(&[]), "byte 0: it has 0 bytes; 1 to 4096 are allowed");
    assert_eq!(error(&[0; 4097]), "byte 0: it has 4097 bytes; 1 to 4096 are allowed");
    assert_eq!(error(&[5, 1, 0x26, 0]), "byte 2: the last item is cut off");
    assert_eq!(error(&[0xfe, 1, 0, 0]), "byte 0: a long item, of which none is defined");
    assert_eq!(error(&MOUSE[..49]), "byte 49: a collection is not ended");
    assert_eq!(error(&[0xc0]), "byte 0: the end of a collection that was not begun");
    assert_eq!(error(&[5, 1]), "byte 2: there is no report");
    assert_eq!(error(&[0x75, 0, 0x76, 1, 1]), "byte 2: elements of 257 bits, more than 256");
    assert_eq!(error(&[0x85, 0]), "byte 0: 0 is no report's number, 1 to 255");
    assert_eq!(error(&[0x96, 1, 0x30]), "byte 0: 12289 elements, more than 12288");
    assert_eq!(error(&[0xb4]), "byte 0: a pop without a push");
    assert_eq!(error(&[0xa4; 5]), "byte 4: more than 4 pushes");
    assert_eq!(error(&[0xf4]), "byte 0: there is no global item 0xf");
    assert_eq!(error(&[0x29, 3]), "byte 0: a maximum without a minimum");
    assert_eq!(
        error(&[0x19, 3, 0x29, 1]),
        "byte 2: the minimum of a range of usages is more than its maximum"
    );
    assert_eq!(error(&[0xa9, 0]), "byte 0: a delimiter that opens or closes nothing");
    let range = [0x15, 5, 0x25, 4, 0x75, 8, 0x95, 1, 0x81, 2];
    assert_eq!(error(&range), "byte 8: the logical minimum (5) is more than the maximum (4)");
    let numbered = [0x75, 8, 0x95, 1, 0x81, 2, 0x85, 1, 0x81, 2];
    assert_eq!(error(&numbered), "byte 8: some reports have numbers, and some have none");
}

#[test]
fn what_would_be_too_much_is_refused_before_it_is_made() {
    // 256 bits, 12288 times.
    let large = [0x76, 0, 1, 0x96, 0, 0x30, 0x81, 2];
    assert_eq!(error(&large), "byte 6: the report has more than 32760 bits");
    // As many elements in each of as many reports as there are.
    let mut many = vec![5, 9, 0x75, 1, 0x96, 0, 0x20];
    (1..=200).for_each(|number| many.extend([0x85, number, 9, 1, 0x81, 2]));
    assert!(error(&many).ends_with("more than 12288 elements"), "{}", error(&many));
}

#[test]
fn the_descriptors_of_real_pads_are_understood() {
    for model in crate::uhid::Model::ALL {
        Descriptor::parse(model.descriptor()).unwrap_or_else(|error| panic!("{model}: {error}"));
    }
}

/// Items that fit together more often than any bytes do.
pub(in crate::hid) fn items() -> impl Strategy<Value = Vec<u8>> {
    let prefix = prop_oneof![
        3 => Just(0x81_u8), // input
        1 => prop_oneof![Just(0x91_u8), Just(0xb1), Just(0xa1), Just(0xc0), Just(0xa9)],
        6 => prop_oneof![
            Just(0x05_u8), Just(0x15), Just(0x25), Just(0x26), Just(0x75), Just(0x85), Just(0x95),
            Just(0x09), Just(0x0b), Just(0x19), Just(0x29), Just(0x2b), Just(0xa4), Just(0xb4)
        ],
        1 => any::<u8>(),
    ];
    let item = (prefix, proptest::array::uniform4(prop_oneof![0_u8..40, any::<u8>()]));
    proptest::collection::vec(item, 0..60).prop_map(|items| {
        let bytes = items.into_iter().flat_map(|(prefix, data)| {
            let size = [0, 1, 2, 4][usize::from(prefix & 3)];
            std::iter::once(prefix).chain(data.into_iter().take(size))
        });
        bytes.collect()
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Descriptor::parse(&bytes);
    }

    #[test]
    fn what_is_read_keeps_to_the_limits(bytes in items()) {
        if let Ok(descriptor) = Descriptor::parse(&bytes) {
            prop_assert_eq!(descriptor.as_bytes(), &bytes[..]);
            for report in descriptor.reports() {
                prop_assert!(report.size() <= 4096);
            }
            for field in descriptor.inputs() {
                let end = field.offset + field.size * field.count;
                prop_assert!(end <= descriptor.reports()[field.report].bits);
                prop_assert!(field.min <= field.max);
                prop_assert!(field.usage(0).is_some());
            }
        }
    }
}
