//! The cheat sheet as a table, Markdown or JSON. A page of HTML would stand beside them, over the same [`rows`].

mod json;
mod markdown;
mod rows;
mod table;
#[cfg(test)]
mod tests;

pub use json::{cheatsheet_json, cheatsheet_schema};
pub use markdown::cheatsheet_markdown;
pub use table::cheatsheet_table;
