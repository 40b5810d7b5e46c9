//! The least server: what comes from the network is written to uinput, as a C program would, and nothing else.

use std::fs::File;
use std::io::{Read, Write, stdout};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use vinput::uinput::Device;
use vinput::{DeviceName, Profile};

use super::{RECORD, Way};

/// Of `struct input_event`.
const EVENT: usize = size_of::<libc::input_event>();

struct Pad {
    uinput: File,
    _device: Device,
}

pub(super) fn run(way: Way, count: u8) -> Result<()> {
    let profile = Profile::builtin("gamepad").context("no pad")?;
    let mut pads = Vec::new();
    let mut nodes = String::new();
    for number in 0..count {
        let phys = DeviceName::new(format!("bench/plain{number}"))?;
        let device = Device::create(profile, profile.device_name(), &phys)?;
        let node = device.nodes().iter().find(|node| node.is_event()).context("no node")?;
        nodes.push_str(&format!(" /dev/{}", node.devname));
        let uinput = File::from(device.as_fd().try_clone_to_owned()?);
        pads.push(Pad { uinput, _device: device });
    }
    let here = (Ipv4Addr::LOCALHOST, 0);
    match way {
        Way::Udp => {
            let socket = UdpSocket::bind(here)?;
            say(&format!("listening {}{nodes}", socket.local_addr()?))?;
            let mut datagram = [0; 2048];
            loop {
                let length = socket.recv(&mut datagram)?;
                write(&mut pads, &datagram[..length])?;
            }
        }
        Way::Tcp => {
            let listener = TcpListener::bind(here)?;
            say(&format!("listening {}{nodes}", listener.local_addr()?))?;
            // A thread for each player.
            let pads = Mutex::new(pads);
            thread::scope(|scope| {
                loop {
                    let (stream, _) = listener.accept()?;
                    let pads = &pads;
                    // It ends with its player, whose going is no error of ours.
                    scope.spawn(move || drop(serve(stream, pads)));
                }
            })
        }
    }
}

fn serve(stream: TcpStream, pads: &Mutex<Vec<Pad>>) -> Result<()> {
    let mut records = Records::new(stream)?;
    loop {
        let whole = records.take()?;
        write(&mut pads.lock().unwrap_or_else(PoisonError::into_inner), whole)?;
    }
}

/// Records as they come on a stream.
struct Records {
    stream: TcpStream,
    bytes: [u8; 2048],
    /// Up to where there are bytes, and how many of those were taken.
    held: usize,
    taken: usize,
}

impl Records {
    fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, bytes: [0; 2048], held: 0, taken: 0 })
    }

    /// The next ones that are whole; an error at the end.
    fn take(&mut self) -> Result<&[u8]> {
        self.bytes.copy_within(self.taken..self.held, 0);
        self.held -= self.taken;
        let length = self.stream.read(&mut self.bytes[self.held..])?;
        ensure!(length > 0, "the player is gone");
        self.held += length;
        self.taken = self.held - self.held % RECORD;
        Ok(&self.bytes[..self.taken])
    }
}

fn say(line: &str) -> Result<()> {
    println!("{line}");
    Ok(stdout().flush()?)
}

fn write(pads: &mut [Pad], records: &[u8]) -> Result<()> {
    for record in records.chunks_exact(RECORD) {
        let pad = pads.get_mut(usize::from(record[0])).context("no such pad")?;
        let axis = |at: usize| i32::from(i16::from_le_bytes([record[at], record[at + 1]]));
        // ABS_X, ABS_Y, ABS_RX, ABS_RY, SYN_REPORT.
        let frame = [
            event(3, 0, axis(1)),
            event(3, 1, axis(3)),
            event(3, 3, axis(5)),
            event(3, 4, axis(7)),
            event(0, 0, 0),
        ];
        let frame = frame.as_flattened();
        ensure!(pad.uinput.write(frame)? == frame.len(), "a short write");
    }
    Ok(())
}

/// A `struct input_event` without its time.
fn event(kind: u16, code: u16, value: i32) -> [u8; EVENT] {
    let mut event = [0; EVENT];
    event[EVENT - 8..EVENT - 6].copy_from_slice(&kind.to_ne_bytes());
    event[EVENT - 6..EVENT - 4].copy_from_slice(&code.to_ne_bytes());
    event[EVENT - 4..].copy_from_slice(&value.to_ne_bytes());
    event
}
