//! QEMU's own hardware: a serial line and a reader of smart cards, plugged in and pulled out while the programs that are for
//! them run in unprivileged containers.

use serde_json::json;

use super::qemu::{Card, FarEnd, Qemu};
use super::{ADD_ON, LISTING, expect_event, session, watching};
use crate::harness::{Container, Program, sh};

/// QEMU's FTDI chip.
#[test]
fn qemus_serial_line_is_opened_with_pyserial_pulled_out_and_opened_again() {
    let Some(mut qemu) = Qemu::here() else { return };
    let mut far_end = FarEnd::new();
    let daemon = watching();
    let (gateway, other) = (Container::start("gateway"), Container::start("other"));
    session(&daemon, "gateway", &gateway);
    session(&daemon, "other", &other);
    let before = (daemon.traces(), gateway.sh(LISTING), other.sh(LISTING));
    let rule = ["--subsystem", "tty", "--driver", "ftdi_sio", "--serial", "HS0001"];
    daemon.hotseat(&[&["rule", "add", "gateway"], &rule[..]].concat());
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    let mut add_on = gateway.python(ADD_ON);
    add_on.expect("waiting");
    let mut elsewhere = other.python(ADD_ON);
    elsewhere.expect("waiting");

    for round in ["1", "2"] {
        let line = json!({"driver": "usb-serial", "id": "ftdi", "chardev": "line", "bus": "usb.0", "serial": "HS0001"});
        qemu.plug(line);
        let added = add_on.expect("add /dev/ttyUSB");
        let node = added.split_whitespace().nth(1).unwrap();
        assert!(added.ends_with(" 0403 6001 HS0001 True\n"), "{added}");
        add_on.expect("found USB VID:PID=0403:6001 SER=HS0001");
        far_end.answer(&format!("ping {round}"), &format!("pong {round}"));
        add_on.expect(&format!("answer pong {round}"));
        expect_event(&mut watcher, "host-plugged", node);
        // By the name that stays the same, too, as on the host.
        let by_id = "stat -L -c '%n %F %t %T' /dev/serial/by-id/*HS0001*";
        assert_eq!(gateway.sh(by_id), sh(by_id));
        assert_eq!(other.sh(LISTING), before.2);

        qemu.unplug("ftdi");
        add_on.expect(&format!("remove {node}"));
        add_on.expect("absent");
        add_on.expect("ended b''");
        expect_event(&mut watcher, "host-unplugged", node);
        assert_eq!(gateway.sh(LISTING), before.1);
    }

    let heard = elsewhere.end("TERM");
    assert!(!heard.contains("add"), "{heard}");
    add_on.end("TERM");
    watcher.end("TERM");
    daemon.hotseat(&["rule", "rm", "gateway", "1"]);
    assert_eq!(other.sh(LISTING), before.2);
    daemon.returns_to(&before.0);
}

/// pcscd as it is, but for polkit, which has no one to ask in a container.
fn pcscd(container: &Container) -> Program {
    let mut pcscd =
        container.program(&[], &["pcscd", "--foreground", "--info", "--disable-polkit"]);
    // Its socket is there.
    pcscd.expect("Using drivers directory");
    pcscd
}

/// Avassa: pcscd hears of the reader at hotplug, and what is said of its card at pcsc_scan.
#[test]
fn the_smart_card_reader_of_avassas_tutorial_is_found_by_pcscd_and_pcsc_scan() {
    let Some(mut qemu) = Qemu::here() else { return };
    let mut card = Card::new();
    let daemon = watching();
    let (desk, other) = (Container::start("desk"), Container::start("other"));
    session(&daemon, "desk", &desk);
    session(&daemon, "other", &other);
    let before = (daemon.traces(), desk.sh(LISTING), other.sh(LISTING));
    let rule = ["--subsystem", "usb", "--interface-class", "0b", "--serial", "HS0002"];
    daemon.hotseat(&[&["rule", "add", "desk"], &rule[..]].concat());
    let mut watcher = daemon.watch(&["--json", "--since", "0-0"]);
    let (mut service, elsewhere) = (pcscd(&desk), pcscd(&other));
    let mut scan = desk.program(&[], &["pcsc_scan", "-n"]);
    scan.expect("Scanning present readers");
    assert_eq!(desk.sh("pcsc_scan -r | tail -n 1").trim(), "No reader found.");

    for _ in 0..2 {
        qemu.plug(
            json!({"driver": "usb-ccid", "id": "reader", "bus": "usb.0", "serial": "HS0002"}),
        );
        qemu.plug(json!({"driver": "ccid-card-passthru", "id": "card", "bus": "reader.0", "chardev": "card"}));
        expect_event(&mut watcher, "host-plugged", "/dev/bus/usb/");
        expect_event(&mut watcher, "host-plugged", "/sys/devices/");
        service.expect("USB Device add");
        let name = scan.expect("Reader 0:");
        assert!(name.contains("HS0002"), "{name}");
        scan.expect("Card removed");
        // Bytes go both ways: the card's answer to reset, by way of the reader.
        card.insert(&[0x3b, 0x02, 0x14, 0x50]);
        scan.expect("Card inserted");
        scan.expect("ATR: 3B 02 14 50");
        card.remove();
        scan.expect("Card removed");

        qemu.unplug("reader");
        service.expect("Removing USB device");
        scan.expect("Scanning present readers");
        assert_eq!(desk.sh("pcsc_scan -r | tail -n 1").trim(), "No reader found.");
        expect_event(&mut watcher, "host-unplugged", "/dev/bus/usb/");
        assert_eq!(desk.sh(LISTING), before.1);
    }

    assert_eq!(other.sh("pcsc_scan -r | tail -n 1").trim(), "No reader found.");
    let heard = elsewhere.end("TERM");
    assert!(!heard.contains("HS0002") && !heard.contains("USB Device add"), "{heard}");
    scan.end("TERM");
    service.end("TERM");
    daemon.hotseat(&["rule", "rm", "desk", "1"]);
    assert_eq!(other.sh(LISTING), before.2);
    watcher.end("TERM");
    daemon.returns_to(&before.0);
}
