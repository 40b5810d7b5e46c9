//! What can go wrong at the first connection, in words that help.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex};

use hotseat_client::wire::ALPN;
use hotseat_client::{Client, Error, Options};

use crate::server::{Identity, Kept, Server};
use crate::{World, options};

async fn refused(options: Options) -> Error {
    let error = Client::connect(options).await.expect_err("it is refused");
    assert!(!error.hint().is_empty(), "{error} has no hint");
    error
}

#[tokio::test]
async fn another_certificate_is_named_and_not_believed() {
    let mut world = World::new();
    let other = Identity::new().fingerprint();
    let error = refused(options(world.server.address, other)).await;
    let shown = world.identity.fingerprint().to_string();
    assert!(matches!(error, Error::WrongFingerprint { .. }) && error.to_string().contains(&shown));
    assert!(world.server.seen.try_recv().is_err(), "no token was said to a stranger");
}

#[tokio::test]
async fn one_of_several_certificates_is_enough() {
    let mut world = World::new();
    let mut options = options(world.server.address, Identity::new().fingerprint());
    options.fingerprints.push(world.identity.fingerprint());
    world.client_with(options).await.close().await;
}

#[tokio::test]
async fn a_token_that_is_refused_is_told_in_the_servers_words() {
    let world = World::new();
    let mut options = world.options();
    options.token.0 = b"wrong".to_vec();
    let error = refused(options).await;
    assert!(matches!(&error, Error::Refused { code, .. } if code == "token-refused"), "{error:?}");
    assert_eq!(error.to_string(), "the server refused: the token is not known");
}

#[tokio::test]
async fn nobody_answers() {
    // Bound and never read.
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let fingerprint = Identity::new().fingerprint();
    let error = refused(options(silent.local_addr().unwrap(), fingerprint)).await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_name_that_is_none_is_told() {
    let mut options = World::new().options();
    options.address = "no port here".to_owned();
    assert!(matches!(refused(options).await, Error::LookUp { .. }));
}

#[tokio::test]
async fn a_name_of_several_addresses_needs_one_that_answers() {
    let mut world = World::new();
    let mut options = world.options();
    // Where it is [::1] too, nobody listens there.
    options.address = format!("localhost:{}", world.server.address.port());
    world.client_with(options).await.close().await;
}

#[tokio::test]
async fn a_server_of_another_protocol_is_told() {
    let (identity, kept) = (Identity::new(), Arc::<Mutex<Kept>>::default());
    let any = (Ipv4Addr::LOCALHOST, 0).into();
    let server = Server::start_at(any, &identity, &kept, b"h3", None);
    let error = refused(options(server.address, identity.fingerprint())).await;
    assert!(matches!(error, Error::OtherProtocol { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_the_right_one_or_is_named() {
    let (identity, kept) = (Identity::new(), Arc::<Mutex<Kept>>::default());
    let ours = Identity::new();
    let any = (Ipv4Addr::LOCALHOST, 0).into();
    let server = Server::start_at(any, &identity, &kept, ALPN, Some(&ours));
    let options = || options(server.address, identity.fingerprint());
    assert!(matches!(refused(options()).await, Error::CertificateRefused { .. }));

    let with = |identity: &Identity| {
        let certificates = vec![identity.certificate.clone()];
        let identity = hotseat_client::Identity { certificates, key: identity.key() };
        let mut options = options();
        options.identity = Some(identity);
        options
    };
    let error = refused(with(&Identity::new())).await;
    assert!(matches!(error, Error::CertificateRefused { .. }), "{error:?}");
    Client::connect(with(&ours)).await.unwrap().close().await;
}
