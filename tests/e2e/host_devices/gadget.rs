//! A real USB device, made of the kernel's own gadget drivers: what it is plugged into is `dummy_hcd`.

use std::fs;
use std::path::Path;

use crate::harness::{Program, sh};

const GADGET: &str = "/sys/kernel/config/usb_gadget/conbee";

/// A ConBee II, as the gateway of the balenaOS text has it: vendor, product, serial number, one serial line. Not plugged in.
pub(super) struct ConBee;

impl ConBee {
    pub(super) fn new() -> Self {
        sh(&format!(
            "modprobe -a dummy_hcd libcomposite usb_f_acm cdc_acm
             mkdir {GADGET}; cd {GADGET}
             echo 0x1cf1 > idVendor; echo 0x0030 > idProduct
             mkdir strings/0x409 configs/c.1 functions/acm.0
             echo 'dresden elektronik ingenieurtechnik GmbH' > strings/0x409/manufacturer
             echo 'ConBee II' > strings/0x409/product
             echo DE2706277 > strings/0x409/serialnumber
             ln -s functions/acm.0 configs/c.1/"
        ));
        Self
    }

    pub(super) fn plug(&self) {
        fs::write(Path::new(GADGET).join("UDC"), "dummy_udc.0\n").unwrap();
    }

    pub(super) fn unplug(&self) {
        fs::write(Path::new(GADGET).join("UDC"), "\n").unwrap();
    }

    /// The firmware at the other end of the line: it answers `ping N` with `pong N`, until it is unplugged.
    pub(super) fn firmware(&self) -> Program {
        let mut firmware = Program::start(&[
            "sh",
            "-c",
            "exec 3<>/dev/ttyGS0; stty raw -echo <&3; echo listening
             while read word number <&3; do echo heard $word $number; echo pong $number >&3; done",
        ]);
        firmware.expect("listening");
        firmware
    }
}

impl Drop for ConBee {
    fn drop(&mut self) {
        let _ = fs::write(Path::new(GADGET).join("UDC"), "\n");
        sh(&format!(
            "cd {GADGET}; rm configs/c.1/acm.0; rmdir configs/c.1 functions/acm.0 strings/0x409; cd /; rmdir {GADGET}"
        ));
    }
}
