//! Where to listen and whom to talk to: any text is taken or refused, and what is taken prints as
//! something that means the same.

use nodeward::net::address::Address;
use nodeward::net::endpoint::Endpoint;

/// Takes the bytes as a listen address and as the URL of a peer.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match text.parse::<Address>() {
        Ok(address) => assert_eq!(address.to_string().parse(), Ok(address)),
        Err(error) => assert!(error.to_string().len() < 2000),
    }
    match text.parse::<Endpoint>() {
        Ok(endpoint) => {
            let again: Endpoint = endpoint.to_string().parse().expect("its own text");
            assert_eq!(again.place(), endpoint.place());
            assert!(endpoint.path().as_str().starts_with('/'));
            let below = endpoint.below("v1/metrics").expect("a path below a path");
            assert!(below.path().path().ends_with("/v1/metrics"));
        }
        Err(error) => assert!(bytes.len() < 80 || !error.to_string().contains(text)),
    }
}
