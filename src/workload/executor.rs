//! Executors of the user's own: how their factories are named.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar;
use crate::candidate::Model;

/// An executor of the user's own that a workload file names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnEngine {
    /// What builds it: `module:name`, or `file.py:name`.
    pub factory: String,
    /// The folder in which that is looked for first: the file's own.
    pub path: String,
    /// Where it runs tasks, if the file says so: a probe must find the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model: Option<Model>,
    /// Only these numbers of workers; empty is a search.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub workers: Vec<u32>,
}

/// A factory as users write it: `module:name`, or `file.py:name`.
///
/// # Errors
/// What is wrong with it.
pub fn factory_name(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_path = |path: &str| path.split('.').all(scalar::is_identifier);
    let is_named = |place: &str| match place.strip_suffix(".py") {
        // Text beyond letters would reach terminals.
        Some(file) => {
            scalar::is_identifier(file.rsplit('/').next().unwrap_or(file)) && !file.contains(char::is_control)
        }
        None => is_path(place),
    };
    match text.rsplit_once(':') {
        Some((place, name)) if is_named(place) && is_path(name) => Ok(text.to_owned()),
        _ => {
            Err("a factory is a name in a module: write e.g. `pools:make`, or `shop/pools.py:make` for a file"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factory_is_named_in_a_module_or_a_file() {
        for fine in ["pools:make", "shop.pools:Pools.make", "shop/pools.py:make", "/srv/my shop/pools.py:make"] {
            assert_eq!(factory_name(fine).as_deref(), Ok(fine));
        }
        for wrong in
            ["pools", "pools:", ":make", "my-pools.py:make", "shop/pools:make", "pools:make(2)", "a\u{1b}/b.py:make"]
        {
            assert!(factory_name(wrong).is_err(), "{wrong}");
        }
    }
}
