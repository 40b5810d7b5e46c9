//! Names that somebody chose in order to harm. What udevd itself makes of them is in tests/hostile.rs.

use proptest::prelude::*;
use udev_forge::{Forged, Hwdb, Message, Record, Stamp, Sysfs};

use crate::fixture::{FakeSysfs, InputDevice, PAD, forge, write};

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

/// What is in its uevent goes into its links, and whoever made the device may have chosen it.
#[test]
fn a_link_stays_below_dev_or_is_none() {
    let links = |path: &str| {
        let sysfs = FakeSysfs::with(&PAD);
        let node = sysfs.device_dir(&PAD).join("event5");
        write(&node.join("uevent"), &format!("MAJOR=13\nMINOR=69\nID_PATH={path}\n"));
        let device = Sysfs::at(sysfs.root()).read(&node).unwrap();
        let forged = Forged::add(&device, &Hwdb::empty(), Stamp { seqnum: 1, usec_initialized: 1 });
        let message = forged.add_message();
        assert_eq!(Message::parse(&message.encode()).as_ref(), Ok(&message));
        assert_eq!(Forged::from_parts(forged.to_parts()).as_ref(), Ok(&forged));
        message.properties().get("DEVLINKS").map(str::to_owned)
    };
    let by_path = |name: &str| Some(format!("/dev/input/by-path/{name}-event-joystick"));
    assert_eq!(links("pci-0000:00"), by_path("pci-0000:00"));
    assert_eq!(links("pci//usb/./0"), by_path("pci/usb/0"));
    assert_eq!(links("../../../etc/x"), None);
    assert_eq!(links(&"x".repeat(256)), None);
}
