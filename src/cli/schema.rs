//! `conbench schema`: the JSON Schemas of the files that conbench reads and writes, and of what agents speak.

use std::io::{self, Write};

use crate::{protocol, report, workload};

/// What `schema` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct SchemaArgs {
    /// The kind of file
    #[arg(value_enum, value_name = "WHICH")]
    pub which: Which,
}

/// A kind of file that has a schema.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Workload files
    Workload,
    /// Records
    Record,
    /// Cheat sheets
    Cheatsheet,
    /// A line of --format jsonl
    Jsonl,
    /// A line of `conbench duel --format jsonl`
    DuelJsonl,
    /// What `conbench compare --format json` prints
    Comparison,
    /// What `conbench duel --format json` prints
    Duel,
    /// A line between conbench and an agent
    Protocol,
}

/// The schema, as JSON with a line feed at its end.
///
/// # Errors
/// When it cannot be put into JSON.
pub fn text(which: Which) -> serde_json::Result<String> {
    let mut text = match which {
        Which::Workload => serde_json::to_string_pretty(&workload::schema()),
        Which::Record => serde_json::to_string_pretty(&report::record_schema()),
        Which::Cheatsheet => serde_json::to_string_pretty(&report::cheatsheet_schema()),
        Which::Jsonl => serde_json::to_string_pretty(&report::jsonl_schema()),
        Which::DuelJsonl => serde_json::to_string_pretty(&report::duel_jsonl_schema()),
        Which::Comparison => serde_json::to_string_pretty(&report::comparison_schema()),
        Which::Duel => serde_json::to_string_pretty(&report::duel_schema()),
        Which::Protocol => serde_json::to_string_pretty(&protocol::schema()),
    }?;
    text.push('\n');
    Ok(text)
}

/// Writes the schema to `out`. Gives 0.
///
/// # Errors
/// When `out` cannot be written to.
pub fn run(args: &SchemaArgs, out: &mut dyn Write, _err: &mut dyn Write, _colour: bool) -> io::Result<u8> {
    out.write_all(text(args.which)?.as_bytes())?;
    Ok(0)
}
