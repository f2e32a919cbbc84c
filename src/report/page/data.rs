//! The records behind a page, compressed, in a link.

use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::GzBuilder;
use maud::{Markup, html};
use serde::Serialize;

use super::frame;
use crate::escape::plain;
use crate::record::FORMAT_VERSION;
use crate::report::Judged;
use crate::units::bytes;

#[derive(Serialize)]
struct Document<'a> {
    format_version: u32,
    records: &'a [Judged],
}

/// The section with the link to these records.
///
/// # Errors
/// When a figure cannot be written, which would be a fault of this program.
pub(super) fn section(all: &[Judged]) -> Result<Markup, serde_json::Error> {
    let json = serde_json::to_vec(&Document { format_version: FORMAT_VERSION, records: all })?;
    Ok(linked("The record", &json, &file_name(all)))
}

/// The section with the link to what a page was drawn from, as it is saved.
pub(super) fn linked(title: &str, json: &[u8], name: &str) -> Markup {
    let packed = compressed(json);
    let link = format!("data:application/gzip;base64,{}", BASE64_STANDARD.encode(&packed));
    let content = html! {
        p {
            a class="button" download=(name) href=(link) { "Download " (title.to_lowercase()) }
            span class="soft" { " JSON, gzip, " (bytes(packed.len() as u64)) }
        }
        p class="soft" {
            "Everything that was measured. It holds no values of the environment, of items or of results, and home directories are "
            code { "~" } ". To read it:"
        }
        pre { code { "conbench report " (name) "\n" } }
    };
    frame::section("record", title, &content)
}

/// The same bytes for the same text: no name, no time.
fn compressed(json: &[u8]) -> Vec<u8> {
    let mut packer = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    // Writing to memory cannot fail.
    drop(packer.write_all(json));
    packer.finish().unwrap_or_default()
}

fn file_name(all: &[Judged]) -> String {
    let of = match all {
        [one] => plain(&one.record.workload.name),
        _ => "conbench".to_owned(),
    };
    let safe: String = of.chars().map(|sign| if sign.is_ascii_alphanumeric() { sign } else { '-' }).take(60).collect();
    let safe = safe.trim_matches('-');
    format!("{}.json.gz", if safe.is_empty() { "record" } else { safe })
}
