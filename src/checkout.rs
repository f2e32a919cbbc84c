//! Revisions of a git repository as folders: read from its objects, and written nowhere near it.
//!
//! Files are taken as they were committed, by `git ls-tree` and `git cat-file`: no hook, no filter and no attribute has a
//! say, and nothing is written to `.git`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Why a revision cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// `git` could not be started.
    #[error("cannot run `git`: {0}; it is needed to compare revisions")]
    NoGit(io::Error),
    /// The folder is in no working tree.
    #[error("{} is in no git working tree that can be read ({said}): compare two folders, or two functions, instead", folder.display())]
    NoRepository {
        /// Which folder.
        folder: PathBuf,
        /// What git says.
        said: String,
    },
    /// There is no such revision.
    #[error("there is no revision `{revision}` in {root}: {said}")]
    NoRevision {
        /// What was asked for.
        revision: String,
        /// The top of the working tree.
        root: PathBuf,
        /// What git says.
        said: String,
    },
    /// `git` failed.
    #[error("`git {what}` failed: {said}")]
    Git {
        /// Its verb.
        what: &'static str,
        /// What it says.
        said: String,
    },
    /// A file could not be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A name in the revision leads out of its folder.
    #[error("the revision holds a file named `{0}`, which would lie outside of its folder")]
    Outside(String),
}

/// The variables that tie git to one repository (`git rev-parse --local-env-vars`).
const LOCAL: [&str; 14] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
];

/// A git working tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Its top.
    pub root: PathBuf,
}

/// A revision, as it was when it was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// What the user calls it.
    pub name: String,
    /// The commit, in hexadecimal digits.
    pub commit: String,
}

/// What a revision left out when it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Files that were written.
    pub files: usize,
    /// Submodules, whose files are in another repository.
    pub submodules: Vec<String>,
}

impl Repository {
    /// The working tree that this folder is in.
    ///
    /// # Errors
    /// When there is none, or no git.
    pub fn of(folder: &Path) -> Result<Repository, CheckoutError> {
        let mut command = git(folder);
        let output = command.args(["rev-parse", "--show-toplevel"]).output().map_err(CheckoutError::NoGit)?;
        let root = trimmed(&output.stdout);
        if !output.status.success() || root.is_empty() {
            let said = first_line(&output.stderr).unwrap_or_else(|| "it has none".to_owned());
            return Err(CheckoutError::NoRepository { folder: folder.to_owned(), said });
        }
        Ok(Repository { root: PathBuf::from(OsString::from_vec(root.to_vec())) })
    }

    /// The commit that a name means now.
    ///
    /// # Errors
    /// When it means none.
    pub fn revision(&self, name: &str) -> Result<Revision, CheckoutError> {
        let missing = |said: String| CheckoutError::NoRevision {
            revision: name.to_owned(),
            root: self.root.clone(),
            said: said.lines().next().unwrap_or("git knows none of that name").to_owned(),
        };
        // An option is no revision, whatever git would make of it.
        if name.is_empty() || name.starts_with('-') {
            return Err(missing("that is no name of a revision".to_owned()));
        }
        let commit = format!("{name}^{{commit}}");
        let output = git(&self.root)
            .args(["rev-parse", "--verify", "--end-of-options", &commit])
            .output()
            .map_err(CheckoutError::NoGit)?;
        if !output.status.success() {
            let said = first_line(&output.stderr).unwrap_or_default();
            // What a shallow clone lacks it has forgotten the name of.
            let hint =
                if self.is_shallow() { "; this clone is shallow: `git fetch --unshallow` gets the rest" } else { "" };
            return Err(missing(said + hint));
        }
        Ok(Revision { name: name.to_owned(), commit: String::from_utf8_lossy(trimmed(&output.stdout)).into_owned() })
    }

    fn is_shallow(&self) -> bool {
        let output = git(&self.root).args(["rev-parse", "--is-shallow-repository"]).output();
        output.is_ok_and(|output| trimmed(&output.stdout) == b"true")
    }

