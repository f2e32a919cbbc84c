//! Lists the files of the Python agent, so that the binary carries them.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// Where the package lies.
const PACKAGE: &str = "src/python/agent";

fn main() -> io::Result<()> {
    announce();
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join(PACKAGE);
    let mut files = Vec::new();
    modules(&root, &mut files)?;
    // The same binary from the same sources, whatever the file system's order.
    files.sort();
    let mut text = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&root).map_err(io::Error::other)?;
        // Debug of a path is a string literal of Rust, for names of any characters.
        writeln!(text, "    ({name:?}, include_bytes!({file:?})),").map_err(io::Error::other)?;
    }
    text.push_str("]\n");
    std::fs::write(Path::new(&variable("OUT_DIR")?).join("agent_files.rs"), text)
}

fn announce() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={PACKAGE}");
}

fn variable(name: &str) -> io::Result<String> {
    std::env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")))
}

/// Adds every `.py` file below `directory`: no settings of tools, no bytecode.
fn modules(directory: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = std::fs::read_dir(directory)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", directory.display())))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            modules(&path, found)?;
        } else if path.extension().is_some_and(|ending| ending == "py") {
            found.push(path);
        }
    }
    Ok(())
}
