//! From a file or a text to a workload, or to all that is wrong with it.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use toml::de::DeTable;

use super::diagnostics::{Diagnostics, Fault};
use super::walk::Faults;
use super::{WORKLOAD, Workload, build, syntax};
use crate::units::written_size;

/// The largest workload file, in bytes. A real one has a hundredth of this.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// The smallest workload file that does something.
pub const SHORTEST: &str = "[[step]]\nkind = \"cpu\"\n";

const EMPTY_HELP: &str =
    "two lines make a workload: `[[step]]` and `kind = \"cpu\"`; `conbench init` writes a longer one";

/// Reads a workload file.
///
/// # Errors
/// Every fault of the file: that it cannot be read, or all that is wrong with its text.
pub fn load(path: &Path) -> Result<Workload, Diagnostics> {
    let name = path.display().to_string();
    let unreadable = |fault| Diagnostics::new(&name, "", vec![fault]);
    let text = read(path).map_err(unreadable)?;
    let mut workload = parse(&name, &text)?;
    let here = std::path::absolute(path).map_err(|error| {
        unreadable(Fault::of_file(format!("the file's directory is not known: {error}"), "name it by its whole path"))
    })?;
    workload.resolve(here.parent().unwrap_or(Path::new("/")));
    Ok(workload)
}

/// Reads a workload from its text. `source_name` stands in messages, and its stem is the default name.
///
/// # Errors
/// Every fault of the text, with its place. After a syntax error, what is reported of the rest is
/// what does not hang on it.
pub fn parse(source_name: &str, text: &str) -> Result<Workload, Diagnostics> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(Diagnostics::new(source_name, "", vec![too_large(text.len() as u64)]));
    }
    if text.trim().is_empty() {
        return Err(Diagnostics::new(source_name, text, vec![Fault::of_file("the file is empty", EMPTY_HELP)]));
    }
    // The parser bounds its own nesting (to 80 levels), and so the walk below needs no bound.
    let (document, errors) = DeTable::parse_recoverable(text);
    let syntax = syntax::faults(&errors, text);
    let mut walked = Faults::default();
    let values = walked.table(&WORKLOAD, document.get_ref(), 0..0);
    let built = build::workload(&values, &stem(source_name), &mut walked.found);
    let faults = syntax::combine(syntax, walked, text);
    match built {
        Some(workload) if faults.is_empty() => Ok(workload),
        None if faults.is_empty() => {
            let help = "a fault of conbench itself: please report it, with the file";
            Err(Diagnostics::new(source_name, text, vec![Fault::of_file("the workload cannot be built", help)]))
        }
        _ => Err(Diagnostics::new(source_name, text, faults)),
    }
}

/// The default name: the file's name without its ending, fit for a line of a table.
fn stem(source_name: &str) -> String {
    let stem = Path::new(source_name).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let clean: String =
        stem.unwrap_or_default().chars().map(|c| if c.is_control() { '-' } else { c }).take(100).collect();
    if clean.trim().is_empty() { "workload".to_owned() } else { clean.trim().to_owned() }
}

fn read(path: &Path) -> Result<String, Fault> {
    const NAME: &str = "name a workload file, or start from one that `conbench init` writes";
    let io = |what: &str, error: std::io::Error| Fault::of_file(format!("{what}: {error}"), NAME);
    // Before opening: to open a device can do something to it.
    let before = std::fs::metadata(path).map_err(|error| io("cannot read the file", error))?;
    check_kind(&before)?;
    // Should a FIFO have taken the file's place meanwhile, opening it must not wait for a writer.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = file.map_err(|error| io("cannot open the file", error))?;
    check_kind(&file.metadata().map_err(|error| io("cannot read the file", error))?)?;
    let mut bytes = Vec::new();
    // The file may grow while it is read.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| io("cannot read the file", error))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1;
        Fault::of_file(
            format!("not UTF-8: invalid bytes at offset {offset}, in line {line}"),
            "a workload file is text in UTF-8: save it as that",
        )
    })
}

fn check_kind(metadata: &Metadata) -> Result<(), Fault> {
    const HELP: &str = "name a workload file";
    if metadata.is_dir() {
        return Err(Fault::of_file("is a directory", "name a workload file in it"));
    }
    if !metadata.is_file() {
        return Err(Fault::of_file("is not a regular file", HELP));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(too_large(metadata.len()));
    }
    Ok(())
}

fn too_large(bytes: u64) -> Fault {
    let most = written_size(MAX_FILE_BYTES);
    Fault::of_file(format!("the file has {bytes} bytes, and a workload file at most {most}"), "is it the right file?")
}
