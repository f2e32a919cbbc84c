//! What is mounted where.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use procfs::process::MountInfo;

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// The directory within the file system that is mounted.
    pub(super) root: String,
    pub(super) point: PathBuf,
    /// The type: `ext4`, `tmpfs`, ..
    pub(super) kind: String,
    /// The names of the file system's own options.
    pub(super) options: Vec<String>,
}

/// The mounts that this process sees, in the order in which they were made; lines that are none are passed over.
pub(super) fn read_under(root: &Path) -> Vec<Mount> {
    let Ok(text) = fs::read(root.join("proc/self/mountinfo")) else { return Vec::new() };
    let mount = |line: &[u8]| {
        let info = MountInfo::from_line(&String::from_utf8_lossy(line)).ok()?;
        Some(Mount {
            root: unescape(&info.root).to_string_lossy().into_owned(),
            point: unescape(&info.mount_point.to_string_lossy()).into(),
            kind: info.fs_type,
            options: info.super_options.into_keys().collect(),
        })
    };
    text.split(|byte| *byte == b'\n').filter_map(mount).collect()
}

/// The type of the file system that holds `path`, which need not exist yet.
pub(super) fn kind_of(path: &Path) -> Option<String> {
    let existing = path.ancestors().find_map(|ancestor| ancestor.canonicalize().ok())?;
    // Of mounts at the same point the last one covers the others.
    read_under(Path::new("/"))
        .into_iter()
        .filter(|mount| existing.starts_with(&mount.point))
        .max_by_key(|mount| mount.point.components().count())
        .map(|mount| mount.kind)
}

/// The kernel writes space, tab, newline and backslash as three octal digits after a backslash.
fn unescape(text: &str) -> OsString {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after
            .first_chunk::<3>()
            .filter(|_| *first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescape(r"/a\040b\134c"), r"/a b\c");
        assert_eq!(unescape(r"/a\9\04"), r"/a\9\04");
    }

    #[test]
    fn proc_is_a_proc_file_system_and_what_does_not_exist_has_its_parents() {
        assert_eq!(kind_of(Path::new("/proc/self")).as_deref(), Some("proc"));
        assert_eq!(kind_of(Path::new("/proc/no/such/thing")).as_deref(), Some("proc"));
    }
}
