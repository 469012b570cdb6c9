//! The channels of Redis between nodes, as somebody of another version uses them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;
use uuid::Uuid;

/// Form, publisher, and the number of the publication stand before a payload.
const HEAD: usize = 1 + 16 + 8;

/// Listens to all channels.
pub(crate) struct Ear(BufReader<TcpStream>);

/// Publishes as a node that does not exist.
pub(crate) struct Mouth {
    redis: TcpStream,
    node: Uuid,
    published: u64,
}

impl Ear {
    pub(crate) fn open(redis: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(redis).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(&command(&[b"PSUBSCRIBE", b"*"])).unwrap();
        let mut ear = Self(BufReader::new(stream));
        while ear.line() != ":1" {}
        ear
    }

    /// The next payload for which the condition holds, as JSON.
    pub(crate) fn until(&mut self, condition: impl Fn(&Value) -> bool) -> Value {
        loop {
            // pmessage, pattern, channel, payload: each a length and as many bytes.
            assert_eq!(self.line(), "*4");
            let mut bytes = Vec::new();
            for _ in 0..4 {
                let length = self.line();
                bytes = vec![0; length.strip_prefix('$').unwrap().parse::<usize>().unwrap() + 2];
                self.0.read_exact(&mut bytes).unwrap();
            }
            bytes.truncate(bytes.len() - 2);
            let payload = bytes.get(HEAD..).and_then(|json| serde_json::from_slice(json).ok());
            if let Some(payload) = payload.filter(|payload| condition(payload)) {
                return payload;
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Mouth {
    pub(crate) fn open(redis: SocketAddr) -> Self {
        Self { redis: TcpStream::connect(redis).unwrap(), node: Uuid::new_v4(), published: 0 }
    }

    /// The node that it claims to be.
    pub(crate) fn node(&self) -> Uuid {
        self.node
    }

    /// Publishes a payload as nodes do.
    pub(crate) fn say(&mut self, channel: &str, payload: &[u8]) {
        let mut frame = vec![1];
        frame.extend_from_slice(self.node.as_bytes());
        self.published += 1;
        frame.extend_from_slice(&self.published.to_be_bytes());
        frame.extend_from_slice(payload);
        self.say_raw(channel, &frame);
    }

    /// Publishes bytes as they are, and waits until the server has passed them on.
    pub(crate) fn say_raw(&mut self, channel: &str, frame: &[u8]) {
        self.redis.write_all(&command(&[b"PUBLISH", channel.as_bytes(), frame])).unwrap();
        let mut answer = [0; 4];
        self.redis.read_exact(&mut answer).unwrap();
        assert_eq!((answer[0], &answer[2..]), (b':', &b"\r\n"[..]), "how many heard it");
    }
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend_from_slice(word);
        bytes.extend(b"\r\n");
    }
    bytes
}
