//! How users name a cluster.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::str::FromStr;

/// The scheme of addresses that are reached without encryption, as users write it and as Dask does.
const SCHEMES: [(&str, &str); 3] = [("dask://", "tcp://"), ("tcp://", "tcp://"), ("tls://", "tls://")];
/// A cluster of worker processes on this host, which the session starts.
const LOCAL: &str = "dask:local";

/// A cluster that the user names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ClusterName {
    /// One on this host, for the session.
    Local,
    /// One that is there, by its scheduler's address as Dask writes it.
    At(String),
}

impl FromStr for ClusterName {
    type Err = String;

    fn from_str(text: &str) -> Result<ClusterName, String> {
        if text == LOCAL {
            return Ok(ClusterName::Local);
        }
        let expected = || format!("expected {LOCAL}, dask://HOST:PORT or tls://HOST:PORT");
        let (ours, theirs) = SCHEMES.into_iter().find(|(ours, _)| text.starts_with(ours)).ok_or_else(expected)?;
        let place = &text[ours.len()..];
        let port = place.rsplit_once(':').and_then(|(host, port)| {
            let is_name = |sign: char| sign.is_ascii_alphanumeric() || "-._[]:%".contains(sign);
            (!host.is_empty() && host.chars().all(is_name)).then(|| port.parse::<u16>().ok()).flatten()
        });
        match port {
            Some(port) if port > 0 => Ok(ClusterName::At(format!("{theirs}{place}"))),
            _ => Err(format!("`{place}` is no HOST:PORT; {}", expected())),
        }
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClusterName::Local => f.write_str(LOCAL),
            ClusterName::At(address) => f.write_str(address),
        }
    }
}

/// Whether an interface of this host has the address: who speaks to it speaks from it. Nothing is sent.
fn is_of_this_host(address: IpAddr) -> bool {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let from = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    !address.is_unspecified() && from.is_ok_and(|from| from.ip() == address)
}

impl ClusterName {
    /// Whether its scheduler is on this host, as far as its address says.
    pub(super) fn is_here(&self) -> bool {
        let ClusterName::At(address) = self else { return true };
        let place = address.rsplit("//").next().unwrap_or_default();
        let host = place.rsplit_once(':').map_or(place, |(host, _)| host).trim_matches(['[', ']']);
        let Ok(address) = host.parse::<IpAddr>() else { return host == "localhost" };
        address.is_loopback() || is_of_this_host(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_named_by_its_schedulers_address() {
        let of = |text: &str| text.parse::<ClusterName>();
        assert_eq!(of("dask:local"), Ok(ClusterName::Local));
        assert_eq!(of("dask://10.0.0.7:8786"), Ok(ClusterName::At("tcp://10.0.0.7:8786".to_owned())));
        assert_eq!(of("tls://far.example:8786"), Ok(ClusterName::At("tls://far.example:8786".to_owned())));
        for wrong in ["dask", "dask://", "dask://far", "dask://far:0", "dask://:1", "http://far:1", "dask://a b:1"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_loopback_may_be_elsewhere() {
        let is_here = |text: &str| text.parse::<ClusterName>().expect("a cluster").is_here();
        assert!(["dask:local", "dask://127.0.0.1:1", "dask://localhost:1", "tcp://[::1]:1"].into_iter().all(is_here));
        // (Addresses that no host has: they are kept for documentation.)
        let elsewhere = ["dask://192.0.2.7:1", "tls://far.example:1", "dask://[2001:db8::1]:1", "dask://0.0.0.0:1"];
        assert!(!elsewhere.into_iter().any(is_here));
    }

    #[test]
    fn an_address_of_an_interface_of_this_host_is_here() {
        // What a scheduler prints of itself is the address by which others reach it. (Nothing is sent to find it.)
        let own = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
            socket.connect("192.0.2.7:9")?;
            socket.local_addr()
        });
        // A host without a network has none.
        let address = own.map_or(IpAddr::from([127, 0, 0, 2]), |own| own.ip());
        let name: ClusterName = format!("dask://{address}:8786").parse().expect("a cluster");
        assert!(name.is_here(), "{address}");
    }
}
