//! Who this server is: a key and a certificate of its own, made when they are first needed. Clients know it by its
//! fingerprint; no authority vouches for it.

use std::fmt::{self, Write as _};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ring::{digest, hmac};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Deserializer};

/// The server has no identity.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    /// None could be made.
    #[error("could not make a certificate")]
    Make(#[source] rcgen::Error),
    /// It could not be written.
    #[error("could not write the identity `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It could not be read.
    #[error("could not read the identity `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not a private key and a certificate.
    #[error("`{path}` does not hold a private key and a certificate")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
}

/// A key and its certificate.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) certificate: CertificateDer<'static>,
}

impl Identity {
    /// Reads it; makes it if it is not there.
    pub(super) fn load(path: &Path) -> Result<Self, IdentityError> {
        match fs::read(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let text = make()?;
                let write = |source| IdentityError::Write { path: path.to_owned(), source };
                write_secret(path, text.as_bytes()).map_err(write)?;
                tracing::info!(path = %path.display(), "made an identity for clients from afar");
                Self::parse(path, text.as_bytes())
            }
            Err(source) => Err(IdentityError::Read { path: path.to_owned(), source }),
        }
    }

    fn parse(path: &Path, text: &[u8]) -> Result<Self, IdentityError> {
        let parse = |source| IdentityError::Parse { path: path.to_owned(), source };
        let key = PrivateKeyDer::from_pem_slice(text).map_err(parse)?;
        let certificate = CertificateDer::from_pem_slice(text).map_err(parse)?;
        Ok(Self { key, certificate })
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// A key for one purpose, the same after a restart.
    pub(super) fn derive(&self, purpose: &str) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.secret_der());
        let mut derived = [0; 32];
        derived.copy_from_slice(hmac::sign(&key, purpose.as_bytes()).as_ref());
        derived
    }
}

fn make() -> Result<String, IdentityError> {
    let made = rcgen::generate_simple_self_signed(["hotseat".to_owned()]);
    let made = made.map_err(IdentityError::Make)?;
    Ok(made.signing_key.serialize_pem() + &made.cert.pem())
}

/// Whoever reads finds nothing, or all of it.
pub(super) fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

/// What a certificate is known by: the SHA-256 of its DER encoding, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(sha256(certificate))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a fingerprint: write the SHA-256 of a certificate as 64 hexadecimal digits")]
pub struct FingerprintError(String);

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Also with colons between the bytes, as `openssl x509 -fingerprint` writes it.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits: String = text.chars().filter(|&digit| digit != ':').collect();
        let parsed = unhex(&digits).and_then(|bytes| bytes.try_into().ok());
        parsed.map(Self).ok_or_else(|| FingerprintError(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_identity_is_made_once_and_is_nobody_elses_to_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state").join("identity.pem");
        let first = Identity::load(&path).unwrap();
        let second = Identity::load(&path).unwrap();
        assert_eq!(first.fingerprint(), second.fingerprint());
        assert_eq!(first.derive("one"), second.derive("one"));
        assert_ne!(first.derive("one"), first.derive("two"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn a_file_that_is_none_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("identity.pem");
        fs::write(&path, "mine").unwrap();
        assert!(matches!(Identity::load(&path), Err(IdentityError::Parse { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn a_fingerprint_is_read_as_it_is_written() {
        let fingerprint = Fingerprint::of(&CertificateDer::from(vec![1, 2, 3]));
        let text = fingerprint.to_string();
        assert_eq!(text.len(), 64);
        assert_eq!(text.parse(), Ok(fingerprint));
        let colons: Vec<_> =
            text.as_bytes().chunks(2).map(|it| str::from_utf8(it).unwrap()).collect();
        assert_eq!(colons.join(":").to_uppercase().parse(), Ok(fingerprint));
        for wrong in ["", "00", "zz", &text[1..], &format!("{text}00"), &format!("+{}", &text[1..])]
        {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }
}
