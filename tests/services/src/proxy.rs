//! A TCP path that can be broken.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

const OPEN: u8 = 0;
const BLACK_HOLE: u8 = 1;
const CUT: u8 = 2;
const GONE: u8 = 3;

/// How soon a change of the path's state is noticed.
const TICK: Duration = Duration::from_millis(10);

/// Passes TCP connections on to a target, as long as the path is whole. Gone when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    path: Arc<Path>,
}

#[derive(Debug)]
struct Path {
    target: SocketAddr,
    state: AtomicU8,
    /// Connections of an earlier age are silent for ever.
    age: AtomicU64,
    streams: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A path to `target`, on a free port.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(target: SocketAddr) -> Result<Self, String> {
        let wrong = |error: std::io::Error| format!("proxy: {error}");
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let path = Arc::new(Path {
            target,
            state: AtomicU8::new(OPEN),
            age: AtomicU64::new(0),
            streams: Mutex::default(),
        });
        let served = Arc::clone(&path);
        thread::spawn(move || served.serve(&listener));
        Ok(Self { address, path })
    }

    /// Where to connect instead of the target.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on bytes go nowhere. Connections stay, new ones are accepted and hear nothing. After
    /// [`Self::heal`] what was sent arrives, as after an outage of the network.
    pub fn black_hole(&self) {
        self.path.state.store(BLACK_HOLE, Ordering::SeqCst);
    }

    /// Silences all connections for ever without closing them, as when a host is lost and another one takes its
    /// address: only new connections get through.
    pub fn abandon(&self) {
        self.path.age.fetch_add(1, Ordering::SeqCst);
    }

    /// Closes all connections, and new ones at once.
    pub fn cut(&self) {
        self.path.state.store(CUT, Ordering::SeqCst);
        self.path.close();
    }

    /// Makes the path whole again.
    pub fn heal(&self) {
        self.path.state.store(OPEN, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.path.state.store(GONE, Ordering::SeqCst);
        self.path.close();
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

impl Path {
    fn state(&self) -> u8 {
        self.state.load(Ordering::SeqCst)
    }

    fn close(&self) {
        for stream in self.streams.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn serve(self: Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.state() == GONE {
                return;
            }
            let Ok(client) = client else { continue };
            let path = Arc::clone(&self);
            thread::spawn(move || path.connect(client));
        }
    }

    fn connect(self: Arc<Self>, client: TcpStream) {
        while self.state() == BLACK_HOLE {
            thread::sleep(TICK);
        }
        if self.state() != OPEN {
            return;
        }
        let Ok(server) = TcpStream::connect(self.target) else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else {
            return;
        };
        {
            let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            streams.retain(|stream| stream.peer_addr().is_ok());
            streams.extend([client.try_clone(), server.try_clone()].into_iter().flatten());
        }
        // Cut between the look and the entry into the list.
        if self.state() >= CUT {
            self.close();
        }
        let back = Arc::clone(&self);
        let age = self.age.load(Ordering::SeqCst);
        thread::spawn(move || back.pass(from_server, client, age));
        self.pass(from_client, server, age);
    }

    /// Whether nothing gets through now for connections of this age.
    fn swallows(&self, age: u64) -> bool {
        let abandoned = self.state() != GONE && age < self.age.load(Ordering::SeqCst);
        abandoned || self.state() == BLACK_HOLE
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream, age: u64) {
        let mut bytes = vec![0; 64 * 1024];
        let _ = from.set_read_timeout(Some(TICK));
        loop {
            while self.swallows(age) {
                thread::sleep(TICK);
            }
            let read = match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    continue;
                }
                Err(_) => break,
            };
            // Read before the hole opened, so it is swallowed until the hole closes.
            while self.swallows(age) {
                thread::sleep(TICK);
            }
            if to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
}
