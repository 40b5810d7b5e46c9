//! The golden messages GV1 to GV7: their bodies, and the headers that systemd's algorithm gives them.
//! GV1 was delivered through a genuine libudev 252.

#![cfg(target_endian = "little")]

use udev_forge::{Message, Properties, Stamp};

use crate::fixture::{KEYBOARD, MOUSE, PAD, forge};

struct Golden {
    header: &'static str,
    /// One property per line, without `UDEV_DATABASE_VERSION=1`, which comes first in all of them.
    body: &'static str,
}

impl Golden {
    fn datagram(&self) -> Vec<u8> {
        let hex: Vec<u8> = self.header.bytes().filter(|byte| *byte != b' ').collect();
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        let mut datagram: Vec<u8> = hex.chunks(2).map(byte).collect();
        datagram.extend(b"UDEV_DATABASE_VERSION=1\0");
        for line in self.body.lines() {
            datagram.extend(line.trim_start().as_bytes());
            datagram.push(0);
        }
        datagram
    }

    fn message(&self) -> Message {
        let mut properties = Properties::new();
        for line in self.body.lines() {
            let (key, value) = line.trim_start().split_once('=').unwrap();
            properties.set(key, value).unwrap();
        }
        Message::new(properties).unwrap()
    }
}

const ADD_PAD_EVENT: Golden = Golden {
    header: "6c696275 64657600 feedcafe 28000000 28000000 2c010000 c1a28470 00000000 02082008 00401009",
    body: "ACTION=add
        DEVPATH=/devices/virtual/input/input20/event5
        SUBSYSTEM=input
        DEVNAME=/dev/input/event5
        SEQNUM=4242
        MAJOR=13
        MINOR=69
        USEC_INITIALIZED=123456789
        ID_INPUT=1
        ID_INPUT_JOYSTICK=1
        .INPUT_CLASS=joystick
        ID_SERIAL=noserial
        TAGS=:seat:uaccess:
        CURRENT_TAGS=:seat:uaccess:",
};

const ADD_PAD: Golden = Golden {
    header: "6c696275 64657600 feedcafe 28000000 28000000 e5010000 c1a28470 00000000 02080000 00400001",
    body: "ACTION=add
        DEVPATH=/devices/virtual/input/input20
        SUBSYSTEM=input
        PRODUCT=3/45e/2ea/408
        NAME=\"Wolf X-Box One (virtual) pad\"
        PROP=0
        EV=20000b
        KEY=7cdb000000000000 0 0 0 0
        ABS=3003f
        FF=100010000 0
        MODALIAS=input:b0003v045Ep02EAe0408-e0,1,3,15,k130,131,133,134,136,137,13A,13B,13C,13D,13E,ra0,1,2,3,4,5,10,11,mlsf50,60,w
        SEQNUM=4241
        USEC_INITIALIZED=123456700
        ID_INPUT=1
        ID_INPUT_JOYSTICK=1
        .INPUT_CLASS=joystick
        ID_SERIAL=noserial
        TAGS=:seat:
        CURRENT_TAGS=:seat:",
};

const ADD_HIDRAW: Golden = Golden {
    header: "6c696275 64657600 feedcafe 28000000 28000000 f8000000 c2caf397 00000000 02082008 00401009",
    body: "ACTION=add
        DEVPATH=/devices/virtual/misc/uhid/0003:054C:0CE6.0005/hidraw/hidraw3
        SUBSYSTEM=hidraw
        DEVNAME=/dev/hidraw3
        SEQNUM=5000
        MAJOR=240
        MINOR=3
        USEC_INITIALIZED=123456789
        TAGS=:seat:uaccess:
        CURRENT_TAGS=:seat:uaccess:",
};

const ADD_USB: Golden = Golden {
    header: "6c696275 64657600 feedcafe 28000000 28000000 ec000000 0577c5e5 27f8f50c 02080000 00400001",
    body: "ACTION=add
        DEVPATH=/devices/pci0000:00/0000:00:14.0/usb1/1-1
        SUBSYSTEM=usb
        DEVNAME=/dev/bus/usb/001/002
        DEVTYPE=usb_device
        SEQNUM=6000
        MAJOR=189
        MINOR=1
        USEC_INITIALIZED=123456789
        TAGS=:seat:
        CURRENT_TAGS=:seat:",
};

