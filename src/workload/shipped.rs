//! The workloads that the binary carries: the use cases of "Choosing the Right Tool".

use super::{Diagnostics, Workload, parse};

/// A workload file that the binary carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shipped {
    /// Its name, which is also its file's stem.
    pub name: &'static str,
    /// The file's text.
    pub text: &'static str,
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        /// Every shipped workload, in the order in which the table shows them.
        pub const ALL: &[Shipped] = &[$(Shipped {
            name: $name,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/workloads/", $name, ".toml")),
        }),*];
    };
}

shipped![
    "web-scraping",
    "file-io",
    "api-requests",
    "parallel-computation",
    "realtime-networking",
    "background-jobs",
    "file-hashing",
    "json-parsing",
    "subprocess-fan-out",
    "fsync-log",
    "lock-contention",
    "queue-pipeline",
    "scrape-and-parse",
];

impl Shipped {
    /// Reads it.
    ///
    /// # Errors
    /// None in a released binary: a test reads them all.
    pub fn parse(&self) -> Result<Workload, Diagnostics> {
        parse(&format!("{}.toml", self.name), self.text)
    }
}

/// The shipped workload of this name.
#[must_use]
pub fn find(name: &str) -> Option<Shipped> {
    ALL.iter().copied().find(|shipped| shipped.name == name)
}

/// What `run --cpu` measures: computation alone.
///
/// # Errors
/// None in a released binary: see [`Shipped::parse`].
pub fn cpu() -> Result<Workload, Diagnostics> {
    PARALLEL_COMPUTATION.parse()
}

/// What `run --io` measures: requests that wait for another host.
///
/// # Errors
/// None in a released binary: see [`Shipped::parse`].
pub fn io() -> Result<Workload, Diagnostics> {
    API_REQUESTS.parse()
}

/// What `run --mixed` measures: waiting and computation in one task.
///
/// # Errors
/// None in a released binary: see [`Shipped::parse`].
pub fn mixed() -> Result<Workload, Diagnostics> {
    SCRAPE_AND_PARSE.parse()
}

const API_REQUESTS: Shipped = ALL[2];
const PARALLEL_COMPUTATION: Shipped = ALL[3];
const SCRAPE_AND_PARSE: Shipped = ALL[12];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_are_what_they_are_called() {
        assert_eq!(cpu().map(|workload| workload.name).ok().as_deref(), Some("parallel-computation"));
        assert_eq!(io().map(|workload| workload.name).ok().as_deref(), Some("api-requests"));
        assert_eq!(mixed().map(|workload| workload.name).ok().as_deref(), Some("scrape-and-parse"));
    }
}
