//! 60-fido-id.rules: security tokens and smart card readers.

use super::event::Event;

pub(super) fn fido_id(event: &mut Event<'_>) {
    if event.is_in("hidraw") && is_fido_token(event) {
        event.set("ID_FIDO_TOKEN", "1");
        event.set("ID_SECURITY_TOKEN", "1");
    }
    if event.get("ID_SECURITY_TOKEN") == "1" {
        event.tag("security-device");
    }
    // Interface class 0x0b of USB: chip and smart card.
    if event.is_usb_device() && event.get("ID_USB_INTERFACES").contains(":0b") {
        event.set("ID_SMARTCARD_READER", "1");
    }
    if event.get("ID_SMARTCARD_READER") == "1" {
        event.tag("security-device");
    }
}

fn is_fido_token(event: &Event<'_>) -> bool {
    let parent = event.device.chain().get(1);
    parent.is_some_and(|parent| has_usage(&parent.descriptors, FIDO_CTAPHID))
}

/// The usage page of FIDO and its usage for CTAPHID (HID usage tables 1.12, page 0xf1d0).
const FIDO_CTAPHID: u32 = 0xf1d0_0001;

/// Whether a HID report descriptor declares a usage (Device Class Definition for HID 1.11, 6.2.2;
/// `is_fido_security_token_desc` in systemd's src/udev/fido_id/fido_id_desc.c).
fn has_usage(descriptor: &[u8], wanted: u32) -> bool {
    const LONG_ITEM: u8 = 0xfe;
    /// Type global and local, with the tags usage page and usage.
    const USAGE_PAGE: u8 = 0x04;
    const USAGE: u8 = 0x08;

    let mut usage = 0;
    let mut rest = descriptor;
    while let Some((&prefix, after)) = rest.split_first() {
        if prefix == LONG_ITEM {
            let Some(&size) = after.first() else { return false };
            rest = rest.get(usize::from(size) + 3..).unwrap_or_default();
            continue;
        }
        let size = [0, 1, 2, 4][usize::from(prefix & 3)];
        let Some((data, after)) = after.split_at_checked(size) else { return false };
        let value = data.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
        match prefix & !3 {
            USAGE_PAGE if size > 2 => return false,
            USAGE_PAGE => usage = value << 16,
            USAGE => {
                usage = if size == 4 { value } else { usage & 0xffff_0000 | value };
                if usage == wanted {
                    return true;
                }
            }
            _ => {}
        }
        rest = after;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_usage() {
        assert!(has_usage(&[0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01], FIDO_CTAPHID));
        assert!(has_usage(&[0xfe, 2, 0, 9, 9, 0x0b, 1, 0, 0xd0, 0xf1], FIDO_CTAPHID));
        assert!(!has_usage(&[0x05, 0x01, 0x09, 0x01], FIDO_CTAPHID));
        for broken in [&[][..], &[0x06], &[0x06, 0xd0], &[0xfe], &[0xfe, 200], &[0x07, 0, 0, 0, 0]]
        {
            assert!(!has_usage(broken, FIDO_CTAPHID));
        }
    }
}
