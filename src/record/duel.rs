//! What a duel measured, as it is stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Record;
use crate::decide::duel::DuelRules;

/// The version of the format of a duel. A file with another one is refused, with a word.
pub const FORMAT_VERSION: u32 = 1;

/// All that was measured to compare two versions of the same work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DuelRecord {
    /// The version of the rules by which it was decided.
    pub rules_version: u32,
    /// The workload's name.
    #[serde(default)]
    pub workload: String,
    /// The version that the other is held against.
    pub base: SideRecord,
    /// The version in question.
    pub head: SideRecord,
    /// What was asked.
    pub rules: DuelRules,
    /// The comparison that asks whether the base's choice is still good for the head: an index into the rules'. `None`
    /// where both have the same choice, or nobody asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub choice: Option<u32>,
    /// The blocks of both, in the same rounds. Its runtimes are the sides. `None` where a side has no choice, so that there
    /// was nothing to compare.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub record: Option<Record>,
    /// Why a session could not run at all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure: Option<SideFailure>,
}

/// The side of what concerns both.
pub const EITHER: &str = "a side";

/// Why a side could not run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SideFailure {
    /// Which: `base`, `head`, or `a side` where that is not known.
    pub side: String,
    /// Why.
    pub reason: String,
}

/// One of two versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SideRecord {
    /// What it is, in words.
    pub what: String,
    /// The commit, of a revision and of a working tree.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<String>,
    /// Files of the working tree that are not as the commit has them, untracked ones among them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub changed: Vec<String>,
    /// How its own choice was found; `None` where the candidates were named.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub race: Option<Record>,
}
