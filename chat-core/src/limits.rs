//! The bounds on everything that comes in.

use std::net::IpAddr;

/// Bounds on the content of messages and conversations. Lengths are in bytes of UTF-8 unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// A message's text. Defaults to 32 KiB.
    pub body_bytes: usize,
    /// Metadata of a message or a conversation, as compact JSON. Defaults to 8 KiB.
    pub metadata_bytes: usize,
    /// Attachments of a message. Defaults to 30.
    pub attachments: usize,
    /// Users mentioned in a message. Defaults to 100.
    pub mentions: usize,
    /// A conversation's title. Defaults to 200.
    pub title_bytes: usize,
    /// A URL of a picture or an attachment. Defaults to 2,048.
    pub url_bytes: usize,
    /// Any other short text: an attachment's name or type, a custom kind. Defaults to 255.
    pub name_bytes: usize,
    /// Members of a group. Defaults to 1,000.
    pub group_members: usize,
    /// Distinct reactions a message. Defaults to 20.
    pub reactions: usize,
    /// Pinned messages of a conversation. Defaults to 50.
    pub pins: usize,
    /// A custom event's data, as compact JSON. Defaults to 8 KiB.
    pub signal_bytes: usize,
    /// Rows of a page when the caller does not say. Defaults to 50.
    pub page: usize,
    /// Rows of a page at most; more is clamped. Defaults to 100.
    pub page_max: usize,
    /// Unread messages are counted up to here. Defaults to 1,000.
    pub unread_cap: u32,
    /// Users that a session may watch for presence. Defaults to 200.
    pub watches: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 32 * 1024,
            metadata_bytes: 8 * 1024,
            attachments: 30,
            mentions: 100,
            title_bytes: 200,
            url_bytes: 2048,
            name_bytes: 255,
            group_members: 1000,
            reactions: 20,
            pins: 50,
            signal_bytes: 8 * 1024,
            page: 50,
            page_max: 100,
            unread_cap: 1000,
            watches: 200,
        }
    }
}

impl Limits {
    /// The page size for a caller's wish: the default for none, at least 1, at most [`Limits::page_max`].
    pub fn page_size(&self, wish: Option<u64>) -> usize {
        let wish = wish.map_or(self.page, |wish| usize::try_from(wish).unwrap_or(usize::MAX));
        wish.clamp(1, self.page_max.max(1))
    }
}

/// What counts as one address where connections are limited by address: an IPv4 address, and of IPv6 the
/// network of 64 bits that a single customer commonly has to themselves.
pub fn counted_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_64_bits_counts_as_one_address() {
        let counted = |text: &str| counted_address(text.parse().unwrap()).to_string();
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), counted("2001:db8:1:2::1"));
        assert_ne!(counted("2001:db8:1:3::1"), counted("2001:db8:1:2::1"));
        assert_eq!(counted("::ffff:10.0.0.7"), "10.0.0.7");
        assert_eq!(counted("10.0.0.7"), "10.0.0.7");
    }
}
