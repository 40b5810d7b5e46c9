//! Looking for a udevd in a network namespace.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

/// Whether a udevd works in the network namespace of a process: one that is reached at `/run/udev/control`,
/// and somebody who listens to the kernel's events.
///
/// `proc_net` is `/proc/PID/net`. Socket activation counts: systemd holds both sockets for its udevd then. What
/// the file says is the container's to decide: a container may make itself look as if it had a udevd, and may
/// hide one.
///
/// # Errors
///
/// When the lists of sockets cannot be read, such as when the process has ended.
pub fn is_in(proc_net: &Path) -> io::Result<bool> {
    let list = |name| File::open(proc_net.join(name)).map(|file| BufReader::new(file.take(LIMIT)));
    Ok(any_line(list("unix")?, is_control)? && any_line(list("netlink")?, hears_the_kernel)?)
}

/// The sockets in the network namespace of a process that look like udev monitors which never hear anything: libudev
/// puts one into no group when `/run/udev/control` is missing at that moment (`device_monitor_new_full` in systemd's
/// device-monitor.c). Their inode numbers, for the caller to tell them from sockets of its own that only send.
///
/// `proc_net` is `/proc/PID/net`.
///
/// # Errors
///
/// When the list of sockets cannot be read, such as when the process has ended.
pub fn deaf_monitors(proc_net: &Path) -> io::Result<Vec<u64>> {
    let list = BufReader::new(File::open(proc_net.join("netlink"))?.take(LIMIT));
    let mut found = Vec::new();
    for line in list.split(b'\n') {
        found.extend(deaf_monitor(&line?));
    }
    Ok(found)
}

/// So much of a list is looked at: some hundred thousand sockets. More would keep us busy.
const LIMIT: u64 = 16 << 20;

fn any_line(list: impl BufRead, is_it: fn(&[u8]) -> bool) -> io::Result<bool> {
    for line in list.split(b'\n') {
        if is_it(&line?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A line of /proc/net/unix (`unix_seq_show` in net/unix/af_unix.c): `Num RefCount Protocol Flags Type St Inode
/// Path`, of udevd's listening control socket (`udev_ctrl_new_from_fd` in systemd's udev-ctrl.c).
fn is_control(line: &[u8]) -> bool {
    let flags = field(line, 3).and_then(hex).unwrap_or(0);
    let kind = field(line, 4).and_then(hex);
    flags & ACCEPTS_CONNECTIONS != 0
        && kind == Some(SEQPACKET)
        && field(line, 7) == Some(b"/run/udev/control")
        && field(line, 8).is_none()
}

/// A line of /proc/net/netlink (`netlink_native_seq_show` in net/netlink/af_netlink.c): `sk Eth Pid Groups …`,
/// of a socket in the kernel's group of uevents.
fn hears_the_kernel(line: &[u8]) -> bool {
    let groups = field(line, 3).and_then(hex).unwrap_or(0);
    field(line, 1) == Some(KOBJECT_UEVENT) && groups & KERNEL_GROUP != 0
}

/// A line as above, of a socket that is bound (the kernel's own has port 0) and in no group; its inode.
fn deaf_monitor(line: &[u8]) -> Option<u64> {
    let port = field(line, 2).and_then(number)?;
    let groups = field(line, 3).and_then(hex)?;
    let deaf = field(line, 1) == Some(KOBJECT_UEVENT) && port != 0 && groups == 0;
    if deaf { field(line, 9).and_then(number) } else { None }
}

/// `__SO_ACCEPTCON` in include/uapi/linux/net.h.
const ACCEPTS_CONNECTIONS: u32 = 0x1_0000;
/// `SOCK_SEQPACKET`.
const SEQPACKET: u32 = 5;
/// `NETLINK_KOBJECT_UEVENT` in decimal.
const KOBJECT_UEVENT: &[u8] = b"15";
/// `MONITOR_GROUP_KERNEL` in systemd's device-monitor.c.
const KERNEL_GROUP: u32 = 1;

/// The `n`th of the fields that blanks separate.
fn field(line: &[u8], n: usize) -> Option<&[u8]> {
    line.split(|&byte| byte == b' ').filter(|field| !field.is_empty()).nth(n)
}

fn hex(field: &[u8]) -> Option<u32> {
    u32::from_str_radix(str::from_utf8(field).ok()?, 16).ok()
}

fn number(field: &[u8]) -> Option<u64> {
    str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONTROL: &str =
        "00000000e5e6a1f2: 00000002 00000000 00010000 0005 01 23456 /run/udev/control";
    const LISTENER: &str =
        "000000009d1c2b3a 15  0          00000001 0        0        0     2        0        12345";

    #[test]
    fn the_sockets_of_an_udevd_are_known_by_their_lines() {
        assert!(is_control(CONTROL.as_bytes()));
        assert!(hears_the_kernel(LISTENER.as_bytes()));
        // Both groups.
        assert!(hears_the_kernel(LISTENER.replace("00000001", "00000003").as_bytes()));
    }

    #[test]
    fn a_monitor_in_no_group_is_deaf() {
        let deaf = LISTENER.replace("0          00000001", "4711       00000000");
        assert_eq!(deaf_monitor(deaf.as_bytes()), Some(12345));
        // The kernel's own socket, a udev monitor, another protocol.
        for (from, to) in [("4711", "0"), ("00000000", "00000002"), (" 15 ", " 0 ")] {
            assert_eq!(deaf_monitor(deaf.replace(from, to).as_bytes()), None, "{to}");
        }
    }

    #[test]
    fn other_sockets_are_not_taken_for_one() {
        for (from, to) in [
            // A client of udevd, a stream, another place, an abstract name, more behind the name.
            ("00010000", "00000000"),
            (" 0005 ", " 0001 "),
            ("/run/udev/control", "/tmp/run/udev/control"),
            ("/run/udev/control", "@/run/udev/control"),
            ("/run/udev/control", "/run/udev/control x"),
            ("23456", "23456 x"),
        ] {
            assert!(!is_control(CONTROL.replace(from, to).as_bytes()), "{to}");
        }
        for (from, to) in [(" 15 ", " 0 "), ("00000001", "00000002"), ("00000001", "x")] {
            assert!(!hears_the_kernel(LISTENER.replace(from, to).as_bytes()), "{to}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in any::<Vec<u8>>()) {
            is_control(&line);
            hears_the_kernel(&line);
            deaf_monitor(&line);
        }
    }
}
