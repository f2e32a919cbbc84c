//! Lists the files of the Python agent and of Python's half of the cheat sheet, so that the binary carries them.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where each package lies, and the file that lists it.
const PACKAGES: [(&str, &str); 2] =
    [("src/python/agent", "agent_files.rs"), ("src/python/cheatsheet", "cheatsheet_files.rs")];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=CONBENCH_RUSTC={}", compiler()?);
    PACKAGES.into_iter().try_for_each(|(package, listed)| list(package, listed))
}

fn list(package: &str, listed: &str) -> io::Result<()> {
    println!("cargo::rerun-if-changed={package}");
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join(package);
    let mut files = Vec::new();
    modules(&root, &mut files)?;
    // The same binary from the same sources, whatever the file system's order.
    files.sort();
    let mut text = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&root).map_err(io::Error::other)?;
        // Debug of a path is a string literal of Rust, for names of any characters. The folder is named by the compiler, so
        // that a build goes on where its sources were moved to.
        let below = Path::new("/").join(package).join(name);
        writeln!(text, "    ({name:?}, include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {below:?}))),")
            .map_err(io::Error::other)?;
    }
    text.push_str("]\n");
    std::fs::write(Path::new(&variable("OUT_DIR")?).join(listed), text)
}

/// The compiler's version: figures of Rust are its work.
fn compiler() -> io::Result<String> {
    let said = Command::new(variable("RUSTC")?).arg("--version").output()?;
    let text = String::from_utf8_lossy(&said.stdout);
    Ok(text.split_whitespace().nth(1).unwrap_or("unknown").to_owned())
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
