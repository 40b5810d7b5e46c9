//! Names that somebody chose in order to harm. What udevd itself makes of them is in tests/hostile.rs.

use proptest::prelude::*;
use udev_forge::{Forged, Message, Record};

use crate::fixture::{InputDevice, PAD, forge};

/// Anything that a name can be but for NUL, which ends it in the kernel, and line breaks, with which the
/// device is refused.
const NAME: &str = "[^\\x00\n\r]{0,80}|[=\"'\\\\%$;:/ .\\x01-\\x09\\x7f]{1,40}|x{255}";

fn keys(forged: &Forged) -> Vec<String> {
    let message = forged.add_message();
    let keys = message.properties().iter().map(|(key, _)| key.to_owned());
    // The class of an infrared remote is in its name.
    keys.filter(|key| key != ".INPUT_CLASS").collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_name_is_a_value_and_nothing_more(name in NAME, phys in NAME) {
        // Kept for as long as the test runs: the fixtures of the other tests are constants.
        let device = InputDevice {
            name: Box::leak(name.clone().into_boxed_str()),
            phys: Box::leak(format!("x{phys}").into_boxed_str()),
            ..PAD
        };
        let plain = InputDevice { name: "plain", phys: "x", ..PAD };
        for node in [None, Some("event5")] {
            let forged = forge(&device, node, 1, 1);
            let message = forged.add_message();
            let quoted = format!("\"{name}\"");
            let expected = if node.is_none() { Some(quoted.as_str()) } else { None };
            prop_assert_eq!(message.properties().get("NAME"), expected);
            prop_assert_eq!(keys(&forged), keys(&forge(&plain, node, 1, 1)));

            prop_assert_eq!(Message::parse(&message.encode()).unwrap(), message);
            let record = forged.record();
            let again = Record::parse(record.device_id().clone(), &record.text()).unwrap();
            prop_assert_eq!(&again, record);
            prop_assert_eq!(Forged::from_parts(forged.to_parts()).unwrap(), forged);
        }
    }
}
