//! The process that makes a device, hands its descriptor over, and is killed.

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use std::{fs, fs::File, io};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use vinput::feedback::Player;
use vinput::uhid::{self, Mac, Model, State};
use vinput::{DeviceName, Node, Profile, hid, uinput};

use crate::own;

/// Which device the process makes, and for which test.
const DEVICE: &str = "VINPUT_ADOPT_DEVICE";
const TEST: &str = "VINPUT_ADOPT_TEST";

/// Most bytes of a message.
const SIZE: usize = 64 * 1024;

/// Another process that has a device.
pub(crate) struct Maker {
    child: Child,
    socket: File,
    /// A duplicate of its descriptor of uinput or uhid.
    pub(crate) descriptor: OwnedFd,
    /// The nodes that the device has in that process.
    pub(crate) nodes: Vec<Node>,
    inodes: Vec<u64>,
}

impl Maker {
    /// Has a process make a device of a profile or model, or `None` where there is no kernel to test.
    pub(crate) fn start(device: &str, test: &str) -> Option<Self> {
        if ![uinput::DEFAULT_PATH, uhid::DEFAULT_PATH].iter().all(|path| Path::new(path).exists()) {
            assert!(
                std::env::var_os("HOTSEAT_VM").is_none(),
                "no uinput or uhid in the test machine"
            );
            // Not eprintln!, which the test harness keeps to itself.
            io::stderr().write_all(b"SKIP(no /dev/uinput or /dev/uhid)\n").unwrap();
            return None;
        }
        let flags = SockFlag::SOCK_CLOEXEC;
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "maker::a_process_with_a_device", "--ignored", "--nocapture"])
            .env(DEVICE, device)
            .env(TEST, test)
            .stdin(theirs)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let socket = File::from(ours);
        let (nodes, descriptor) = receive(&socket);
        let nodes: Vec<Node> = serde_json::from_slice(&nodes).unwrap();
        let inodes = inodes(&nodes);
        Some(Self { child, socket, descriptor: descriptor.unwrap(), nodes, inodes })
    }

    /// Has the process set controls; gives its snapshot after that and after all that the device was told.
    pub(crate) fn set(&mut self, inputs: &[&str]) -> Vec<u8> {
        self.socket.write_all(format!("set {}", inputs.join(" ")).as_bytes()).unwrap();
        let mut snapshot = vec![0; SIZE];
        let length = self.socket.read(&mut snapshot).unwrap();
        assert_ne!(length, 0, "the process with the device has ended");
        snapshot.truncate(length);
        snapshot
    }

    /// Kills the process at once, and gives what is left of the device.
    pub(crate) fn kill(mut self) -> (OwnedFd, Left) {
        self.child.kill().unwrap(); // SIGKILL
        self.child.wait().unwrap();
        (self.descriptor, Left { nodes: self.nodes, inodes: self.inodes })
    }
}

/// How the device looked before its process was killed.
pub(crate) struct Left {
    pub(crate) nodes: Vec<Node>,
    inodes: Vec<u64>,
}

impl Left {
    /// Nodes with the same numbers and names, which nobody has made anew.
    pub(crate) fn is_same(&self, nodes: &[Node]) {
        assert_eq!(nodes, self.nodes);
        assert_eq!(inodes(nodes), self.inodes);
    }
}

fn inodes(nodes: &[Node]) -> Vec<u64> {
    let path = |node: &Node| Path::new("/dev").join(&node.devname);
    nodes.iter().map(|node| fs::metadata(path(node)).unwrap().ino()).collect()
}

