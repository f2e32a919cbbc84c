//! Runtimes that are there to be measured, as they say of themselves.

use super::LeftOut;
use crate::candidate::{Cluster, Engine, RUST, StartMethod};
use crate::protocol::{Absent, Hello, Offer};

/// A runtime that is there to be measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Runtime {
    /// Its name, as candidates carry it.
    pub name: String,
    /// Its language, as its agent names it: `rust`, `python`.
    pub language: String,
    /// Its engines.
    pub engines: Vec<Offer>,
    /// Engines of its language that it does not have, and why.
    pub absent: Vec<Absent>,
    /// How its worker processes may begin, its default first; empty where there is no choice.
    pub start_methods: Vec<StartMethod>,
    /// The cluster that takes part under it, where the user names one and it was looked at.
    pub cluster: Option<Cluster>,
}

impl Runtime {
    /// The native runtime, with every engine that there is.
    #[must_use]
    pub fn rust() -> Runtime {
        Runtime {
            name: RUST.to_owned(),
            language: RUST.to_owned(),
            engines: Offer::native(),
            absent: Vec::new(),
            start_methods: Vec::new(),
            cluster: None,
        }
    }

    /// The runtime `name`, whose agent said this.
    #[must_use]
    pub fn of(name: &str, hello: &Hello) -> Runtime {
        Runtime {
            name: name.to_owned(),
            language: hello.language.clone(),
            engines: hello.engines.clone(),
            absent: hello.absent.clone(),
            start_methods: hello.start_methods.clone(),
            cluster: None,
        }
    }

    /// What it does not have, as a plan says it.
    pub(super) fn left_out(&self) -> impl Iterator<Item = (Engine, LeftOut)> {
        self.absent.iter().map(|absent| {
            let what = format!("{}/{}", self.name, absent.engine);
            (absent.engine, LeftOut { what, reason: absent.reason.clone() })
        })
    }
}
