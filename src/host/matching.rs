//! Which rule means which device, and why not.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use device_gate::Danger;
use udev_forge::glob;

use super::device::HostDevice;
use super::rule::{Kind, Minor, Rule, Word};
use super::watch::View;

/// Why a rule does not mean a device: the first thing that is not so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// It is something else.
    Differs {
        /// What of it.
        what: String,
        /// What the rule says.
        wanted: String,
        /// What it is; `None` when there is none.
        found: Option<String>,
    },
    /// It is dangerous, and the rule has no word for that.
    Dangerous(Danger),
    /// Hotseat made it for a session.
    Ours,
    /// It has no node.
    NoNode,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs { what, wanted, found: Some(found) } => {
                write!(f, "{what} is `{found}`, not `{wanted}`")
            }
            Self::Differs { what, wanted, found: None } => write!(f, "it has no {what} `{wanted}`"),
            Self::Dangerous(danger) => {
                write!(f, "it is dangerous, and the rule does not say `danger = [\"{danger}\"]`")
            }
            Self::Ours => f.write_str("Hotseat made it for a session"),
            Self::NoNode => f.write_str("it has no node"),
        }
    }
}

impl Rule {
    /// Whether it means the device.
    ///
    /// # Errors
    ///
    /// [`Mismatch`]: why not.
    pub fn means(&self, device: &HostDevice) -> Result<(), Mismatch> {
        let Some(number) = device.number else { return Err(Mismatch::NoNode) };
        if device.is_ours {
            return Err(Mismatch::Ours);
        }
        pattern("subsystem", self.subsystem.as_deref(), Some(&device.subsystem))?;
        equal("type", self.kind, Kind::from(number.kind))?;
        equal("major", self.major, number.major)?;
        if let Some(Minor::Number(minor)) = self.minor {
            equal("minor", Some(minor), number.minor)?;
        }
        pattern("devname", self.devname.as_deref(), device.devname.as_deref())?;
        let usb = device.usb.as_ref();
        same("vendor", self.vendor.as_deref(), usb.map(|usb| &*usb.vendor))?;
        same("product", self.product.as_deref(), usb.map(|usb| &*usb.product))?;
        let serial = usb.and_then(|usb| usb.serial.as_deref());
        pattern("serial", self.serial.as_deref(), serial)?;
        let is_class = |wanted: &str, found: &str| wanted.eq_ignore_ascii_case(found);
        any(
            "interface_class",
            self.interface_class.as_deref(),
            &device.interface_classes,
            is_class,
        )?;
        any("driver", self.driver.as_deref(), &device.drivers, matches)?;
        for (key, value) in &self.property {
            pattern(&format!("property {key}"), Some(value), device.said.property(key))?;
        }
        any("tag", self.tag.as_deref(), &device.said.tags, |wanted, found| wanted == found)?;
        match device.danger {
            Some(danger) if !self.danger.contains(&Word::from(danger)) => {
                Err(Mismatch::Dangerous(danger))
            }
            _ => Ok(()),
        }
    }

    /// Whether it is a rule of this session.
    pub fn is_of(&self, session: &str) -> bool {
        self.session.as_deref().is_none_or(|pattern| matches(pattern, session))
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    glob::matches(pattern.as_bytes(), text.as_bytes())
}

fn differs(what: &str, wanted: impl fmt::Display, found: Option<String>) -> Mismatch {
    Mismatch::Differs { what: what.to_owned(), wanted: wanted.to_string(), found }
}

fn pattern(what: &str, wanted: Option<&str>, found: Option<&str>) -> Result<(), Mismatch> {
    compare(what, wanted, found, matches)
}

fn same(what: &str, wanted: Option<&str>, found: Option<&str>) -> Result<(), Mismatch> {
    compare(what, wanted, found, str::eq_ignore_ascii_case)
}

fn compare(
    what: &str,
    wanted: Option<&str>,
    found: Option<&str>,
    is_it: impl Fn(&str, &str) -> bool,
) -> Result<(), Mismatch> {
    match wanted {
        Some(wanted) if !found.is_some_and(|found| is_it(wanted, found)) => {
            Err(differs(what, wanted, found.map(str::to_owned)))
        }
        _ => Ok(()),
    }
}

fn equal<T: PartialEq + fmt::Display>(
    what: &str,
    wanted: Option<T>,
    found: T,
) -> Result<(), Mismatch> {
    match wanted {
        Some(wanted) if wanted != found => Err(differs(what, wanted, Some(found.to_string()))),
        _ => Ok(()),
    }
}

fn any(
    what: &str,
    wanted: Option<&str>,
    found: &[String],
    is_it: impl Fn(&str, &str) -> bool,
) -> Result<(), Mismatch> {
    match wanted {
        Some(wanted) if !found.iter().any(|found| is_it(wanted, found)) => {
            let found = (!found.is_empty()).then(|| found.join(", "));
            Err(differs(what, wanted, found))
        }
        _ => Ok(()),
    }
}

/// A device that a session is to have, and the rule that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The device.
    pub device: Arc<HostDevice>,
    /// The first rule that means it.
    pub rule: Arc<Rule>,
}