    /// The files of the working tree that are not as the last commit has them, untracked ones among them, by their
    /// names from its top.
    ///
    /// # Errors
    /// When git fails.
    pub fn changed(&self) -> Result<Vec<String>, CheckoutError> {
        // Without a lock its index is not refreshed, and nothing is written. A filter would run for each file that may have
        // changed, and may write to the repository: one without a command is none.
        let mut command = git(&self.root);
        let filters = self.filters();
        command.env("GIT_CONFIG_COUNT", filters.len().to_string());
        for (number, name) in filters.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{number}"), name).env(format!("GIT_CONFIG_VALUE_{number}"), "");
        }
        command.args(["status", "--porcelain", "-z", "--untracked-files=all", "--no-renames"]);
        let output = succeeded("status", command.output())?;
        let names = output.split(|byte| *byte == 0).filter(|entry| entry.len() > 3);
        Ok(names.map(|entry| String::from_utf8_lossy(&entry[3..]).into_owned()).collect())
    }

    /// Writes the files of a revision into a folder that is there and empty.
    ///
    /// # Errors
    /// When git fails, a file cannot be written, or a name leads out of the folder.
    pub fn export(&self, revision: &Revision, folder: &Path) -> Result<Exported, CheckoutError> {
        let listed = self.output("ls-tree", &["-r", "-z", "--full-tree", &revision.commit])?;
        let mut objects = Objects::start(&self.root)?;
        let mut exported = Exported::default();
        let mut links = Vec::new();
        for entry in listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            let Some(Listed { mode, object, name }) = Listed::read(entry) else { continue };
            if mode == "160000" {
                exported.submodules.push(name.to_string_lossy().into_owned());
                continue;
            }
            let path = folder.join(inside(&name)?);
            exported.files += 1;
            if mode == "120000" {
                let mut target = Vec::new();
                objects.copy(object, &mut target)?;
                links.push((path, target));
                continue;
            }
            let file = create(&path, mode == "100755");
            objects.copy(object, &mut file.map_err(|source| CheckoutError::Write { path, source })?)?;
        }
        // Last of all, so that no file is written through one.
        for (path, content) in links {
            link(&path, &content).map_err(|source| CheckoutError::Write { path, source })?;
        }
        Ok(exported)
    }

    fn output(&self, what: &'static str, arguments: &[&str]) -> Result<Vec<u8>, CheckoutError> {
        succeeded(what, git(&self.root).arg(what).args(arguments).output())
    }

    /// The settings of filters that hold commands, by their names. (There may be none, which git takes for a failure.)
    fn filters(&self) -> Vec<String> {
        let asked = git(&self.root).args(["config", "-z", "--name-only", "--get-regexp", FILTERS]).output();
        let said = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        said.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }
}

/// The settings of filters that are commands, or ask for one.
const FILTERS: &str = r"^filter\..*\.(clean|smudge|process|required)$";

/// What a git that succeeded wrote.
fn succeeded(what: &'static str, output: io::Result<std::process::Output>) -> Result<Vec<u8>, CheckoutError> {
    let output = output.map_err(CheckoutError::NoGit)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(CheckoutError::Git { what, said: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}

/// A `git` that runs no hook and writes nothing to the repository.
fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]);
    command.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_NO_LAZY_FETCH", "1").env("GIT_TERMINAL_PROMPT", "0");
    command.env("LC_ALL", "C").env("GIT_NO_REPLACE_OBJECTS", "1").stdin(Stdio::null());
    // A hook's variables name another repository, or another part of it.
    for name in LOCAL {
        command.env_remove(name);
    }
    command
}

/// A line of `git ls-tree`: `<mode> <type> <object>\t<name>`.
struct Listed<'a> {
    mode: &'a str,
    object: &'a str,
    name: PathBuf,
}

impl Listed<'_> {
    fn read(entry: &[u8]) -> Option<Listed<'_>> {
        let tab = entry.iter().position(|byte| *byte == b'\t')?;
        let mut words = std::str::from_utf8(&entry[..tab]).ok()?.split_ascii_whitespace();
        let (mode, _, object) = (words.next()?, words.next()?, words.next()?);
        Some(Listed { mode, object, name: PathBuf::from(OsStr::from_bytes(&entry[tab + 1..])) })
    }
}

/// The name, if it stays below the folder that it is joined to.
fn inside(name: &Path) -> Result<&Path, CheckoutError> {
    let is_plain = name.components().all(|part| matches!(part, Component::Normal(_)));
    if is_plain { Ok(name) } else { Err(CheckoutError::Outside(name.to_string_lossy().into_owned())) }
}

fn create(path: &Path, is_executable: bool) -> io::Result<fs::File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = fs::File::create_new(path)?;
    if is_executable {
        file.set_permissions(fs::Permissions::from_mode(0o755))?;
    }
    Ok(file)
}

fn link(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        if folder.is_symlink() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the revision has a file below a link"));
        }
        fs::create_dir_all(folder)?;
    }
    symlink(OsStr::from_bytes(content), path)
}

/// What reads objects of a repository, one after the other.
struct Objects {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Objects {
    fn start(root: &Path) -> Result<Objects, CheckoutError> {
        let mut command = git(root);
        command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(CheckoutError::NoGit)?;
        let Some(answers) = child.stdout.take() else {
            return Err(CheckoutError::NoGit(io::Error::other("it has no output")));
        };
        Ok(Objects { child, answers: BufReader::new(answers) })
    }

    /// Copies an object's content.
    fn copy(&mut self, object: &str, into: &mut dyn io::Write) -> Result<(), CheckoutError> {
        let failed = |said: String| CheckoutError::Git { what: "cat-file", said };
        self.ask(object, into).map_err(|error| failed(format!("{object}: {error}")))
    }

