//! The battery of a real pad, as its driver tells of it (Documentation/ABI/testing/sysfs-class-power).

use std::fs;
use std::path::Path;
use std::time::Duration;

use hotseat_client::Device;
use hotseat_wire::{Battery, Change};
use tokio::sync::watch;

/// How often it is looked at: it lasts for hours, and some drivers ask the pad each time.
const PERIOD: Duration = Duration::from_secs(20);

/// Tells the session how the battery of a pad with this HID device is, as long as the pad is there.
pub(super) async fn follow(mut pad: watch::Receiver<Option<Device>>, hid: &Path) {
    let mut ticks = tokio::time::interval(PERIOD);
    while pad.wait_for(Option::is_some).await.is_ok() {
        tokio::select! {
            // One that comes late is found then.
            _ = ticks.tick() => {}
            gone = pad.changed() => match gone {
                Ok(()) => continue,
                Err(_) => return,
            },
        }
        let path = hid.to_owned();
        let battery = tokio::task::spawn_blocking(move || read(&path)).await;
        if let (Ok(Some(battery)), Some(pad)) = (battery, &*pad.borrow()) {
            pad.change(Change::Battery(battery));
        }
    }
}

fn read(hid: &Path) -> Option<Battery> {
    let supplies = fs::read_dir(hid.join("power_supply")).ok()?.flatten();
    supplies.map(|supply| supply.path()).find_map(|supply| {
        let text = |name| fs::read_to_string(supply.join(name)).ok();
        let percent: u8 = text("capacity")?.trim().parse().ok()?;
        let charging = matches!(text("status")?.trim(), "Charging" | "Full");
        Some(Battery { percent: percent.min(100), charging })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_battery_is_as_its_driver_tells() {
        let hid = tempfile::tempdir().unwrap();
        assert_eq!(read(hid.path()), None);
        let supply = hid.path().join("power_supply/ps-controller-battery-a0:ab:51:00:00:00");
        fs::create_dir_all(&supply).unwrap();
        for (capacity, status, expected) in [
            ("55\n", "Discharging\n", Some(Battery { percent: 55, charging: false })),
            ("100\n", "Full\n", Some(Battery { percent: 100, charging: true })),
            ("5\n", "Charging\n", Some(Battery { percent: 5, charging: true })),
            ("\n", "Unknown\n", None),
        ] {
            fs::write(supply.join("capacity"), capacity).unwrap();
            fs::write(supply.join("status"), status).unwrap();
            assert_eq!(read(hid.path()), expected, "{status}");
        }
    }
}
