//! The user's own code as a step.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A function of the user's own, in Python. At least one of its two forms is there.
///
/// Functions are named as in `shop.scrape:fetch_and_parse`: a module, and in it a name or a path of names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Python {
    /// A `def`: called by sequential, threads, processes and mixes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub function: Option<String>,
    /// An `async def`: awaited by event loops.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub async_function: Option<String>,
    /// Called once in each worker, outside every window.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub setup: Option<String>,
    /// What tasks are called with, one after another and again from the first; `None` is a call without
    /// arguments.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub items: Option<Items>,
    /// The directory that is put first on `sys.path`: relative to the workload file until
    /// [`Workload::resolve`](super::Workload::resolve), then absolute.
    pub path: String,
    /// How results are checked.
    pub check: Check,
}

/// Where items come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Items {
    /// An iterable of the user's, or a function that gives one.
    Named(String),
    /// Values that the workload file lists.
    Listed(Vec<serde_json::Value>),
}

/// How results of the user's own code are checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Check {
    /// By value: every candidate's must be those of a sequential run.
    Results,
    /// Not at all.
    None,
    /// By a function of the user's, which is called with an item and its result.
    Function(String),
}

impl Python {
    /// The name by which messages call it: its function's, without the module.
    #[must_use]
    pub fn short(&self) -> &str {
        let name = self.function.as_deref().or(self.async_function.as_deref()).unwrap_or_default();
        name.rsplit_once(':').map_or(name, |(_, name)| name)
    }
}
