//! Each file of the corpus of `fuzz/` goes where its target sends it: no panic, and the laws of `inputs.rs` hold.

// Public for the crate of `fuzz/`, which has the file, too.
#[expect(unreachable_pub)]
#[path = "fuzz_corpus/inputs.rs"]
mod inputs;

use std::path::Path;

/// Has a target's function take each of its files.
fn replay(target: &str, function: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder).expect("a corpus").flatten().map(|file| file.path()).collect();
    files.sort();
    assert!(files.len() > 10, "{} holds {} files", folder.display(), files.len());
    for file in files {
        let bytes = std::fs::read(&file).expect("a file");
        if std::panic::catch_unwind(|| function(&bytes)).is_err() {
            panic!("`{target}` does not take {}", file.display());
        }
    }
}

#[test]
fn workload_files_of_any_text() {
    replay("workload", inputs::workload);
}

#[test]
fn frames_of_any_agent() {
    replay("frames", inputs::frames);
}

#[test]
fn records_of_any_origin() {
    replay("record", inputs::record);
}

#[test]
fn heads_of_any_peer() {
    replay("http", inputs::http);
}