impl Wanted {
    /// Whether the session is to have it alone. An input device has several nodes, which may be several sessions'.
    pub(crate) fn is_exclusive(&self) -> bool {
        let has_nodes = self.device.subsystem == "input" && self.device.number.is_none();
        self.rule.exclusive && !has_nodes
    }
}

/// The devices that these rules mean, by devpath: parents before their children. With the node of an input device comes
/// that device, of which programs are told before its nodes; with a USB device come its interfaces, by which pcscd, for one,
/// hears of it.
pub fn wanted(rules: &[Arc<Rule>], view: &View) -> BTreeMap<String, Wanted> {
    let mut wanted = BTreeMap::new();
    for device in view.devices.values() {
        let meant = usb_device(device, view).unwrap_or(device);
        let Some(rule) = rules.iter().find(|rule| rule.means(meant).is_ok()) else { continue };
        if device.subsystem == "input"
            && let Some((parent, _)) = device.devpath.rsplit_once('/')
            && let Some(input) = view.devices.get(parent)
        {
            let (device, rule) = (Arc::clone(input), Arc::clone(rule));
            wanted.entry(parent.to_owned()).or_insert(Wanted { device, rule });
        }
        let (device, rule) = (Arc::clone(device), Arc::clone(rule));
        wanted.insert(device.devpath.clone(), Wanted { device, rule });
    }
    wanted
}

/// The USB device that this is an interface of.
fn usb_device<'a>(device: &HostDevice, view: &'a View) -> Option<&'a Arc<HostDevice>> {
    let is_interface = device.subsystem == "usb" && device.number.is_none();
    let (parent, _) = device.devpath.rsplit_once('/').filter(|_| is_interface)?;
    view.devices.get(parent)
}

#[cfg(test)]
mod tests {
    use device_gate::Device;

    use super::*;
    use crate::host::device::{Said, Usb};

    fn rule(text: &str) -> Rule {
        toml::from_str(text).unwrap()
    }

    fn conbee() -> HostDevice {
        HostDevice {
            devpath: "/devices/usb1/1-1/1-1:1.0/tty/ttyACM0".to_owned(),
            subsystem: "tty".to_owned(),
            devname: Some("ttyACM0".to_owned()),
            number: Some(Device::char(166, 0)),
            drivers: vec!["cdc_acm".to_owned(), "usb".to_owned()],
            usb: Some(Usb {
                vendor: "1cf1".to_owned(),
                product: "0030".to_owned(),
                serial: Some("DE2706277".to_owned()),
            }),
            interface_classes: vec!["02".to_owned()],
            said: Said {
                properties: vec![("ID_MODEL".to_owned(), "ConBee_II".to_owned())],
                tags: vec!["systemd".to_owned()],
                ..Said::default()
            },
            ..HostDevice::default()
        }
    }

    #[test]
    fn everything_that_a_rule_says_has_to_be_so() {
        for text in [
            "subsystem = \"tty\"",
            "type = \"char\"",
            "major = 166",
            "major = 166\nminor = 0",
            "major = 166\nminor = \"any\"",
            "devname = \"ttyACM*\"",
            "vendor = \"1CF1\"\nproduct = \"0030\"",
            "serial = \"DE*\"",
            "interface_class = \"02\"",
            "driver = \"cdc_*\"",
            "property = { ID_MODEL = \"ConBee*\" }",
            "tag = \"systemd\"",
        ] {
            assert_eq!(rule(text).means(&conbee()), Ok(()), "{text}");
        }
    }

    #[test]
    fn why_not_is_the_first_thing_that_is_not_so() {
        for (text, why) in [
            ("subsystem = \"usb\"", "subsystem is `tty`, not `usb`"),
            ("type = \"block\"", "type is `char`, not `block`"),
            ("major = 188", "major is `166`, not `188`"),
            ("major = 166\nminor = 1", "minor is `0`, not `1`"),
            ("devname = \"ttyUSB*\"", "devname is `ttyACM0`, not `ttyUSB*`"),
            ("vendor = \"0403\"\nproduct = \"6001\"", "vendor is `1cf1`, not `0403`"),
            ("serial = \"X\"", "serial is `DE2706277`, not `X`"),
            ("interface_class = \"0b\"", "interface_class is `02`, not `0b`"),
            ("driver = \"ftdi_sio\"", "driver is `cdc_acm, usb`, not `ftdi_sio`"),
            (
                "property = { ID_MODEL = \"RaspBee\" }",
                "property ID_MODEL is `ConBee_II`, not `RaspBee`",
            ),
            ("property = { ID_PATH = \"*\" }", "it has no property ID_PATH `*`"),
            ("tag = \"seat\"", "tag is `systemd`, not `seat`"),
        ] {
            assert_eq!(rule(text).means(&conbee()).unwrap_err().to_string(), why, "{text}");
        }
        let clock = HostDevice { usb: None, ..conbee() };
        let why = rule("vendor = \"1cf1\"").means(&clock).unwrap_err();
        assert_eq!(why.to_string(), "it has no vendor `1cf1`");
    }

