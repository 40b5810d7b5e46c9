//! The profiles that are compiled in.

use std::sync::LazyLock;

use super::Profile;

static BUILTINS: LazyLock<Vec<Profile>> = LazyLock::new(|| {
    [
        include_str!("../../profiles/xbox-360.toml"),
        include_str!("../../profiles/xbox-one.toml"),
        include_str!("../../profiles/xbox-series.toml"),
        include_str!("../../profiles/xbox-elite.toml"),
        include_str!("../../profiles/dualsense-uinput.toml"),
        include_str!("../../profiles/dualshock-4-uinput.toml"),
        include_str!("../../profiles/switch-pro-uinput.toml"),
        include_str!("../../profiles/joy-con-l-uinput.toml"),
        include_str!("../../profiles/joy-con-r-uinput.toml"),
        include_str!("../../profiles/gamepad.toml"),
        include_str!("../../profiles/arcade-stick.toml"),
        include_str!("../../profiles/flight-stick.toml"),
        include_str!("../../profiles/wheel.toml"),
        include_str!("../../profiles/keyboard.toml"),
        include_str!("../../profiles/mouse.toml"),
        include_str!("../../profiles/mouse-absolute.toml"),
        include_str!("../../profiles/touchscreen.toml"),
        include_str!("../../profiles/touchpad.toml"),
        include_str!("../../profiles/pen-tablet.toml"),
    ]
    .map(parse)
    .into()
});

pub(super) fn all() -> impl Iterator<Item = &'static Profile> {
    BUILTINS.iter()
}

#[expect(clippy::expect_used, reason = "the tests parse every built-in profile")]
fn parse(toml: &str) -> Profile {
    Profile::parse(toml).expect("a built-in profile is valid")
}

#[cfg(test)]
mod tests;
