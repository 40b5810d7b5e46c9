//! TLS in which a certificate is believed for its fingerprint alone.

use std::sync::{Arc, Mutex, PoisonError};

use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};

use crate::{Error, Fingerprint, Identity};

/// The configuration of all connections of a client, so that a later one resumes the TLS session of an earlier one.
pub(crate) fn config(
    fingerprints: &[Fingerprint],
    identity: Option<Identity>,
) -> Result<(QuicClientConfig, Arc<Pins>), Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let pins = Arc::new(Pins {
        expected: fingerprints.to_vec(),
        provider: Arc::clone(&provider),
        refused: Mutex::new(None),
    });
    let verifier: Arc<Pins> = Arc::clone(&pins);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(Error::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(Identity { certificates, key }) => {
            builder.with_client_auth_cert(certificates, key).map_err(Error::Identity)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![hotseat_wire::ALPN.to_vec()];
    // For Hello and Attach alone, which may be replayed (docs/protocol.md).
    config.enable_early_data = true;
    let config = QuicClientConfig::try_from(config)
        .map_err(|_| Error::Tls(rustls::Error::General("no suite for QUIC".to_owned())))?;
    Ok((config, pins))
}

/// Believes certificates of these fingerprints and no others: the pin *is* the trust, so neither name nor dates count.
#[derive(Debug)]
pub(crate) struct Pins {
    expected: Vec<Fingerprint>,
    provider: Arc<CryptoProvider>,
    /// The last one that was not believed.
    refused: Mutex<Option<Fingerprint>>,
}

impl Pins {
    pub(crate) fn take_refused(&self) -> Option<Fingerprint> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ServerCertVerifier for Pins {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let seen = Fingerprint::of(end_entity);
        if self.expected.contains(&seen) {
            return Ok(ServerCertVerified::assertion());
        }
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
