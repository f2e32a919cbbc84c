//! Servers that a workload names, and which of them are not this host. No name is looked up.

use url::{Host, Url};

use super::quantity::Wrong;
use super::{Step, Workload};

const URL_HELP: &str = "write e.g. \"http://127.0.0.1:8080/\"";
const ADDRESS_HELP: &str = "write e.g. \"127.0.0.1:7000\", or \"[::1]:7000\"";

fn wrong(message: impl Into<String>, help: &str) -> Wrong {
    Wrong { message: message.into(), help: Some(help.to_owned()) }
}

/// The URL in its normal form, so that all who read it again see the same host.
pub(super) fn check_url(text: &str) -> Result<String, Wrong> {
    let mut url = Url::parse(text.trim()).map_err(|error| wrong(format!("not a URL: {error}"), URL_HELP))?;
    match url.scheme() {
        "http" => {}
        "https" => return Err(wrong("TLS is not supported yet", "name an http:// URL")),
        _ => return Err(wrong("not an http:// URL", URL_HELP)),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("the URL holds a user name or a password", "conbench sends none: take it out"));
    }
    // A port of 0 is one that nothing can listen on.
    if url.port() == Some(0) {
        return Err(wrong("port 0 cannot be connected to", URL_HELP));
    }
    url.set_fragment(None);
    Ok(url.into())
}

/// The address in its normal form, `host:port`.
pub(super) fn check_address(text: &str) -> Result<String, Wrong> {
    let (host, port) = split_address(text.trim()).map_err(|message| wrong(message, ADDRESS_HELP))?;
    Ok(format!("{host}:{port}"))
}

fn split_address(text: &str) -> Result<(Host<String>, u16), String> {
    let (host, port) = text.rsplit_once(':').ok_or("an address without a port")?;
    let port: u16 = port.parse().map_err(|error| format!("the port is not a number from 1 to 65535: {error}"))?;
    if port == 0 {
        return Err("port 0 cannot be connected to".to_owned());
    }
    if host.is_empty() {
        return Err("an address without a host".to_owned());
    }
    let host = Host::parse(host).map_err(|error| format!("not a host: {error}"))?;
    Ok((host, port))
}

/// Whether a host is this one by its spelling alone: 127.0.0.0/8, `::1` or `localhost`.
fn is_loopback(host: &Host<String>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
    }
}

impl Workload {
    /// The URLs and addresses of its steps that are not on the loopback interface by their spelling.
    ///
    /// No name is looked up: a name other than `localhost` counts as remote, and so does what cannot be read.
    #[must_use]
    pub fn remote_targets(&self) -> Vec<&str> {
        let target = |step: &'_ Step| match step {
            Step::Http { url: Some(url), .. } => {
                let host = Url::parse(url).ok().and_then(|url| url.host().map(|host| host.to_owned()));
                !host.is_some_and(|host| is_loopback(&host))
            }
            Step::Tcp { address: Some(address), .. } => {
                !split_address(address).is_ok_and(|(host, _)| is_loopback(&host))
            }
            _ => false,
        };
        self.steps
            .iter()
            .filter(|step| target(step))
            .filter_map(|step| match step {
                Step::Http { url, .. } => url.as_deref(),
                Step::Tcp { address, .. } => address.as_deref(),
                _ => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(step: &str) -> Vec<String> {
        let text = format!("[[step]]\n{step}\n");
        let workload = super::super::parse("w.toml", &text).unwrap_or_else(|faults| panic!("{faults}"));
        workload.remote_targets().into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn loopback_is_known_by_its_spelling() {
        for host in ["127.0.0.1", "127.9.8.7", "localhost", "LOCALHOST", "[::1]", "127.1", "2130706433"] {
            assert!(remote(&format!("kind = \"http\"\nurl = \"http://{host}:8080/x\"")).is_empty(), "{host}");
            assert!(remote(&format!("kind = \"tcp\"\naddress = \"{host}:80\"")).is_empty(), "{host}");
        }
    }

    #[test]
    fn all_else_is_remote() {
        for host in ["example.org", "10.0.0.1", "localhost.example.org", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"] {
            assert_eq!(remote(&format!("kind = \"http\"\nurl = \"http://{host}/x\"")).len(), 1, "{host}");
            assert_eq!(remote(&format!("kind = \"tcp\"\naddress = \"{host}:80\"")).len(), 1, "{host}");
        }
        assert_eq!(remote("kind = \"http\""), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_reached_is_refused() {
        for url in ["https://localhost/", "ftp://localhost/", "localhost", "http://", "http://u:p@localhost/", ""] {
            assert!(check_url(url).is_err(), "{url}");
        }
        for address in ["localhost", "localhost:0", "localhost:70000", ":80", "::1:80", "a b:80", ""] {
            assert!(check_address(address).is_err(), "{address}");
        }
        assert!(check_url("https://localhost/").is_err_and(|wrong| wrong.message.contains("TLS")));
    }
}