    #[test]
    fn a_dangerous_device_needs_its_word_however_wide_the_rule_is() {
        let number = Some(Device::block(7, 99));
        let disk = HostDevice { number, danger: Some(Danger::Disk), ..conbee() };
        for text in ["major = 7", "danger = [\"everything\"]", "major = 7\ndanger = [\"memory\"]"] {
            assert_eq!(rule(text).means(&disk), Err(Mismatch::Dangerous(Danger::Disk)), "{text}");
        }
        assert_eq!(rule("major = 7\ndanger = [\"disk\"]").means(&disk), Ok(()));
    }

    #[test]
    fn no_rule_means_a_device_that_hotseat_made_or_one_without_a_node() {
        let all = rule("danger = [\"everything\"]");
        assert_eq!(all.means(&conbee()), Ok(()));
        assert_eq!(all.means(&HostDevice { is_ours: true, ..conbee() }), Err(Mismatch::Ours));
        assert_eq!(all.means(&HostDevice { number: None, ..conbee() }), Err(Mismatch::NoNode));
    }

    #[test]
    fn the_first_rule_that_means_a_device_counts_and_an_input_device_comes_with_its_nodes() {
        let node = HostDevice {
            devpath: "/devices/usb1/input/input7/event3".to_owned(),
            subsystem: "input".to_owned(),
            devname: Some("input/event3".to_owned()),
            number: Some(Device::char(13, 67)),
            ..HostDevice::default()
        };
        let input = HostDevice {
            devpath: "/devices/usb1/input/input7".to_owned(),
            subsystem: "input".to_owned(),
            ..HostDevice::default()
        };
        let all = [conbee(), node, input].map(|device| (device.devpath.clone(), Arc::new(device)));
        let view = View { devices: all.into(), ..View::default() };
        let rules = ["major = 188", "major = 166\nlinks = [\"zigbee\"]", "driver = \"cdc_acm\""];
        let rules = rules.map(|text| Arc::new(rule(text)));
        let found = wanted(&rules, &view);
        assert_eq!(found.len(), 1);
        assert_eq!(found[&conbee().devpath].rule, rules[1]);

        let found = wanted(&[Arc::new(rule("subsystem = \"input\""))], &view);
        let paths: Vec<_> = found.keys().map(String::as_str).collect();
        assert_eq!(paths, ["/devices/usb1/input/input7", "/devices/usb1/input/input7/event3"]);
        assert!(wanted(&[], &view).is_empty());
    }

    #[test]
    fn a_usb_device_comes_with_its_interfaces_and_a_line_without() {
        let device = HostDevice {
            devpath: "/devices/usb1/1-1".to_owned(),
            subsystem: "usb".to_owned(),
            devname: Some("bus/usb/001/002".to_owned()),
            number: Some(Device::char(189, 1)),
            ..conbee()
        };
        let interface = HostDevice {
            devpath: "/devices/usb1/1-1/1-1:1.0".to_owned(),
            subsystem: "usb".to_owned(),
            ..HostDevice::default()
        };
        let all = [conbee(), interface, device];
        let all = all.map(|device| (device.devpath.clone(), Arc::new(device)));
        let view = View { devices: all.into(), ..View::default() };
        let usb = wanted(&[Arc::new(rule("subsystem = \"usb\"\nexclusive = true"))], &view);
        assert!(usb.values().all(Wanted::is_exclusive));
        let paths: Vec<_> = usb.keys().map(String::as_str).collect();
        assert_eq!(paths, ["/devices/usb1/1-1", "/devices/usb1/1-1/1-1:1.0"]);
        let line = wanted(&[Arc::new(rule("subsystem = \"tty\""))], &view);
        assert_eq!(line.into_keys().collect::<Vec<_>>(), [conbee().devpath]);
    }

    #[test]
    fn a_rule_is_of_the_sessions_that_its_pattern_means() {
        assert!(rule("session = \"gate*\"").is_of("gateway"));
        assert!(!rule("session = \"gate\"").is_of("gateway"));
        assert!(rule("major = 1").is_of("gateway"));
    }
}
