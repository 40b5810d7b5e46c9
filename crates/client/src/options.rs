//! What a client needs to know before it connects.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

/// Where to play, and as whom.
#[derive(Debug)]
#[non_exhaustive]
pub struct Options {
    /// `HOST:PORT`; the name is looked up again for every connection.
    pub address: String,
    /// Certificates the server may have. Nothing else is believed: no name, no authority.
    pub fingerprints: Vec<Fingerprint>,
    /// The session to play in.
    pub session: String,
    /// What says that this client may. Tokens that are text are said as their bytes.
    pub token: Token,
    /// How many datagrams a second there are at most, 1 to 1000: 250 unless set.
    pub rate: u32,
    /// The client's own certificate, for servers that want one.
    pub identity: Option<Identity>,
    /// For how long it is tried to come back after a connection was lost: 5 minutes unless set.
    pub patience: Duration,
    /// The program and its version, for people who look after the server.
    pub name: String,
}

impl Options {
    /// The address is `HOST:PORT`.
    #[must_use]
    pub fn new(
        address: impl Into<String>,
        fingerprint: Fingerprint,
        session: impl Into<String>,
        token: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            address: address.into(),
            fingerprints: vec![fingerprint],
            session: session.into(),
            token: Token(token.into()),
            rate: 250,
            identity: None,
            patience: Duration::from_secs(300),
            name: concat!("hotseat-client ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// The least time between two datagrams.
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.rate.clamp(1, 1000)
    }
}

/// A token. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub Vec<u8>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// A certificate of the client and its key.
#[derive(Debug)]
pub struct Identity {
    /// The certificate, then those that vouch for it.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The key of the first one.
    pub key: PrivateKeyDer<'static>,
}

/// The SHA-256 of a certificate's DER: what `openssl x509 -fingerprint -sha256` shows.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, certificate).as_ref());
        Self(bytes)
    }
}

/// A text is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a fingerprint is 64 hexadecimal digits, with or without colons")]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digit = |character: char| {
            let digit = character.to_digit(16).ok_or(FingerprintError)?;
            u8::try_from(digit).map_err(|_| FingerprintError)
        };
        let text = text.strip_prefix("sha256:").unwrap_or(text);
        let mut digits = text.chars().filter(|character| *character != ':').map(digit);
        let mut bytes = [0; 32];
        for byte in &mut bytes {
            let mut next = || digits.next().ok_or(FingerprintError)?;
            *byte = next()? << 4 | next()?;
        }
        if digits.next().is_some() { Err(FingerprintError) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_shown_and_as_openssl_shows_it() {
        let shown = "0a".repeat(31) + "ff";
        let fingerprint: Fingerprint = shown.parse().unwrap();
        assert_eq!(fingerprint.0[31], 0xff);
        assert_eq!(fingerprint.to_string(), shown);
        let openssl = "0A:".repeat(31) + "FF";
        assert_eq!(openssl.parse(), Ok(fingerprint));
        assert_eq!(format!("sha256:{shown}").parse(), Ok(fingerprint));
        for wrong in ["", "0a", &"0a".repeat(33), &"zz".repeat(32)] {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(FingerprintError), "{wrong}");
        }
    }

    #[test]
    fn options_do_not_print_the_token() {
        let options = Options::new("h:1", Fingerprint([0; 32]), "s", "secret");
        assert!(!format!("{options:?}").contains("secret"));
        assert!(!format!("{options:?}").contains("115, 101"));
    }
}
