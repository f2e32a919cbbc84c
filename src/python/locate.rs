//! From what a user names to the program that is meant.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::Refusal;

/// The interpreters of a virtual environment, the first that is there.
const IN_ENVIRONMENT: [&str; 2] = ["bin/python3", "bin/python"];

/// The absolute path of the program that `named` means: a name on `search_path`, a file, or a directory with an
/// interpreter in it. Links are not followed: what an interpreter is called by tells it its virtual environment.
///
/// # Errors
/// When there is no such program.
pub(super) fn locate(named: &Path, search_path: &OsStr) -> Result<PathBuf, Refusal> {
    let found = on_search_path(named, search_path).map_or_else(|| at(named), Ok)?;
    std::path::absolute(found).map_err(|error| Refusal::NotStarted(error.to_string()))
}

/// The program that a shell would start for a name without a slash.
fn on_search_path(named: &Path, search_path: &OsStr) -> Option<PathBuf> {
    if named.as_os_str().as_encoded_bytes().contains(&b'/') || named.as_os_str().is_empty() {
        return None;
    }
    std::env::split_paths(search_path).map(|directory| directory.join(named)).find(|path| is_program(path))
}

/// The program at a path.
fn at(path: &Path) -> Result<PathBuf, Refusal> {
    if !path.is_dir() {
        return check(path);
    }
    // A virtual environment whose interpreter was removed still has the link to it.
    let inside = IN_ENVIRONMENT
        .into_iter()
        .map(|inside| path.join(inside))
        .find(|inside| inside.is_symlink() || inside.exists());
    check(&inside.ok_or(Refusal::NoInterpreter)?)
}

fn check(path: &Path) -> Result<PathBuf, Refusal> {
    let shown = || path.display().to_string();
    match path.metadata() {
        _ if is_program(path) => Ok(path.to_owned()),
        Ok(_) => Err(Refusal::NotExecutable(shown())),
        Err(_) if path.is_symlink() => Err(Refusal::Dangling(shown())),
        Err(_) => Err(Refusal::NotFound),
    }
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn file(path: &Path, mode: u32) {
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, "").expect("written");
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
    }

    #[test]
    fn a_name_is_found_as_a_shell_finds_it() {
        let place = tempfile::tempdir().expect("a directory");
        let [first, second] = ["first", "second"].map(|name| place.path().join(name));
        file(&first.join("python9"), 0o644);
        file(&second.join("python9"), 0o755);
        let search_path = std::env::join_paths([&first, &second]).expect("a path");
        assert_eq!(locate(Path::new("python9"), &search_path), Ok(second.join("python9")));
        assert_eq!(locate(Path::new("python8"), &search_path), Err(Refusal::NotFound));
        assert_eq!(locate(Path::new(""), &search_path), Err(Refusal::NotFound));
    }

    #[test]
    fn a_virtual_environment_is_not_left_by_its_links() {
        let place = tempfile::tempdir().expect("a directory");
        let [base, environment] = ["base", "venv"].map(|name| place.path().join(name));
        file(&base.join("python3"), 0o755);
        fs::create_dir_all(environment.join("bin")).expect("made");
        let link = environment.join("bin/python3");
        symlink(base.join("python3"), &link).expect("linked");
        assert_eq!(locate(&environment, OsStr::new("")), Ok(link.clone()));
        assert_eq!(locate(&link, OsStr::new("")), Ok(link.clone()));
        fs::remove_file(base.join("python3")).expect("removed");
        assert_eq!(locate(&environment, OsStr::new("")), Err(Refusal::Dangling(link.display().to_string())));
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let place = tempfile::tempdir().expect("a directory");
        let script = place.path().join("script");
        file(&script, 0o644);
        let reason = Refusal::NotExecutable(script.display().to_string());
        assert_eq!(locate(&script, OsStr::new("")), Err(reason));
        assert_eq!(locate(place.path(), OsStr::new("")), Err(Refusal::NoInterpreter));
        assert_eq!(locate(&place.path().join("none"), OsStr::new("")), Err(Refusal::NotFound));
    }
}
