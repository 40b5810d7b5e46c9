//! The lights and the triggers' resistance of a real pad, for which its event node has nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use hotseat_wire::Feedback;
use vinput::uhid::{self, Model, MuteLed, Trigger};

/// A trigger that moves freely (the effects of SDL's test/testcontroller.c: Sony documents none).
const LOOSE: [u8; 11] = [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The home light of a Switch pad: hid-nintendo counts it after the four of the players (`joycon_leds_create`).
const HOME: &str = ":blue:player-5";

/// How the lights of a pad are set.
#[derive(Debug)]
pub(super) enum Lights {
    /// By output reports: a report sets what it names and nothing else, so driver and programs do not disturb each other.
    Sony {
        /// The HID device in sysfs.
        hid: PathBuf,
        model: Model,
        /// Opened when there is something to say: udev may set its mode later than that of the event node.
        hidraw: Option<File>,
        /// Which triggers have been told to resist.
        stiff: Vec<Trigger>,
    },
    /// By the driver, as each command has a number that only it knows.
    Nintendo {
        /// The HID device in sysfs.
        hid: PathBuf,
    },
}

impl Lights {
    /// Of the pad with this HID device, which is forwarded as this profile; `None` if it is not known to have any.
    pub(super) fn of(hid: &Path, profile: &str) -> Option<Self> {
        // `BUS_BLUETOOTH`; the name has bus, vendor and product (`hid_add_device`, drivers/hid/hid-core.c).
        let is_bluetooth = hid.file_name()?.to_str()?.starts_with("0005:");
        let model = match (profile, is_bluetooth) {
            ("dualsense" | "dualsense-edge", false) => Model::DualSense,
            ("dualsense" | "dualsense-edge", true) => Model::DualSenseBluetooth,
            ("dualshock-4", false) => Model::DualShock4,
            ("dualshock-4", true) => Model::DualShock4Bluetooth,
            ("switch-pro" | "joy-con-l" | "joy-con-r", _) => {
                return Some(Self::Nintendo { hid: hid.to_owned() });
            }
            _ => return None,
        };
        Some(Self::Sony { hid: hid.to_owned(), model, hidraw: None, stiff: Vec::new() })
    }

    /// Shows it, if the pad can.
    pub(super) fn show(&mut self, feedback: Feedback) -> Result<()> {
        match self {
            Self::Sony { hid, model, hidraw, stiff } => {
                let Some(feedback) = of_a_pad(feedback) else { return Ok(()) };
                let Some(report) = model.output_report(feedback) else { return Ok(()) };
                if let uhid::Feedback::TriggerEffect { trigger, .. } = feedback {
                    stiff.retain(|other| *other != trigger);
                    stiff.push(trigger);
                }
                let hidraw = match hidraw {
                    Some(hidraw) => hidraw,
                    None => hidraw.insert(open(hid)?),
                };
                hidraw.write_all(&report).context("cannot write to its hidraw node")
            }
            Self::Nintendo { hid } => match feedback {
                // It has none that blinks.
                Feedback::PlayerLights { on, blinking } => (0..4).try_for_each(|place| {
                    let is_on = (on | blinking) >> place & 1;
                    set(hid, &format!(":green:player-{}", place + 1), u16::MAX * u16::from(is_on))
                }),
                Feedback::HomeLight(brightness) => set(hid, HOME, brightness),
                _ => Ok(()),
            },
        }
    }

    /// Whoever plays something else is not to have triggers that resist.
    pub(super) fn let_loose(&mut self) {
        let Self::Sony { model, hidraw: Some(hidraw), stiff, .. } = self else { return };
        for trigger in stiff.drain(..) {
            let loose = uhid::Feedback::TriggerEffect { trigger, effect: LOOSE };
            if let Some(report) = model.output_report(loose) {
                // A pad that is gone has no triggers.
                let _gone = hidraw.write_all(&report);
            }
        }
    }
}

impl Drop for Lights {
    fn drop(&mut self) {
        self.let_loose();
    }
}

/// The same, as pads are told.
fn of_a_pad(feedback: Feedback) -> Option<uhid::Feedback> {
    Some(match feedback {
        Feedback::LightBar([red, green, blue]) => uhid::Feedback::Lightbar { red, green, blue },
        Feedback::Blink { on_ms, off_ms } => uhid::Feedback::LightbarBlink { on_ms, off_ms },
        Feedback::PlayerLights { on, blinking } => uhid::Feedback::PlayerLeds { on, blinking },
        Feedback::MuteLight(0) => uhid::Feedback::MuteLed(MuteLed::Off),
        Feedback::MuteLight(1) => uhid::Feedback::MuteLed(MuteLed::On),
        Feedback::MuteLight(_) => uhid::Feedback::MuteLed(MuteLed::Pulse),
        Feedback::LeftTrigger(effect) => {
            uhid::Feedback::TriggerEffect { trigger: Trigger::Left, effect }
        }
        Feedback::RightTrigger(effect) => {
            uhid::Feedback::TriggerEffect { trigger: Trigger::Right, effect }
        }
        _ => return None,
    })
}

/// Opens the hidraw node of a HID device.
fn open(hid: &Path) -> Result<File> {
    let entry = first(&hid.join("hidraw"), |_| true).context("it has no hidraw node")?;
    let node = Path::new("/dev").join(entry.file_name().unwrap_or_default());
    OpenOptions::new().write(true).open(&node).with_context(|| {
        format!(
            "cannot open {} (udev rules such as those of the package steam-devices open it to who is at the seat)",
            node.display()
        )
    })
}

/// Sets the light of a HID device whose name ends so, of 65535 (Documentation/ABI/testing/sysfs-class-led). One that the
/// pad does not have is left out: a Joy-Con has no home light on the left.
fn set(hid: &Path, end: &str, brightness: u16) -> Result<()> {
    let leds = hid.join("leds");
    let light = match first(&leds, |name| name.ends_with(end)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && end == HOME => return Ok(()),
        light => light.with_context(|| format!("cannot find *{end} in {}", leds.display()))?,
    };
    let most = std::fs::read_to_string(light.join("max_brightness"))
        .ok()
        .and_then(|most| most.trim().parse::<u32>().ok())
        .with_context(|| format!("cannot read how bright {} gets", light.display()))?;
    let full = u32::from(u16::MAX);
    let brightness = (u32::from(brightness) * most.min(full) + full / 2) / full;
    let file = light.join("brightness");
    std::fs::write(&file, brightness.to_string())
        .with_context(|| format!("cannot write {}", file.display()))
}

/// The first entry of a directory with such a name.
fn first(directory: &Path, is_it: impl Fn(&str) -> bool) -> io::Result<PathBuf> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&is_it) {
            return Ok(entry.path());
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pad_has_the_reports_of_its_bus() {
        let model = |name, profile| match Lights::of(Path::new(name), profile) {
            Some(Lights::Sony { model, .. }) => Some(model),
            _ => None,
        };
        let (usb, bluetooth) = ("/sys/x/0003:054C:0CE6.0001", "/sys/x/0005:054C:0DF2.002A");
        assert_eq!(model(usb, "dualsense"), Some(Model::DualSense));
        assert_eq!(model(bluetooth, "dualsense-edge"), Some(Model::DualSenseBluetooth));
        assert_eq!(model(usb, "dualshock-4"), Some(Model::DualShock4));
        assert!(Lights::of(Path::new("/sys/x/0003:046D:C24F.0001"), "wheel").is_none());
        assert!(Lights::of(Path::new("/"), "dualsense").is_none());
    }

    #[test]
    fn a_light_is_as_bright_as_it_can_be() {
        let directory = tempfile::tempdir().unwrap();
        let hid = directory.path().join("0005:057E:2009.0001");
        let light = |name: &str| hid.join(format!("leds/0005:057E:2009.0001:{name}"));
        let [one, two, three, four] = [1, 2, 3, 4].map(|number| format!("green:player-{number}"));
        let names = [&one, &two, &three, &four, "blue:player-5"];
        for (name, most) in names.into_iter().zip(["1\n", "1\n", "1\n", "1\n", "15\n"]) {
            std::fs::create_dir_all(light(name)).unwrap();
            std::fs::write(light(name).join("max_brightness"), most).unwrap();
        }
        let mut lights = Lights::of(&hid, "switch-pro").unwrap();
        lights.show(Feedback::PlayerLights { on: 0b1001, blinking: 0b0100 }).unwrap();
        lights.show(Feedback::HomeLight(32_768)).unwrap();
        lights.show(Feedback::LightBar([1, 2, 3])).unwrap();
        let shown =
            names.map(|name| std::fs::read_to_string(light(name).join("brightness")).unwrap());
        assert_eq!(shown, ["1", "0", "1", "1", "8"]);
    }

    #[test]
    fn a_pad_without_a_node_is_told_of() {
        let mut lights =
            Lights::of(Path::new("/nowhere/0003:054C:0CE6.0001"), "dualsense").unwrap();
        // Nothing that it has.
        lights.show(Feedback::HomeLight(1)).unwrap();
        let error = lights.show(Feedback::LightBar([1, 2, 3])).unwrap_err();
        assert!(format!("{error:#}").starts_with("it has no hidraw node: "), "{error:#}");
    }
}
