//! A UDP socket whose packets carry a DSCP mark.
//!
//! Quinn's own socket says a traffic class with every packet, for ECN, and with that takes away the mark that was set on the
//! socket (quinn-udp 0.5, `unix.rs`, `IP_TOS`). A client sends a few small packets, so it can do without ECN and
//! segmentation offload.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use socket2::{Domain, Protocol, Type};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

/// Expedited forwarding (RFC 3246), in the upper six bits of the traffic class (RFC 2474).
const TRAFFIC_CLASS: u32 = 46 << 2;

/// A socket that can send to this address.
pub(crate) fn open(remote: SocketAddr) -> io::Result<Arc<Socket>> {
    let socket =
        socket2::Socket::new(Domain::for_address(remote), Type::DGRAM, Some(Protocol::UDP))?;
    let any: SocketAddr = match remote {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // A path that does not want the mark carries the packets without it; so does a kernel.
    let _marked = match remote {
        SocketAddr::V4(_) => socket.set_tos_v4(TRAFFIC_CLASS),
        SocketAddr::V6(_) => socket.set_tclass_v6(TRAFFIC_CLASS),
    };
    socket.set_nonblocking(true)?;
    socket.bind(&any.into())?;
    Ok(Arc::new(Socket(UdpSocket::from_std(socket.into())?)))
}

#[derive(Debug)]
pub(crate) struct Socket(UdpSocket);

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller(self))
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        match self.0.try_send_to(transmit.contents, transmit.destination) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            // A network that is down for a moment is a lossy one.
            Err(_) => Ok(()),
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buffer), Some(meta)) = (bufs.first_mut(), meta.first_mut()) else {
            return Poll::Ready(Ok(0));
        };
        let mut buffer = ReadBuf::new(buffer);
        let addr = loop {
            match ready!(self.0.poll_recv_from(cx, &mut buffer)) {
                Ok(addr) => break addr,
                // What an ICMP message says of an earlier packet: it was lost.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        };
        let len = buffer.filled().len();
        *meta = RecvMeta { addr, len, stride: len, ecn: None, dst_ip: None };
        Poll::Ready(Ok(1))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

#[derive(Debug)]
struct Poller(Arc<Socket>);

impl UdpPoller for Poller {
    /// One task waits at a time: a client has one connection that has anything to send.
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.0.poll_send_ready(cx)
    }
}
