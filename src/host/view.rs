//! What the API shows of rules and of the host's devices.

use device_gate::Device;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::device::HostDevice;
use super::rule::{Kind, Rule};
use crate::session::view::Failure;

/// A rule of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleView {
    /// What it is called in its session: a number, or `config` and a number for one of the configuration.
    pub id: String,
    /// What it says.
    pub rule: Rule,
    /// The paths of the devices that the session has by it.
    pub devices: Vec<String>,
}

/// A device of the host in a session's container, or one that should be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostedView {
    /// Its path, in the container as on the host.
    pub path: String,
    /// Its path in sysfs, without `/sys`.
    pub devpath: String,
    /// The node's type; absent for an input device, which shows only by its nodes, and for the interface of a USB device.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none", default)]
    pub kind: Option<Kind>,
    /// Major number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub major: Option<u32>,
    /// Minor number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub minor: Option<u32>,
    /// More paths that lead to the node.
    pub links: Vec<String>,
    /// Whether it was asked inside whether the node may be opened, and so it is.
    pub verified: bool,
    /// Why it is not there, if it is not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure: Option<Failure>,
}

impl HostedView {
    pub(crate) fn of(device: &HostDevice) -> Self {
        Self {
            path: device.path(),
            devpath: device.devpath.clone(),
            kind: device.number.map(|number| number.kind.into()),
            major: device.number.map(|number| number.major),
            minor: device.number.map(|number| number.minor),
            links: Vec::new(),
            verified: false,
            failure: None,
        }
    }
}

/// A device of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostDeviceView {
    /// The path of its node.
    pub path: String,
    /// Its path in sysfs, without `/sys`.
    pub devpath: String,
    /// Its subsystem.
    pub subsystem: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// The drivers of it and of its parents, its own first.
    pub drivers: Vec<String>,
    /// The vendor of the USB device that it is or belongs to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub vendor: Option<String>,
    /// The product of that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub product: Option<String>,
    /// The serial number of that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serial: Option<String>,
    /// The word that a rule has to say for it, if it is dangerous.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub danger: Option<String>,
    /// What the rules make of it.
    pub rules: Vec<MatchView>,
}

/// What a rule makes of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MatchView {
    /// The session whose rule it is; absent for a rule that is only tried.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session: Option<String>,
    /// What the rule is called there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
    /// Whether the rule means the device.
    pub matches: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why_not: Option<String>,
    /// Whether the session has the device by this rule.
    pub plugged: bool,
}

impl MatchView {
    /// What the rule makes of the device, for no session.
    pub(crate) fn of(rule: &Rule, device: &HostDevice) -> Self {
        let why_not = rule.means(device).err().map(|why| why.to_string());
        Self { session: None, id: None, matches: why_not.is_none(), why_not, plugged: false }
    }
}

impl HostDeviceView {
    /// `None` for a device without a node.
    pub(crate) fn of(device: &HostDevice, rules: Vec<MatchView>) -> Option<Self> {
        let Device { kind, major, minor } = device.number?;
        let usb = device.usb.clone();
        Some(Self {
            path: device.path(),
            devpath: device.devpath.clone(),
            subsystem: device.subsystem.clone(),
            kind: kind.into(),
            major,
            minor,
            drivers: device.drivers.clone(),
            vendor: usb.as_ref().map(|usb| usb.vendor.clone()),
            product: usb.as_ref().map(|usb| usb.product.clone()),
            serial: usb.and_then(|usb| usb.serial),
            danger: device.danger.map(|danger| danger.to_string()),
            rules,
        })
    }
}
