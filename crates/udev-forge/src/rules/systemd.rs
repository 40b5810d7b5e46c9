//! 99-systemd.rules: what becomes a unit of systemd.

use super::event::Event;

pub(super) fn apply(event: &mut Event<'_>) {
    let name = event.device.sysname();
    let is_line = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_terminal = name.strip_prefix("tty").is_some_and(is_line)
        || ["hvc", "xvc", "hvsi", "sclp_line"].iter().any(|line| name.starts_with(line));
    if event.is_in("tty") && is_terminal {
        event.tag("systemd");
        if event.is_named("ttyS") && is_unused_8250(event) {
            event.set("SYSTEMD_READY", "0");
        }
    }
    if event.has("ID_SMARTCARD_READER") {
        event.tag("systemd");
        event.set("SYSTEMD_WANTS", "smartcard.target");
        event.set("SYSTEMD_USER_WANTS", "smartcard.target");
    }
}

/// The 8250 driver makes nodes for ports that may not exist.
fn is_unused_8250(event: &Event<'_>) -> bool {
    let mut chain = event.device.chain().iter();
    let is_zero = |name| {
        let own = event.device.own();
        own.and_then(|own| own.attribute(name)) == Some("0x0")
    };
    chain.any(|object| object.driver.as_deref() == Some("serial8250"))
        && is_zero("port")
        && is_zero("iomem_base")
}