    /// Asks `<object>`, and reads `<object> <type> <size>`, the content and a line feed. A file may be larger than the memory
    /// that there is, so that it is copied piece by piece.
    fn ask(&mut self, object: &str, into: &mut dyn io::Write) -> io::Result<()> {
        let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let Some(asked) = self.child.stdin.as_mut() else { return Err(broken("it has no input")) };
        writeln!(asked, "{object}")?;
        asked.flush()?;
        let mut head = String::new();
        self.answers.read_line(&mut head)?;
        let size = head.trim_end().rsplit_once(' ').and_then(|(_, size)| size.parse::<u64>().ok());
        let Some(size) = size else { return Err(broken("it is not in the repository")) };
        let copied = io::copy(&mut (&mut self.answers).take(size), into)?;
        if copied < size {
            return Err(broken("it is cut short"));
        }
        self.answers.read_exact(&mut [0])
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Without input it ends; one that does not is of no use to anybody.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The first line of what git says, if it says anything.
fn first_line(output: &[u8]) -> Option<String> {
    String::from_utf8_lossy(output).lines().next().map(str::to_owned)
}

fn trimmed(output: &[u8]) -> &[u8] {
    output.strip_suffix(b"\n").unwrap_or(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository of one commit, with git's own settings of this machine left out.
    struct Room {
        folder: tempfile::TempDir,
    }

    impl Room {
        fn new() -> Room {
            let room = Room { folder: tempfile::tempdir().expect("a directory") };
            room.git(&["init", "--quiet", "--initial-branch=main"]);
            room
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.path(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        }

        fn git(&self, arguments: &[&str]) {
            let identity = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"];
            let status = Command::new("git").args(identity).args(arguments).current_dir(self.folder.path()).status();
            assert!(status.expect("git runs").success(), "{arguments:?}");
        }

        fn commit(&self) {
            self.git(&["add", "--all"]);
            self.git(&["commit", "--quiet", "--message", "a commit"]);
        }

        fn repository(&self) -> Repository {
            Repository::of(self.folder.path()).expect("a repository")
        }
    }

    /// Every file below a folder, by name, with its content and when it was changed.
    fn all_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>, std::time::SystemTime)> {
        let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let about = fs::symlink_metadata(&path).expect("there");
                if about.is_dir() {
                    open.push(path);
                } else {
                    found.push((path.clone(), fs::read(&path).unwrap_or_default(), about.modified().expect("a time")));
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn a_revision_is_written_as_it_was_committed_and_the_repository_stays_as_it_is() {
        let room = Room::new();
        room.write("shop/scrape.py", "OLD = 1\r\n");
        room.write("left_out.txt", "$Format:%H$");
        room.write(".gitattributes", "left_out.txt export-ignore export-subst\n*.py filter=shout text eol=lf\n");
        room.git(&["config", "filter.shout.smudge", "touch smudged; tr a-z A-Z"]);
        room.git(&["config", "filter.shout.clean", "touch .git/cleaned; cat"]);
        symlink("shop/scrape.py", room.path("link")).expect("linked");
        fs::write(room.path("run.sh"), "exit").expect("written");
        fs::set_permissions(room.path("run.sh"), fs::Permissions::from_mode(0o755)).expect("set");
        room.commit();
        room.write("shop/scrape.py", "NEW = 2\n");
        room.write("untracked.py", "");
        fs::remove_file(room.path(".git/cleaned")).expect("the commit ran it");
        let before = all_below(&room.path(".git"));
        let repository = room.repository();
        assert_eq!(repository.changed().expect("a status"), ["shop/scrape.py", "untracked.py"]);
        let revision = repository.revision("main").expect("a revision");
        let into = tempfile::tempdir().expect("a directory");
        let exported = repository.export(&revision, into.path()).expect("written");
        assert_eq!(exported, Exported { files: 5, submodules: Vec::new() });
        let at = |name: &str| into.path().join(name);
        let text = fs::read_to_string(at("shop/scrape.py")).expect("there");
        assert_eq!(text.trim_end(), "OLD = 1");
        assert_eq!(fs::read_to_string(at("left_out.txt")).expect("there"), "$Format:%H$");
        assert_eq!(fs::read_link(at("link")).expect("a link"), Path::new("shop/scrape.py"));
        let mode = fs::metadata(at("run.sh")).expect("there").permissions().mode();
        assert_eq!(mode & 0o111, 0o111);
        assert!(!room.path("smudged").exists() && !at("smudged").exists(), "a filter ran");
        assert_eq!(all_below(&room.path(".git")), before, "the repository was written to");
    }

    #[test]
    fn what_is_no_revision_is_told() {
        let room = Room::new();
        room.write("a", "");
        room.commit();
        let repository = room.repository();
        for name in ["nowhere", "--all", "", "main..main", "HEAD:a"] {
            let error = repository.revision(name).expect_err(name).to_string();
            assert!(error.contains(&format!("there is no revision `{name}`")), "{error}");
        }
        let bare = tempfile::tempdir().expect("a directory");
        assert!(matches!(Repository::of(bare.path()), Err(CheckoutError::NoRepository { .. })));
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for name in ["../x", "/x", "a/../../x", "./x"] {
            assert!(inside(Path::new(name)).is_err(), "{name}");
        }
        assert!(inside(Path::new("a/b c")).is_ok());
    }
}
