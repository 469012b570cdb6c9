//! Which pages may talk to the server.

use std::collections::BTreeSet;

/// The origins of pages that are let in besides the server's own. By default there are none.
///
/// CORS does not apply to WebSockets: a transport asks here before each upgrade and each change.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    any: bool,
    listed: BTreeSet<String>,
}

impl Origins {
    /// Lets pages of all origins in.
    pub fn any() -> Self {
        Self { any: true, listed: BTreeSet::new() }
    }

    /// Whether pages of all origins are let in.
    pub fn are_any(&self) -> bool {
        self.any
    }

    /// Also lets pages of these origins in, written as browsers do: `https://app.example.com`.
    pub fn allow<I>(&mut self, origins: I)
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.listed.extend(origins.into_iter().map(|origin| normal(&origin.into())));
    }

    /// Whether this origin is let in without being the server's own.
    pub fn lists(&self, origin: &str) -> bool {
        self.any || self.listed.contains(&normal(origin))
    }

    /// Whether a request with these headers `Origin` and `Host` may be carried out. Without an `Origin` it
    /// does not come from a page.
    pub fn admit(&self, origin: Option<&[u8]>, host: Option<&[u8]>) -> bool {
        let Some(origin) = origin else { return true };
        if self.any {
            return true;
        }
        let Ok(origin) = std::str::from_utf8(origin) else { return false };
        self.lists(origin) || is_own(&normal(origin), host)
    }
}

/// Lower case, without the scheme's own port and a slash at the end.
fn normal(origin: &str) -> String {
    let origin = origin.trim().trim_end_matches('/').to_ascii_lowercase();
    let default_port = if origin.starts_with("https://") { ":443" } else { ":80" };
    origin.strip_suffix(default_port).map_or(origin.clone(), str::to_owned)
}

fn is_own(origin: &str, host: Option<&[u8]>) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let Some(host) = host.and_then(|host| std::str::from_utf8(host).ok()) else { return false };
    matches!(scheme, "http" | "https")
        && normal(&format!("{scheme}://{host}")) == origin
        && !authority.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(origins: &Origins, origin: Option<&str>, host: &str) -> bool {
        origins.admit(origin.map(str::as_bytes), Some(host.as_bytes()))
    }

    #[test]
    fn by_default_only_the_servers_own_pages_and_no_pages_at_all() {
        let origins = Origins::default();
        assert!(admits(&origins, None, "chat.example"));
        assert!(admits(&origins, Some("https://chat.example"), "chat.example"));
        assert!(admits(&origins, Some("https://Chat.example"), "chat.example:443"));
        assert!(admits(&origins, Some("http://localhost:3000"), "localhost:3000"));
        assert!(!admits(&origins, Some("http://localhost:3001"), "localhost:3000"));
        assert!(!admits(&origins, Some("https://evil.example"), "chat.example"));
        assert!(!admits(&origins, Some("https://chat.example.evil.example"), "chat.example"));
        assert!(!admits(&origins, Some("file://chat.example"), "chat.example"));
        assert!(!admits(&origins, Some("null"), "chat.example"));
        assert!(!origins.admit(Some(b"http://\xff"), Some(b"\xff")));
        assert!(!origins.admit(Some(b"http://chat.example"), None));
    }

    #[test]
    fn listed_origins_are_allowed_whole_and_any_means_any() {
        let mut origins = Origins::default();
        origins.allow(["https://app.example/"]);
        assert!(admits(&origins, Some("https://app.example"), "chat.example"));
        assert!(!admits(&origins, Some("http://app.example"), "chat.example"));
        assert!(!admits(&origins, Some("https://app.example.evil"), "chat.example"));
        assert!(admits(&Origins::any(), Some("null"), "chat.example"));
    }
}
