//! The agent's package, carried in this binary and unpacked where tracebacks and `spawn` can read it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::geteuid;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// Each file of the package: its path in it, and its content.
type Files = [(&'static str, &'static [u8])];

/// The package.
static PACKAGE: &Files = include!(concat!(env!("OUT_DIR"), "/agent_files.rs"));

/// Python's half of the cheat sheet.
static CHEATSHEET: &Files = include!(concat!(env!("OUT_DIR"), "/cheatsheet_files.rs"));

/// What Python writes beside the modules that it imports. It holds them against their sources by itself.
const BYTECODE: &str = "__pycache__";

/// How often a copy is looked at that others replace meanwhile.
const MOST_LOOKS: usize = 100;

/// Write permission for others than the owner.
const OTHERS_MAY_WRITE: u32 = 0o022;
/// Any permission for others than the owner.
const OTHERS: u32 = 0o077;
/// Only the owner may remove what is in such a directory.
const STICKY: u32 = 0o1000;

/// Writes Python's half of the cheat sheet into a directory that is the caller's alone, and returns what an interpreter
/// is started with.
///
/// # Errors
/// When it cannot be written, as where it is there already.
pub fn unpack_cheatsheet(directory: &Path) -> io::Result<PathBuf> {
    write(CHEATSHEET, directory)?;
    Ok(directory.join("conbench_cheatsheet"))
}

/// The unpacked agent.
#[derive(Debug)]
pub(super) struct Carried {
    directory: PathBuf,
    /// Where it is not kept: removed with this.
    _private: Option<TempDir>,
}

impl Carried {
    /// Unpacks the package into the user's cache, unless it is there; where that cannot be, or cannot be trusted,
    /// into a directory of this process's own.
    ///
    /// # Errors
    /// When it can be written nowhere.
    pub(super) fn unpack() -> io::Result<Carried> {
        unpack(PACKAGE, cache_home().as_deref(), &std::env::temp_dir())
    }

    /// Unpacks the package for this process alone.
    #[cfg(test)]
    pub(super) fn unpack_for_a_test() -> io::Result<Carried> {
        unpack(PACKAGE, None, &std::env::temp_dir())
    }

    /// The file that is started.
    pub(super) fn main(&self) -> PathBuf {
        self.directory.join("main.py")
    }
}

/// Where programs keep what they can make again, by the XDG base directory specification.
fn cache_home() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))
}

fn unpack(files: &Files, cache_home: Option<&Path>, temporary: &Path) -> io::Result<Carried> {
    // Why the cache does not serve is of no interest: everything works without it.
    if let Some(Ok(directory)) = cache_home.map(|home| keep(files, home)) {
        return Ok(Carried { directory, _private: None });
    }
    let private = private("conbench-agent-", &std::path::absolute(temporary)?)?;
    write(files, private.path())?;
    Ok(Carried { directory: private.path().to_owned(), _private: Some(private) })
}

/// Sees to it that the cache holds the package, whole, and returns its place. Several processes may do so at once:
/// what is there is replaced in one step, never changed.
fn keep(files: &Files, home: &Path) -> io::Result<PathBuf> {
    let ours = home.join("conbench");
    DirBuilder::new().recursive(true).mode(0o700).create(&ours)?;
    for directory in [home, &ours] {
        trust_directory(directory)?;
    }
    let target = ours.join(format!("agent-{}-{}", env!("CARGO_PKG_VERSION"), hash(files)));
    for _ in 0..MOST_LOOKS {
        let seen = identity(&target);
        if is_whole(files, &target) {
            return Ok(target);
        }
        // Another process may have replaced it while it was looked at, which proves nothing.
        if seen == identity(&target) {
            put(files, &ours, &target)?;
        }
    }
    Err(io::Error::other("it is changed again and again"))
}

/// A new directory that nobody else may even look into.
fn private(prefix: &str, parent: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(prefix).permissions(Permissions::from_mode(0o700)).tempdir_in(parent)
}

/// What stands at a path now.
fn identity(path: &Path) -> Option<(u64, i64)> {
    fs::symlink_metadata(path).ok().map(|found| (found.ino(), found.ctime_nsec()))
}

/// Puts a new copy at `target`, in the directory `ours`, in the place of what may be there.
fn put(files: &Files, ours: &Path, target: &Path) -> io::Result<()> {
    let fresh = private(".agent-", ours)?;
    write(files, fresh.path())?;
    if renameat_with(CWD, fresh.path(), CWD, target, RenameFlags::NOREPLACE).is_ok() {
        // It has left the place from which it would be removed.
        let _ = fresh.keep();
        return Ok(());
    }
    // The two change places, and what stood there is removed. It need not be a directory.
    renameat_with(CWD, fresh.path(), CWD, target, RenameFlags::EXCHANGE)?;
    let _ = fs::remove_file(fresh.path());
    Ok(())
}

