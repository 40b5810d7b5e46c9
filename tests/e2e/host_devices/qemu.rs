//! QEMU's own USB hardware, plugged into the machine that the test runs in (`PORTS` in xtask/src/vm/run.rs).

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};

use serde_json::{Value, json};

/// A port of the machine, whose other end is in QEMU. Only one program can have it open.
fn port(name: &str) -> File {
    let path = format!("/dev/virtio-ports/hotseat.{name}");
    File::options().read(true).write(true).open(path).unwrap()
}

/// The monitor of the QEMU that emulates this machine.
pub(super) struct Qemu {
    monitor: BufReader<File>,
    plugged: Vec<String>,
}

impl Qemu {
    /// `None` where no QEMU is that lets tests plug hardware in.
    pub(super) fn here() -> Option<Self> {
        if !std::fs::exists("/dev/virtio-ports/hotseat.qmp").unwrap() {
            eprintln!("SKIP(needs the QEMU of the test machine)");
            return None;
        }
        let mut qemu = Self { monitor: BufReader::new(port("qmp")), plugged: Vec::new() };
        // An earlier test may have done so: QEMU says that, and goes on.
        let _ = qemu.execute(&json!({"execute": "qmp_capabilities"}));
        Some(qemu)
    }

    /// One command. Events and the greeting stand between the answers.
    fn execute(&mut self, command: &Value) -> Result<(), String> {
        writeln!(self.monitor.get_mut(), "{command}").unwrap();
        self.wait_for(|said| {
            let error = said["error"]["desc"].as_str().map(|text| Err(text.to_owned()));
            error.or_else(|| said.get("return").map(|_| Ok(())))
        })
    }

    fn wait_for<T>(&mut self, is_it: impl Fn(&Value) -> Option<T>) -> T {
        loop {
            let mut line = String::new();
            assert_ne!(self.monitor.read_line(&mut line).unwrap(), 0, "QEMU's monitor ends");
            if let Some(found) = is_it(&serde_json::from_str(&line).unwrap()) {
                return found;
            }
        }
    }

    /// Plugs a device in: the arguments of `device_add`.
    pub(super) fn plug(&mut self, device: Value) {
        let command = json!({"execute": "device_add", "arguments": device});
        let plugged = loop {
            match self.execute(&command) {
                // The last one is gone from the machine, and not yet from QEMU, which says nothing when it is.
                Err(error) if error.contains("in use") => {}
                plugged => break plugged,
            }
        };
        plugged.unwrap();
        self.plugged.push(device["id"].as_str().unwrap().to_owned());
    }

    /// Pulls a device out, with what is in it.
    pub(super) fn unplug(&mut self, id: &str) {
        self.plugged.retain(|plugged| plugged != id);
        self.execute(&json!({"execute": "device_del", "arguments": {"id": id}})).unwrap();
        self.wait_for(|said| {
            let is_gone = said["event"] == "DEVICE_DELETED" && said["data"]["device"] == id;
            is_gone.then_some(())
        });
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        for id in std::mem::take(&mut self.plugged) {
            let _ = self.execute(&json!({"execute": "device_del", "arguments": {"id": id}}));
        }
    }
}

/// The far end of the serial line.
pub(super) struct FarEnd(BufReader<File>);

impl FarEnd {
    pub(super) fn new() -> Self {
        Self(BufReader::new(port("line")))
    }

    /// Reads a line, and writes the answer.
    pub(super) fn answer(&mut self, heard: &str, answer: &str) {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), heard);
        writeln!(self.0.get_mut(), "{answer}").unwrap();
    }
}

/// A smart card, as what is at the far end of QEMU's `ccid-card-passthru` is to say it: the VSCard protocol (vscard_common.h of
/// libcacard). A message is its type, the reader's number and its length, 32 bits each, the highest first, and its content.
pub(super) struct Card(File);

impl Card {
    pub(super) fn new() -> Self {
        Self(port("card"))
    }

    /// Puts it into the reader. The answer to reset is all that it ever says.
    pub(super) fn insert(&mut self, answer_to_reset: &[u8]) {
        const READER_ADD: u32 = 3;
        const ATR: u32 = 5;
        self.tell(READER_ADD, &[]);
        self.tell(ATR, answer_to_reset);
    }

    pub(super) fn remove(&mut self) {
        const CARD_REMOVE: u32 = 6;
        self.tell(CARD_REMOVE, &[]);
    }

    /// Says something, and reads on to the answer, which is an error in any case: one that says whether there was one.
    fn tell(&mut self, kind: u32, content: &[u8]) {
        const ERROR: u32 = 2;
        let length = u32::try_from(content.len()).unwrap();
        let header = [kind, 0, length].map(u32::to_be_bytes).concat();
        self.0.write_all(&[&header, content].concat()).unwrap();
        loop {
            let mut header = [0; 12];
            self.0.read_exact(&mut header).unwrap();
            let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
            let mut content = vec![0; word(8) as usize];
            self.0.read_exact(&mut content).unwrap();
            if word(0) == ERROR {
                assert_eq!(content, [0; 4], "the reader refuses message {kind}");
                return;
            }
        }
    }
}
