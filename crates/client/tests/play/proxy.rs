//! A bad link: UDP on loopback, of which every so many packets are lost or come late.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    server: Arc<Mutex<SocketAddr>>,
    is_cut: Arc<AtomicBool>,
}

impl Proxy {
    /// Between clients and a server. Of ten packets each way, `lost` are, and `late` come after the two that follow.
    pub(crate) async fn start(server: SocketAddr, lost: u32, late: u32) -> Self {
        let front = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        let address = front.local_addr().unwrap();
        let is_cut = Arc::new(AtomicBool::new(false));
        let cut = Arc::clone(&is_cut);
        let server = Arc::new(Mutex::new(server));
        let to = Arc::clone(&server);
        tokio::spawn(async move {
            let mut backs: Vec<(SocketAddr, Arc<UdpSocket>)> = Vec::new();
            let mut link = Link::new(lost, late);
            let mut buffer = [0; 2048];
            loop {
                let Ok((len, from)) = front.recv_from(&mut buffer).await else { continue };
                if cut.load(Ordering::Relaxed) {
                    continue;
                }
                let known = backs.iter().find(|(client, _)| *client == from);
                let back = match known {
                    Some((_, back)) => Arc::clone(back),
                    None => {
                        let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                        let back = Arc::new(back);
                        backs.push((from, Arc::clone(&back)));
                        let link = Link::new(lost, late);
                        let (front, cut) = (Arc::clone(&front), Arc::clone(&cut));
                        tokio::spawn(answers(Arc::clone(&back), front, from, link, cut));
                        back
                    }
                };
                for packet in link.pass(&buffer[..len]) {
                    let to = *to.lock().unwrap();
                    let _ = back.send_to(&packet, to).await;
                }
            }
        });
        Self { address, server, is_cut }
    }

    /// The server is somewhere else.
    pub(crate) fn redirect(&self, server: SocketAddr) {
        *self.server.lock().unwrap() = server;
    }

    /// Nothing passes any more, or everything again.
    pub(crate) fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::Relaxed);
    }
}

async fn answers(
    back: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    client: SocketAddr,
    mut link: Link,
    cut: Arc<AtomicBool>,
) {
    let mut buffer = [0; 2048];
    loop {
        let Ok((len, _)) = back.recv_from(&mut buffer).await else { continue };
        if !cut.load(Ordering::Relaxed) {
            for packet in link.pass(&buffer[..len]) {
                let _ = front.send_to(&packet, client).await;
            }
        }
    }
}

/// One direction.
struct Link {
    lost: u32,
    late: u32,
    /// A linear congruential generator: the same packets in every run.
    random: u32,
    /// Late packets, and how many others go first.
    waiting: VecDeque<(u32, Vec<u8>)>,
}

impl Link {
    fn new(lost: u32, late: u32) -> Self {
        Self { lost, late, random: 1, waiting: VecDeque::new() }
    }

    fn pass(&mut self, packet: &[u8]) -> Vec<Vec<u8>> {
        self.random = self.random.wrapping_mul(1_103_515_245).wrapping_add(12345);
        let number = (self.random >> 16) % 10;
        let mut passed = Vec::new();
        if number >= self.lost + self.late {
            passed.push(packet.to_vec());
        } else if number >= self.lost {
            self.waiting.push_back((3, packet.to_vec()));
        }
        for (first, _) in &mut self.waiting {
            *first -= 1;
        }
        while self.waiting.front().is_some_and(|(first, _)| *first == 0) {
            passed.extend(self.waiting.pop_front().map(|(_, packet)| packet));
        }
        passed
    }
}