/// A message, and the descriptor that came with it.
fn receive(socket: &File) -> (Vec<u8>, Option<OwnedFd>) {
    let mut bytes = vec![0; SIZE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut extra = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let length = recvmsg(socket, &mut parts, &mut extra, RecvFlags::CMSG_CLOEXEC).unwrap().bytes;
    bytes.truncate(length);
    let descriptor = extra.drain().find_map(|it| match it {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    (bytes, descriptor)
}

fn send(socket: &File, bytes: &[u8], descriptor: BorrowedFd<'_>) {
    let fds = [descriptor];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut extra = SendAncillaryBuffer::new(&mut space);
    assert!(extra.push(SendAncillaryMessage::ScmRights(&fds)));
    sendmsg(socket, &[IoSlice::new(bytes)], &mut extra, SendFlags::empty()).unwrap();
}

/// What the process has.
enum Device {
    Uinput(uinput::Device, &'static Profile, Box<Player>),
    Pad(uhid::Device, State),
    Own(hid::Device),
}

impl Device {
    fn create(device: &str, test: &str) -> Self {
        let (phys, mac) = (phys(test), Mac::derived_from(test));
        if let Some(profile) = Profile::builtin(device) {
            let made = uinput::Device::create(profile, profile.device_name(), &phys).unwrap();
            return Self::Uinput(made, profile, Box::new(Player::new(profile)));
        }
        if let Some(model) = Model::ALL.into_iter().find(|model| model.name() == device) {
            let name = DeviceName::new(model.device_name()).unwrap();
            return Self::Pad(
                uhid::Device::create(model, &name, &phys, mac).unwrap(),
                State::NEUTRAL,
            );
        }
        Self::Own(hid::Device::create(&own::profile(), None, &phys, mac).unwrap())
    }

    fn nodes(&self) -> &[Node] {
        match self {
            Self::Uinput(device, ..) => device.nodes(),
            Self::Pad(device, _) => device.nodes(),
            Self::Own(device) => device.nodes(),
        }
    }

    /// What keeps it.
    fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Self::Uinput(device, ..) => device.as_fd(),
            Self::Pad(device, _) => device.descriptor(),
            Self::Own(device) => device.descriptor(),
        }
    }

    /// What is readable when there is feedback.
    fn news(&self) -> BorrowedFd<'_> {
        match self {
            Self::Uinput(device, ..) => device.as_fd(),
            Self::Pad(device, _) => device.as_fd(),
            Self::Own(device) => device.as_fd(),
        }
    }

    fn take_feedback(&mut self) {
        match self {
            Self::Uinput(device, _, player) => {
                while let Some(feedback) = device.read_feedback().unwrap() {
                    player.handle(&feedback, Instant::now());
                }
            }
            Self::Pad(device, _) => while device.take_feedback().is_some() {},
            Self::Own(device) => while device.take_output().is_some() {},
        }
    }

    fn set(&mut self, inputs: &[String]) {
        match self {
            Self::Uinput(device, profile, _) => {
                device.write(&profile.frame(inputs).unwrap()).unwrap();
            }
            Self::Pad(device, state) => {
                device.model().apply(state, inputs).unwrap();
                device.set(state).unwrap();
            }
            Self::Own(device) => device.write(&device.profile().frame(inputs).unwrap()).unwrap(),
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        match self {
            Self::Uinput(_, _, player) => player.snapshot().to_bytes(),
            Self::Pad(device, _) => device.snapshot().to_bytes(),
            Self::Own(device) => device.snapshot().to_bytes(),
        }
    }
}

pub(crate) fn phys(test: &str) -> DeviceName {
    DeviceName::new(format!("test/{test}")).unwrap()
}

#[test]
#[ignore = "this is the process that the other tests start and kill"]
fn a_process_with_a_device() {
    let [device, test] = [DEVICE, TEST].map(|name| std::env::var(name).unwrap());
    let mut socket = File::from(io::stdin().as_fd().try_clone_to_owned().unwrap());
    let mut device = Device::create(&device, &test);
    send(&socket, &serde_json::to_vec(device.nodes()).unwrap(), device.descriptor());
    loop {
        let fds = [socket.as_fd(), device.news()];
        let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        poll(&mut fds, PollTimeout::NONE).unwrap();
        let [is_asked, is_told] = fds.map(|fd| fd.any().unwrap());
        if is_told {
            device.take_feedback();
        } else if is_asked {
            let mut request = vec![0; SIZE];
            let length = socket.read(&mut request).unwrap();
            let request = str::from_utf8(&request[..length]).unwrap();
            // Nothing: the test is over.
            let Some(inputs) = request.strip_prefix("set") else { return };
            let inputs: Vec<_> = inputs.split_whitespace().map(str::to_owned).collect();
            device.set(&inputs);
            socket.write_all(&device.snapshot()).unwrap();
        }
    }
}
