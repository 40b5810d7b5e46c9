//! What a player may not press unless that was allowed: keys that the host obeys, whosever keyboard they are on.

/// Whether a key is one that a player has a use for. The codes are `KEY_*` of linux/input-event-codes.h.
pub(crate) fn key_is_allowed(key: u8) -> bool {
    !matches!(
        key,
        // Magic SysRq, with Alt: the kernel reboots, or ends programs (drivers/tty/sysrq.c).
        99
        // Power, sleep, wake-up, suspend: systemd-logind turns the host off, or lets it sleep (logind.conf(5), "HandlePowerKey=").
        | 116 | 142 | 143 | 205
        // Bluetooth, wireless LAN, UWB, WWAN, all radios: the kernel turns them off (net/rfkill/input.c).
        | 237 | 238 | 239 | 246 | 247
    )
}

#[cfg(test)]
mod tests {
    use vinput::EventCode;

    use super::*;

    #[test]
    fn keys_that_the_host_obeys_are_not_for_players() {
        let key = |name: &str| u8::try_from(EventCode::from_name(name).unwrap().code).unwrap();
        for name in [
            "KEY_SYSRQ",
            "KEY_POWER",
            "KEY_SLEEP",
            "KEY_WAKEUP",
            "KEY_SUSPEND",
            "KEY_BLUETOOTH",
            "KEY_WLAN",
            "KEY_UWB",
            "KEY_WWAN",
            "KEY_RFKILL",
        ] {
            assert!(!key_is_allowed(key(name)), "{name}");
        }
        for name in ["KEY_A", "KEY_LEFTALT", "KEY_DELETE", "KEY_F1", "KEY_VOLUMEUP", "KEY_MUTE"] {
            assert!(key_is_allowed(key(name)), "{name}");
        }
    }
}
