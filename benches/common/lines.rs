//! Files of results, a JSON object a line, so that a bench can be stopped and taken up again.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The results of a file; none if there is no file.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, String> {
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(Vec::new()) };
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(|error| format!("{}: {error}", path.display())))
        .collect()
}

/// Adds a result to a file.
pub(crate) fn append<T: Serialize>(path: &Path, said: &T) -> Result<(), String> {
    let because = |error: std::io::Error| format!("{}: {error}", path.display());
    let text = serde_json::to_string(said).map_err(|error| error.to_string())?;
    let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(because)?;
    writeln!(file, "{text}").map_err(because)
}
