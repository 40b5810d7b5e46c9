//! The endpoint's UDP socket, whose packets carry a DSCP mark.
//!
//! Quinn's own says a traffic class with every packet, for ECN, and with that takes away a mark that is set on the socket
//! (quinn-udp 0.5, `unix.rs`, `IP_TOS`). So packets are sent here, with both in one; they are received as quinn does.
//! What a server of input says is small and rare, and needs no segmentation offload.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A socket and the mark of its packets.
#[derive(Debug)]
pub(super) struct Marked {
    io: UdpSocket,
    state: UdpSocketState,
    /// 0 to 63 (RFC 2474).
    dscp: u8,
}

impl Marked {
    pub(super) fn new(socket: std::net::UdpSocket, dscp: u8) -> io::Result<Arc<Self>> {
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Arc::new(Self { io: UdpSocket::from_std(socket)?, state, dscp }))
    }

    fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let class = self.dscp << 2 | transmit.ecn.map_or(0, |ecn| ecn as u8);
        let wide_class = i32::from(class);
        let (v4, v6);
        let mut control = Vec::with_capacity(2);
        // An IPv6 socket sends IPv4 as well, to addresses that are mapped (ipv6(7)).
        control.push(match transmit.destination.ip().to_canonical() {
            IpAddr::V4(_) => ControlMessage::Ipv4Tos(&class),
            IpAddr::V6(_) => ControlMessage::Ipv6TClass(&wide_class),
        });
        // A host of several addresses answers from the one that it was asked at.
        match transmit.src_ip {
            Some(IpAddr::V4(ip)) => {
                let address = in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
                let any = in_addr { s_addr: 0 };
                v4 = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: any };
                control.push(ControlMessage::Ipv4PacketInfo(&v4));
            }
            Some(IpAddr::V6(ip)) => {
                let address = in6_addr { s6_addr: ip.octets() };
                v6 = in6_pktinfo { ipi6_addr: address, ipi6_ifindex: 0 };
                control.push(ControlMessage::Ipv6PacketInfo(&v6));
            }
            None => {}
        }
        let destination = SockaddrStorage::from(transmit.destination);
        let contents = [IoSlice::new(transmit.contents)];
        let flags = MsgFlags::MSG_DONTWAIT;
        sendmsg(self.io.as_raw_fd(), &contents, &control, flags, Some(&destination))?;
        Ok(())
    }
}

impl AsyncUdpSocket for Marked {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller { socket: self, writable: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        match self.io.try_io(Interest::WRITABLE, || self.send(transmit)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            // To one client; the others have nothing to do with it. A packet that was not sent is a lost one.
            Err(error) => {
                tracing::debug!(to = %transmit.destination, %error, "a packet could not be sent");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let receive = || self.state.recv((&self.io).into(), bufs, meta);
            if let Ok(received) = self.io.try_io(Interest::READABLE, receive) {
                return Poll::Ready(Ok(received));
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

type Writable = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

/// Waits for room, for one of the connections: each has its own.
struct Poller {
    socket: Arc<Marked>,
    writable: Option<Writable>,
}

impl UdpPoller for Poller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = Arc::clone(&self.socket);
        let wait = || -> Writable { Box::pin(async move { socket.io.writable().await }) };
        let writable = self.writable.get_or_insert_with(wait);
        let ready = ready!(writable.as_mut().poll(cx));
        self.writable = None;
        Poll::Ready(ready)
    }
}

impl std::fmt::Debug for Poller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poller").field("socket", &self.socket).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::{ControlMessageOwned, recvmsg, setsockopt, sockopt};
    use quinn::udp::EcnCodepoint;

    use super::*;

    /// The traffic class with which a packet arrives.
    async fn class(bound: &str, receiver: &str) -> i32 {
        let socket = std::net::UdpSocket::bind(bound).unwrap();
        socket.set_nonblocking(true).unwrap();
        let marked = Marked::new(socket, 46).unwrap();
        let receiver = std::net::UdpSocket::bind(receiver).unwrap();
        let at = receiver.local_addr().unwrap();
        match at {
            SocketAddr::V4(_) => setsockopt(&receiver, sockopt::IpRecvTos, &true).unwrap(),
            SocketAddr::V6(_) => setsockopt(&receiver, sockopt::Ipv6RecvTClass, &true).unwrap(),
        }
        let destination = match (at, marked.local_addr().unwrap()) {
            (SocketAddr::V4(at), SocketAddr::V6(_)) => (at.ip().to_ipv6_mapped(), at.port()).into(),
            (at, _) => at,
        };
        let (ecn, contents) = (Some(EcnCodepoint::Ect0), &b"hello"[..]);
        let transmit = Transmit { destination, ecn, contents, segment_size: None, src_ip: None };
        marked.io.writable().await.unwrap();
        marked.try_send(&transmit).unwrap();
        let mut bytes = [0; 16];
        let mut iov = [IoSliceMut::new(&mut bytes)];
        let mut space = nix::cmsg_space!(i32);
        let flags = MsgFlags::empty();
        let fd = receiver.as_raw_fd();
        let received = recvmsg::<SockaddrStorage>(fd, &mut iov, Some(&mut space), flags).unwrap();
        assert_eq!(received.bytes, 5);
        match received.cmsgs().unwrap().next() {
            Some(ControlMessageOwned::Ipv4Tos(class)) => class.into(),
            Some(ControlMessageOwned::Ipv6TClass(class)) => class,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn packets_carry_the_mark_and_quinns_bits() {
        // Expedited forwarding, and ECT(0).
        let expected = 46 << 2 | 2;
        assert_eq!(class("127.0.0.1:0", "127.0.0.1:0").await, expected);
        assert_eq!(class("[::1]:0", "[::1]:0").await, expected);
        assert_eq!(class("[::]:0", "127.0.0.1:0").await, expected);
    }
}
