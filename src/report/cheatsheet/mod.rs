//! The cheat sheet as a table, Markdown or JSON. Its page is in `page::sheet`, over the same [`rows`].

mod json;
mod lines;
mod markdown;
pub(super) mod rows;
pub(super) mod table;
#[cfg(test)]
mod tests;

pub use json::{cheatsheet_json, cheatsheet_schema};
pub use markdown::cheatsheet_markdown;
pub use table::cheatsheet_table;
