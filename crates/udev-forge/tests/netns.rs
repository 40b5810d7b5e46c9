//! Delivery, in network namespaces made for each test. Needs root; `CAP_SYS_ADMIN` and `CAP_NET_ADMIN`
//! to be exact.

#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::{env, thread};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendmsg,
    socket,
};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use udev_forge::{
    Credentials, Message, Monitor, MonitorError, ParseError, Properties, Received, SendError,
    Sender,
};

const ROOT: Credentials = Credentials { uid: 0, gid: 0 };

/// A new network namespace, or `None`, said on standard error, when that is not permitted.
fn new_netns() -> Option<OwnedFd> {
    let made = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).map(|()| File::open("/proc/thread-self/ns/net").unwrap())
    });
    match made.join().unwrap() {
        Ok(netns) => Some(netns.into()),
        Err(Errno::EPERM) => {
            let required = env::var_os("CI").or_else(|| env::var_os("HOTSEAT_VM"));
            assert!(required.is_none(), "these tests need root");
            // Not captured by the test harness, unlike eprintln.
            io::stderr().write_all(b"SKIP(not root)\n").unwrap();
            None
        }
        Err(errno) => panic!("unshare: {errno}"),
    }
}

/// Runs `work` in the namespace, on a thread that ends with it.
fn within<T: Send>(netns: &OwnedFd, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(netns, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

fn message(seqnum: u64) -> Message {
    let mut properties = Properties::new();
    for (key, value) in [
        ("ACTION", "add"),
        ("DEVPATH", "/devices/virtual/input/input20/event5"),
        ("SUBSYSTEM", "input"),
        ("DEVNAME", "/dev/input/event5"),
        ("SEQNUM", seqnum.to_string().as_str()),
        ("TAGS", ":seat:uaccess:"),
    ] {
        properties.set(key, value).unwrap();
    }
    Message::new(properties).unwrap()
}

fn receive(monitor: &Monitor) -> Received {
    let deadline = PollTimeout::from(10_000_u16);
    let ready = poll(&mut [PollFd::new(monitor.as_fd(), PollFlags::POLLIN)], deadline).unwrap();
    assert_eq!(ready, 1, "nothing arrived");
    monitor.try_recv().unwrap().unwrap()
}

#[test]
fn a_message_arrives_in_its_namespace_and_in_no_other() {
    let (Some(here), Some(there)) = (new_netns(), new_netns()) else { return };
    let sender = Sender::open_in(here.as_fd()).unwrap();
    let listening = Monitor::open_in(here.as_fd()).unwrap();
    let elsewhere = Monitor::open_in(there.as_fd()).unwrap();
    let at_home = Monitor::open().unwrap();
    assert_eq!(listening.try_recv().unwrap(), None);

    sender.send(&message(1), &ROOT).unwrap();
    assert_eq!(receive(&listening), Received { message: message(1), uid: 0, gid: 0 });
    assert_eq!(listening.try_recv().unwrap(), None);
    // The kernel delivers before sendmsg returns, so this is not too early to look.
    assert_eq!(elsewhere.try_recv().unwrap(), None);
    assert!(at_home.try_recv().unwrap().is_none_or(|other| other.message != message(1)));
}

#[test]
fn every_listener_receives_messages_in_order() {
    let Some(netns) = new_netns() else { return };
    let sender = within(&netns, || Sender::open().unwrap());
    let monitors = [(); 2].map(|()| within(&netns, || Monitor::open().unwrap()));
    for seqnum in 1..20 {
        sender.send(&message(seqnum), &ROOT).unwrap();
    }
    for monitor in &monitors {
        for seqnum in 1..20 {
            assert_eq!(receive(monitor).message.seqnum(), seqnum);
        }
    }
}

#[test]
fn credentials_arrive_as_given() {
    let Some(netns) = new_netns() else { return };
    let sender = Sender::open_in(netns.as_fd()).unwrap();
    let monitor = Monitor::open_in(netns.as_fd()).unwrap();
    sender.send(&message(1), &Credentials { uid: 100_000, gid: 200_000 }).unwrap();
    let received = receive(&monitor);
    assert_eq!((received.uid, received.gid), (100_000, 200_000));
}

#[test]
fn sending_to_nobody_succeeds() {
    let Some(netns) = new_netns() else { return };
    Sender::open_in(netns.as_fd()).unwrap().send(&message(1), &ROOT).unwrap();
}

#[test]
fn a_sender_without_the_capability_is_told_so() {
    let Some(netns) = new_netns() else { return };
    let sender = Sender::open_in(netns.as_fd()).unwrap();
    let refused = thread::scope(|scope| {
        let powerless = scope.spawn(|| {
            let none = CapabilitySet::empty();
            let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
            set_capabilities(None, sets).unwrap();
            sender.send(&message(1), &ROOT).unwrap_err()
        });
        powerless.join().unwrap()
    });
    assert!(matches!(refused, SendError::NotPermitted(_)), "{refused:?}");
    assert!(refused.to_string().contains("CAP_NET_ADMIN"));
}

#[test]
fn a_message_too_large_for_some_receivers_is_not_sent() {
    let Some(netns) = new_netns() else { return };
    let sender = Sender::open_in(netns.as_fd()).unwrap();
    let monitor = Monitor::open_in(netns.as_fd()).unwrap();
    let mut properties = message(1).properties().clone();
    properties.set("FILLER", &"x".repeat(Message::SIZE_LIMIT)).unwrap();
    let error = sender.send(&Message::new(properties).unwrap(), &ROOT).unwrap_err();
    assert!(matches!(error, SendError::TooLarge { size } if size > Message::SIZE_LIMIT));
    assert_eq!(monitor.try_recv().unwrap(), None);
}

#[test]
fn a_listener_that_is_too_slow_learns_that_it_missed_something() {
    let Some(netns) = new_netns() else { return };
    let sender = Sender::open_in(netns.as_fd()).unwrap();
    let monitor = Monitor::open_in(netns.as_fd()).unwrap();
    for seqnum in 1..10_000 {
        sender.send(&message(seqnum), &ROOT).unwrap();
    }
    assert!(matches!(monitor.try_recv(), Err(MonitorError::Overflow)));
    assert_eq!(receive(&monitor).message.seqnum(), 1);
}

#[test]
fn what_is_no_message_is_reported_and_the_next_one_still_arrives() {
    let Some(netns) = new_netns() else { return };
    let sender = Sender::open_in(netns.as_fd()).unwrap();
    let monitor = Monitor::open_in(netns.as_fd()).unwrap();
    let broadcast = |datagram: &[u8]| {
        let raw = within(&netns, || {
            let protocol = SockProtocol::NetlinkKObjectUEvent;
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).unwrap()
        });
        let to = NetlinkAddr::new(0, 2);
        let parts = [IoSlice::new(datagram)];
        // The kernel's own socket gets a copy, and refuses it; the monitor has had its by then.
        let _ = sendmsg(raw.as_raw_fd(), &parts, &[], MsgFlags::empty(), Some(&to));
    };
    broadcast(b"add@/devices/virtual/input/input20\0ACTION=add\0SEQNUM=1\0");
    broadcast(&[b'x'; 10_000]);
    sender.send(&message(2), &ROOT).unwrap();

    assert!(matches!(monitor.try_recv(), Err(MonitorError::Message(ParseError::Prefix))));
    let too_large = monitor.try_recv();
    assert!(matches!(too_large, Err(MonitorError::Message(ParseError::TooLarge { size: 10_000 }))));
    assert_eq!(receive(&monitor).message, message(2));
}

/// A plain socket in the namespace that hears these groups (a bit mask).
fn raw(netns: &OwnedFd, groups: u32) -> OwnedFd {
    let open = || {
        let protocol = SockProtocol::NetlinkKObjectUEvent;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let raw = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol).unwrap();
        bind(raw.as_raw_fd(), &NetlinkAddr::new(0, groups)).unwrap();
        raw
    };
    within(netns, open)
}