const REMOVE_PAD_EVENT: Golden = Golden {
    header: "6c696275 64657600 feedcafe 28000000 28000000 19010000 c1a28470 00000000 02082008 00401009",
    body: "ACTION=remove
        DEVPATH=/devices/virtual/input/input20/event5
        SUBSYSTEM=input
        DEVNAME=/dev/input/event5
        SEQNUM=4300
        MAJOR=13
        MINOR=69
        USEC_INITIALIZED=123456789
        ID_INPUT=1
        ID_INPUT_JOYSTICK=1
        ID_SERIAL=noserial
        TAGS=:seat:uaccess:
        CURRENT_TAGS=:seat:uaccess:",
};

const ADD_KEYBOARD_EVENT: Golden = Golden {
    header: "6c696275 64657600 feedcafe 28000000 28000000 36010000 c1a28470 00000000 80002000 40000010",
    body: "ACTION=add
        DEVPATH=/devices/virtual/input/input23/event8
        SUBSYSTEM=input
        DEVNAME=/dev/input/event8
        SEQNUM=4250
        MAJOR=13
        MINOR=72
        USEC_INITIALIZED=123456789
        ID_INPUT=1
        ID_INPUT_KEY=1
        ID_INPUT_KEYBOARD=1
        .INPUT_CLASS=kbd
        ID_SERIAL=noserial
        TAGS=:power-switch:
        CURRENT_TAGS=:power-switch:",
};

const ADD_MOUSE_EVENT: Golden = Golden {
    header: "6c696275 64657600 feedcafe 28000000 28000000 f6000000 c1a28470 00000000 00000000 00000000",
    body: "ACTION=add
        DEVPATH=/devices/virtual/input/input21/event6
        SUBSYSTEM=input
        DEVNAME=/dev/input/event6
        SEQNUM=4251
        MAJOR=13
        MINOR=70
        USEC_INITIALIZED=123456789
        ID_INPUT=1
        ID_INPUT_MOUSE=1
        .INPUT_CLASS=mouse
        ID_SERIAL=noserial",
};

#[test]
fn every_golden_message_is_encoded_and_parsed_byte_for_byte() {
    let all = [
        (ADD_PAD_EVENT, 340),
        (ADD_PAD, 525),
        (ADD_HIDRAW, 288),
        (ADD_USB, 276),
        (REMOVE_PAD_EVENT, 321),
        (ADD_KEYBOARD_EVENT, 350),
        (ADD_MOUSE_EVENT, 286),
    ];
    for (golden, size) in all {
        let (datagram, message) = (golden.datagram(), golden.message());
        assert_eq!(datagram.len(), size);
        assert_eq!(message.encode(), datagram);
        assert_eq!(Message::parse(&datagram), Ok(message));
    }
}

#[test]
fn what_is_forged_from_sysfs_is_the_golden_message() {
    let pad = forge(&PAD, Some("event5"), 4242, 123_456_789);
    assert_eq!(pad.add_message().encode(), ADD_PAD_EVENT.datagram());
    assert_eq!(
        pad.remove_message(Stamp { seqnum: 4300, usec_initialized: 999 }).encode(),
        REMOVE_PAD_EVENT.datagram()
    );

    let parent = forge(&PAD, None, 4241, 123_456_700);
    assert_eq!(parent.add_message().encode(), ADD_PAD.datagram());

    let keyboard = forge(&KEYBOARD, Some("event8"), 4250, 123_456_789);
    assert_eq!(keyboard.add_message().encode(), ADD_KEYBOARD_EVENT.datagram());

    let mouse = forge(&MOUSE, Some("event6"), 4251, 123_456_789);
    assert_eq!(mouse.add_message().encode(), ADD_MOUSE_EVENT.datagram());
}

/// systemd-udevd 252 on Linux 6.18, after `udevadm trigger`.
#[test]
fn a_captured_message_of_the_real_udevd_is_parsed_and_encoded_again() {
    let captured = Golden {
        header: "6c696275 64657600 feedcafe 28000000 28000000 b9000000 c365cd83 00000000 00000000 00000000",
        body: "ACTION=change
            DEVPATH=/devices/virtual/mem/null
            SUBSYSTEM=mem
            SYNTH_UUID=0
            DEVNAME=/dev/null
            DEVMODE=0666
            SEQNUM=896
            MAJOR=1
            MINOR=3
            USEC_INITIALIZED=2671925532",
    };
    assert_eq!(captured.datagram().len(), 225);
    assert_eq!(Message::parse(&captured.datagram()).unwrap().encode(), captured.datagram());
}