/// Refuses a directory into which others could put something.
fn trust_directory(path: &Path) -> io::Result<()> {
    let found = fs::metadata(path)?;
    let owners = [geteuid().as_raw(), 0];
    let open_to_others = found.mode() & OTHERS_MAY_WRITE != 0 && found.mode() & STICKY == 0;
    if found.is_dir() && owners.contains(&found.uid()) && !open_to_others {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "others may write to the directory"))
    }
}

/// Whether `root` holds just these files, which nobody else can change.
fn is_whole(files: &Files, root: &Path) -> bool {
    let expected = files.iter().flat_map(|(name, _)| Path::new(name).ancestors().map(Path::to_owned)).collect();
    let is_whole = || -> io::Result<bool> {
        // Python makes its directories of bytecode as the user's umask says: none but the user may reach them.
        let is_closed = fs::symlink_metadata(root)?.mode() & OTHERS == 0;
        Ok(is_closed && hold(files, root)? && holds_nothing_else(root, Path::new(""), &expected)?)
    };
    // What cannot be read is not whole.
    is_whole().unwrap_or(false)
}

/// Whether each file below `root` has its content.
fn hold(files: &Files, root: &Path) -> io::Result<bool> {
    for (name, content) in files {
        let path = root.join(name);
        if !is_ours(&fs::symlink_metadata(&path)?) {
            return Ok(false);
        }
        let mut found = Vec::new();
        File::open(path)?.take(content.len() as u64 + 1).read_to_end(&mut found)?;
        if found != *content {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the directory `root/inside` holds nothing but what is expected, and bytecode. A module more could be
/// imported in the place of one of Python's own.
fn holds_nothing_else(root: &Path, inside: &Path, expected: &BTreeSet<PathBuf>) -> io::Result<bool> {
    if !is_ours(&fs::symlink_metadata(root.join(inside))?) {
        return Ok(false);
    }
    for entry in fs::read_dir(root.join(inside))? {
        let entry = entry?;
        let path = inside.join(entry.file_name());
        let is_directory = entry.file_type()?.is_dir();
        let is_right = if entry.file_name() == BYTECODE {
            is_directory
        } else {
            expected.contains(&path) && (!is_directory || holds_nothing_else(root, &path, expected)?)
        };
        if !is_right {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether it is a file or directory that only this user can change. A link is none: it leads elsewhere.
fn is_ours(found: &Metadata) -> bool {
    (found.is_dir() || found.is_file()) && found.uid() == geteuid().as_raw() && found.mode() & OTHERS_MAY_WRITE == 0
}

/// Writes the package into a directory that is empty.
fn write(files: &Files, root: &Path) -> io::Result<()> {
    for (name, content) in files {
        let path = root.join(name);
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        File::options().write(true).create_new(true).mode(0o600).open(&path)?.write_all(content)?;
    }
    Ok(())
}

/// A name for the content: another content has another one.
fn hash(files: &Files) -> String {
    let mut hasher = Sha256::new();
    for (name, content) in files {
        for part in [OsStr::new(name).as_bytes(), content] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const FILES: &Files =
        &[("main.py", b"import inner\n"), ("inner/__init__.py", b""), ("inner/deep/a.py", b"A = 1\n")];

    fn place() -> TempDir {
        tempfile::tempdir().expect("a directory")
    }

    /// Unpacks with `home` as the cache, which must serve, and returns where it is kept.
    fn kept(home: &Path) -> PathBuf {
        let nowhere = home.join("nowhere");
        let carried = unpack(FILES, Some(home), &nowhere).expect("kept");
        assert!(is_whole(FILES, &carried.directory));
        assert_eq!(entries(&home.join("conbench")), [carried.directory.file_name().expect("a name")]);
        carried.directory
    }

    fn entries(directory: &Path) -> Vec<std::ffi::OsString> {
        fs::read_dir(directory).expect("listed").map(|entry| entry.expect("an entry").file_name()).collect()
    }

    /// Unpacks where the cache must not serve: into a directory of its own, which goes away.
    fn kept_nowhere(home: &Path) {
        let temporary = place();
        let carried = unpack(FILES, Some(home), temporary.path()).expect("unpacked");
        assert!(carried.directory.starts_with(temporary.path()), "{carried:?}");
        assert!(is_whole(FILES, &carried.directory) && carried.main().is_file());
        drop(carried);
        assert!(entries(temporary.path()).is_empty());
    }

    #[test]
    fn the_package_is_carried_whole_and_without_bytecode() {
        let names: Vec<&str> = PACKAGE.iter().map(|(name, _)| *name).collect();
        for name in ["main.py", "conbench_agent/__init__.py", "conbench_agent/agent.py"] {
            assert!(names.contains(&name), "{names:?}");
        }
        assert!(names.iter().all(|name| name.ends_with(".py")), "{names:?}");
        assert!(names.is_sorted());
    }

    #[test]
    fn the_half_of_the_cheat_sheet_is_carried_too() {
        let place = place();
        let main = unpack_cheatsheet(place.path()).expect("unpacked");
        assert!(main.join("__main__.py").is_file());
        assert!(main.join("pitfalls").is_dir());
        assert!(unpack_cheatsheet(place.path()).is_err(), "nothing that is there is written over");
    }

    #[test]
    fn what_is_there_is_used_again() {
        let home = place();
        let directory = kept(home.path());
        let before = fs::metadata(directory.join("main.py")).expect("there").ino();
        fs::create_dir(directory.join("inner").join(BYTECODE)).expect("made");
        fs::write(directory.join("inner").join(BYTECODE).join("a.pyc"), "").expect("written");
        assert_eq!(kept(home.path()), directory);
        assert_eq!(fs::metadata(directory.join("main.py")).expect("there").ino(), before);
    }

    #[test]
    fn a_damaged_copy_is_replaced() {
        let damages: [fn(&Path); 9] = [
            |copy| fs::set_permissions(copy, Permissions::from_mode(0o755)).expect("set"),
            |copy| fs::write(copy.join("main.py"), "import evil\n").expect("written"),
            |copy| fs::write(copy.join("main.py"), "import inner\n\n").expect("written"),
            |copy| fs::write(copy.join("json.py"), "").expect("written"),
            |copy| fs::remove_file(copy.join("inner/deep/a.py")).expect("removed"),
            |copy| fs::set_permissions(copy.join("inner"), Permissions::from_mode(0o777)).expect("set"),
            |copy| fs::set_permissions(copy.join("main.py"), Permissions::from_mode(0o666)).expect("set"),
            |copy| {
                fs::remove_file(copy.join("main.py")).expect("removed");
                fs::write(copy.with_file_name("elsewhere"), "import inner\n").expect("written");
                symlink("../elsewhere", copy.join("main.py")).expect("linked");
            },
            |copy| {
                fs::remove_dir_all(copy).expect("removed");
                fs::write(copy, "a file").expect("written");
            },
        ];
        for (number, damage) in damages.into_iter().enumerate() {
            let home = place();
            let directory = kept(home.path());
            damage(&directory);
            assert!(!is_whole(FILES, &directory), "damage {number}");
            let _ = fs::remove_file(directory.with_file_name("elsewhere"));
            assert_eq!(kept(home.path()), directory, "damage {number}");
        }
    }

    #[test]
    fn a_cache_that_others_may_write_to_is_not_trusted() {
        let home = place();
        fs::set_permissions(home.path(), Permissions::from_mode(0o777)).expect("set");
        kept_nowhere(home.path());
        fs::set_permissions(home.path(), Permissions::from_mode(0o700)).expect("set");
        kept(home.path());
        fs::set_permissions(home.path().join("conbench"), Permissions::from_mode(0o775)).expect("set");
        kept_nowhere(home.path());
    }

    #[test]
    fn nor_is_one_of_another_user() {
        if !geteuid().is_root() {
            return;
        }
        let home = place();
        let directory = kept(home.path());
        std::os::unix::fs::chown(directory.join("main.py"), Some(12_345), None).expect("given away");
        assert_eq!(kept(home.path()), directory);
        std::os::unix::fs::chown(home.path().join("conbench"), Some(12_345), None).expect("given away");
        kept_nowhere(home.path());
    }

    #[test]
    fn without_a_cache_it_is_unpacked_for_this_process_alone() {
        let home = place();
        fs::write(home.path().join("file"), "").expect("written");
        kept_nowhere(&home.path().join("file"));
        kept_nowhere(&home.path().join("file/below"));
    }

    #[test]
    fn many_at_once_do_not_hurt_each_other() {
        let home = place();
        let home = home.path();
        for _ in 0..20 {
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let carried = unpack(FILES, Some(home), &home.join("nowhere")).expect("kept");
                        assert_eq!(fs::read(carried.main()).expect("always there"), b"import inner\n");
                    });
                }
            });
            let directory = kept(home);
            fs::write(directory.join("json.py"), "").expect("written");
        }
    }
}