/// The next datagram, as text.
fn next(raw: &OwnedFd) -> Result<String, Errno> {
    let mut buffer = [0; Message::SIZE_LIMIT];
    let size = recv(raw.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
    Ok(String::from_utf8_lossy(&buffer[..size]).into_owned())
}

#[test]
fn libudev_zero_is_told_in_its_own_way_and_only_if_asked() {
    let Some(netns) = new_netns() else { return };
    let theirs = raw(&netns, 4);
    let monitor = Monitor::open_in(netns.as_fd()).unwrap();
    let sender = Sender::open_in(netns.as_fd()).unwrap();
    sender.send(&message(1), &ROOT).unwrap();
    assert_eq!(receive(&monitor).message, message(1));
    assert_eq!(next(&theirs), Err(Errno::EAGAIN));

    let sender = sender.libudev_zero(true);
    sender.send(&message(2), &ROOT).unwrap();
    assert_eq!(receive(&monitor).message, message(2));
    assert_eq!(monitor.try_recv().unwrap(), None);
    let heard = next(&theirs).unwrap();
    assert_eq!(
        heard,
        "ACTION=add\0DEVPATH=/devices/virtual/input/input20/event5\0SUBSYSTEM=input\0\
         DEVNAME=input/event5\0SEQNUM=2\0TAGS=:seat:uaccess:\0"
    );
    assert_eq!(next(&theirs), Err(Errno::EAGAIN));
}

#[test]
fn what_is_no_network_namespace_cannot_be_entered() {
    let file = File::open("/dev/null").unwrap();
    assert!(matches!(Sender::open_in(file.as_fd()), Err(SendError::Open(_))));
    assert!(matches!(Monitor::open_in(file.as_fd()), Err(MonitorError::Open(_))));
}
