//! Texts that are never shown, and where they come from.

use std::{convert::Infallible, fmt, fs, io, io::Write, path::Path, str::FromStr};

use uuid::Uuid;

use crate::failure::Failure;

/// Shortest secret for tokens, in bytes: as long as the hash of HS256.
const SHORTEST: usize = 32;

/// Words out of examples and default configurations.
const WELL_KNOWN: [&str; 6] = ["secret", "change", "example", "password", "default", "0123456789"];

/// A password, or a URL that may hold one. Does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// The text itself.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// A URL without its user, password and parameters, to be shown.
    pub(crate) fn without_password(&self) -> String {
        let Some((scheme, rest)) = self.0.split_once("://") else { return "(no URL)".into() };
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        // A password may hold a slash, a host may not hold an @.
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        format!("{scheme}://{host}")
    }

    /// Whether somebody could guess it: few different bytes, or words out of examples.
    pub(crate) fn is_guessable(&self) -> bool {
        let mut bytes = self.0.as_bytes().to_vec();
        bytes.sort_unstable();
        bytes.dedup();
        let lower = self.0.to_ascii_lowercase();
        bytes.len() < 10 || WELL_KNOWN.iter().any(|word| lower.contains(word))
    }

    /// Checks that tokens can be signed with it.
    pub(crate) fn check_length(&self, source: &str) -> Result<(), Failure> {
        if self.0.len() >= SHORTEST {
            return Ok(());
        }
        Err(Failure::Usage(format!(
            "{source} must be at least {SHORTEST} bytes long, and random; make one with: openssl rand -hex 32"
        )))
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Either the text given, or the one in the file given, or none. Both are one too many.
pub(crate) fn given_or_in_file(
    given: Option<&Secret>,
    file: Option<&Path>,
    flag: &str,
) -> Result<Option<Secret>, Failure> {
    match (given, file) {
        (Some(_), Some(_)) => {
            Err(Failure::Usage(format!("{flag} and {flag}-file are both set; set one of them")))
        }
        (Some(given), None) => Ok(Some(given.clone())),
        (None, Some(file)) => {
            let text = fs::read_to_string(file).map_err(|error| {
                Failure::Usage(format!("{flag}-file {} cannot be read: {error}", file.display()))
            })?;
            // Editors and `echo` end a file with a newline.
            Ok(Some(Secret(text.trim_end_matches(['\r', '\n']).to_owned())))
        }
        (None, None) => Ok(None),
    }
}

/// The secret of development tokens, in a file beside the database: made at first use and readable by its
/// owner alone, so that tokens outlive restarts and `parlor-server token` finds it.
pub(crate) fn of_development(path: &Path) -> Result<Secret, Failure> {
    read_or_make(path).map(Secret).map_err(|error| {
        Failure::Start(format!(
            "the secret of development tokens cannot be kept in {}: {error}. \
             Give one by --jwt-secret, or choose another --database",
            path.display()
        ))
    })
}

fn read_or_make(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        done => return done,
    }
    let text = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map(|()| text),
        // Another process was quicker: its secret counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read_to_string(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        text.parse().unwrap()
    }

    #[test]
    fn a_url_is_shown_without_user_and_password() {
        let shown = |text: &str| secret(text).without_password();
        assert_eq!(
            shown("postgres://ann:p@ss/w@db:5432/chat?sslmode=x"),
            "postgres://db:5432/chat"
        );
        assert_eq!(shown("redis://cache"), "redis://cache");
        assert_eq!(shown("hunter2"), "(no URL)");
        assert_eq!(format!("{:?}", secret("hunter2")), "Secret");
    }

    #[test]
    fn secrets_out_of_examples_are_guessable_and_random_ones_are_not() {
        for text in
            ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "please-CHANGE-me-now-it-is-needed!!"]
        {
            assert!(secret(text).is_guessable(), "{text}");
        }
        assert!(!secret("b1946ac92492d2347c6235b4d2611184e0f9").is_guessable());
    }

    #[test]
    fn the_development_secret_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db.secret");
        let first = of_development(&path).unwrap();
        let second = of_development(&path).unwrap();
        assert_eq!(first, second);
        first.check_length("it").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o077, 0);
        }
    }
}
