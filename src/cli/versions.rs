//! Two versions of the same work, as the command line names them: revisions, folders, targets, interpreters, binaries.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::args::{PythonCode, Selection};
use super::{Failure, Terminal, target};
use crate::analyze::duel::Said;
use crate::candidate::RUST;
use crate::checkout::Repository;
use crate::escape::plain;
use crate::guard::Guard;
use crate::python;
use crate::workload::{self, Step, Workload};

/// Files of a folder that are looked at for built extensions.
const MOST_FILES: usize = 20_000;
/// How files of built extensions end.
const BUILT: [&str; 2] = ["so", "pyd"];

/// What tells the versions apart, beside two targets and two interpreters.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Versions")]
pub(super) struct Forms {
    /// What head is held against: a git revision, or a folder (written with a `/`) that holds the target
    #[arg(long, value_name = "REVISION|FOLDER")]
    base: Option<String>,
    /// What is in question, in the same way [default: the current folder as it is, uncommitted and untracked files
    /// included]
    #[arg(long, value_name = "REVISION|FOLDER", requires = "base")]
    head: Option<String>,
    /// A conbench whose native agent runs one side, given twice: base, then head
    #[arg(long, value_name = "FILE")]
    binary: Vec<PathBuf>,
}

/// One version, ready to be planned.
#[derive(Clone, Debug)]
pub(super) struct Version {
    /// What it is, in words.
    pub(super) what: String,
    pub(super) workload: Workload,
    pub(super) selection: Selection,
    /// The program that is its native agent, if it is not this one.
    pub(super) native: Option<PathBuf>,
    /// The folder in which its tasks run; `None` is the current one.
    pub(super) here: Option<PathBuf>,
    pub(super) commit: Option<String>,
    pub(super) changed: Vec<String>,
}

/// Both versions, and the guard that removes the folders of revisions whatever ends this program.
pub(super) struct Versions {
    pub(super) base: Version,
    pub(super) head: Version,
    /// A folder for what both need, and for revisions.
    guard: Guard,
}

impl Versions {
    /// The folder in which both sides' interpreters keep what they compile: one that is kept beside the sources of one side
    /// alone would make its start-up shorter.
    pub(super) fn compiled(&self) -> Option<PathBuf> {
        self.guard.directory().map(|directory| directory.join("compiled"))
    }

    /// Removes the folders of revisions.
    pub(super) fn close(self) -> std::io::Result<()> {
        self.guard.close()
    }
}

/// Finds what the command line names.
///
/// # Errors
/// When it names no two versions, or what it names is not there or does not go together.
pub(super) fn find(
    targets: &[PathBuf],
    forms: &Forms,
    code: &PythonCode,
    selection: &Selection,
    terminal: &Terminal,
) -> Result<Versions, Failure> {
    let pythons = &selection.interpreters.python;
    if !matches!(forms.binary.len(), 0 | 2) || pythons.len() > 2 {
        return Err(Failure::Usage(
            "two versions are compared: name two of --binary, and two of --python at most".to_owned(),
        ));
    }
    let told: Vec<&str> = [
        ("two targets", targets.len() == 2),
        ("--base", forms.base.is_some()),
        ("two of --python", pythons.len() == 2),
        ("two of --binary", forms.binary.len() == 2),
    ]
    .into_iter()
    .filter_map(|(what, is_told)| is_told.then_some(what))
    .collect();
    let program = std::env::current_exe().map_err(Failure::Directory)?;
    let guard = Guard::start(&program, &std::env::temp_dir()).map_err(Failure::Directory)?;
    let finding = Finding { code, selection, terminal };
    let (base, head) = match (told.as_slice(), targets) {
        (["two targets"], [base, head]) => finding.of_targets(base, head),
        (["--base"], [target]) => finding.of_places(target, forms, &guard),
        (["two of --python"], [target]) => finding.of_interpreters(target, &pythons[0], &pythons[1]),
        (["two of --binary"], [target]) => finding.of_binaries(target, &forms.binary[0], &forms.binary[1]),
        ([], _) => Err(Failure::Usage(
            "one version is named, and two are compared: name a revision by --base REV, a second target, or two of --python or --binary"
                .to_owned(),
        )),
        (several, _) => {
            Err(Failure::Usage(format!("{} name versions, each in its own way: keep one of them", several.join(" and "))))
        }
    }?;
    let versions = Versions { base, head, guard };
    versions.check()?;
    Ok(versions)
}

struct Finding<'a> {
    code: &'a PythonCode,
    selection: &'a Selection,
    terminal: &'a Terminal,
}

/// A folder that is one version's.
struct Place {
    what: String,
    /// Its top.
    root: PathBuf,
    /// Where in it the target is looked for.
    here: PathBuf,
    commit: Option<String>,
    changed: Vec<String>,
}

impl Finding<'_> {
    fn of_targets(&self, base: &Path, head: &Path) -> Result<(Version, Version), Failure> {
        let colour = self.terminal.colour_of_errors();
        let version = |named: &Path| {
            let workload = target::one(Some(&named.to_owned()), self.code, colour)?;
            Ok::<Version, Failure>(self.version(format!("`{}`", named.display()), workload, None))
        };
        Ok((version(base)?, version(head)?))
    }

    fn of_interpreters(&self, named: &Path, base: &Path, head: &Path) -> Result<(Version, Version), Failure> {
        let workload = target::one(Some(&named.to_owned()), self.code, self.terminal.colour_of_errors())?;
        let version = |python: &Path| {
            let mut version = self.version(format!("`{}`", python.display()), workload.clone(), None);
            version.selection.interpreters.python = vec![python.to_owned()];
            version.selection.runtimes = vec![python::LANGUAGE.to_owned()];
            version
        };
        Ok((version(base), version(head)))
    }

    fn of_binaries(&self, named: &Path, base: &Path, head: &Path) -> Result<(Version, Version), Failure> {
        let workload = target::one(Some(&named.to_owned()), self.code, self.terminal.colour_of_errors())?;
        if workload.steps.iter().any(|step| step.python().is_some()) {
            return Err(Failure::Usage(format!(
                "`{}` calls Python code, which runs in an interpreter whatever --binary says: compare two of --python",
                plain(&workload.name)
            )));
        }
        let version = |binary: &Path| {
            let program = fs::canonicalize(binary)
                .map_err(|error| Failure::Usage(format!("cannot use `{}`: {error}", binary.display())))?;
            Ok::<Version, Failure>(self.version(format!("`{}`", binary.display()), workload.clone(), Some(program)))
        };
        Ok((version(base)?, version(head)?))
    }

    fn of_places(&self, named: &Path, forms: &Forms, guard: &Guard) -> Result<(Version, Version), Failure> {
        let here = std::env::current_dir()
            .map_err(|error| Failure::Usage(format!("the current directory cannot be read: {error}; enter another")))?;
        let named = &within(named, &here)?;
        let place = |name: &str, side: &str| -> Result<Place, Failure> {
            if is_folder(name) {
                return folder(Path::new(name));
            }
            let directory =
                guard.directory().ok_or_else(|| Failure::Directory(std::io::Error::other("there is none")))?;
            self.revision(&here, name, &directory.join(side))
        };
        let base = place(forms.base.as_deref().unwrap_or_default(), "base")?;
        let head = match &forms.head {
            Some(head) => place(head, "head")?,
            None => working_tree(&here)?,
        };
        let colour = self.terminal.colour_of_errors();
        check_file(named, &base, &head)?;
        let version = |place: &Place, other: &Place| {
            let mut workload = target::below(&place.here, named, self.code, colour)?;
            own(&mut workload, &place.root, &other.root);
            let version = self.version(place.what.clone(), workload, None);
            let (commit, changed) = (place.commit.clone(), place.changed.clone());
            Ok::<Version, Failure>(Version { here: Some(place.here.clone()), commit, changed, ..version })
        };
        let (one, other) = (version(&base, &head)?, version(&head, &base)?);
        check_extensions(&base, &one, &head)?;
        check_extensions(&head, &other, &base)?;
        // What neither revision has may be built in the working tree alone.
        if forms.head.is_some()
            && let Ok(tree) = working_tree(&here)
            // What the working tree lacks, or has half edited, is not asked of it.
            && let Ok(of_tree) = version(&tree, &base)
        {
            check_extensions(&tree, &of_tree, &base)?;
            check_extensions(&tree, &of_tree, &head)?;
        }
        Ok((one, other))
    }

    fn version(&self, what: String, workload: Workload, native: Option<PathBuf>) -> Version {
        let mut selection = self.selection.clone();
        let workload = selection.of_load(workload);
        if selection.runtimes.is_empty() {
            let is_python = workload.steps.iter().any(|step| step.python().is_some());
            let runtime = if is_python || !selection.interpreters.python.is_empty() { python::LANGUAGE } else { RUST };
            selection.runtimes = vec![runtime.to_owned()];
        }
        Version { what, workload, selection, native, here: None, commit: None, changed: Vec::new() }
    }

    /// A revision, written into this folder.
    fn revision(&self, here: &Path, name: &str, into: &Path) -> Result<Place, Failure> {
        let repository = Repository::of(here)?;
        let revision = repository.revision(name)?;
        fs::create_dir_all(into).map_err(Failure::Directory)?;
        let exported = repository.export(&revision, into)?;
        if !exported.submodules.is_empty() {
            let all = exported.submodules.join(", ");
            self.terminal.warn(&format!("`{}` has submodules, whose files are left out: {}", plain(name), plain(&all)));
        }
        let inside = inside(&repository, here);
        let folder = into.join(&inside);
        if !folder.is_dir() {
            let inside = plain(&inside.display().to_string());
            return Err(Failure::Usage(format!(
                "the revision `{}` has no folder `{inside}`, from which you compare: start from a folder that both versions have",
                plain(name)
            )));
        }
        Ok(Place {
            what: format!("revision `{}` ({})", plain(name), short(&revision.commit)),
            root: into.to_owned(),
            here: folder,
            commit: Some(revision.commit),
            changed: Vec::new(),
        })
    }
}

/// A revision's name may hold a `/`; a path that is written as one and leads to a folder is a folder.
fn is_folder(name: &str) -> bool {
    let path = Path::new(name);
    let is_written = name == "." || name == ".." || name.starts_with("./") || name.starts_with("../");
    (is_written || path.is_absolute() || name.ends_with('/')) && path.is_dir()
}

fn folder(path: &Path) -> Result<Place, Failure> {
    let root = fs::canonicalize(path)
        .map_err(|error| Failure::Usage(format!("cannot use the folder `{}`: {error}", path.display())))?;
    let what = format!("the folder `{}`", plain(&path.display().to_string()));
    Ok(Place { what, here: root.clone(), root, commit: None, changed: Vec::new() })
}

/// The working tree that this folder is in, as it is.
fn working_tree(here: &Path) -> Result<Place, Failure> {
    let Ok(repository) = Repository::of(here) else { return folder(here) };
    let commit = repository.revision("HEAD")?.commit;
    let changed = repository.changed()?;
    Ok(Place {
        what: format!("the working tree of {}", short(&commit)),
        root: repository.root.clone(),
        here: here.to_owned(),
        commit: Some(commit),
        changed,
    })
}

/// A target as each version's folder has it: a file by its name from there.
///
/// # Errors
/// When it lies elsewhere, so that both versions would be the same file.
fn within(named: &Path, here: &Path) -> Result<PathBuf, Failure> {
    let outside = |why: &str| {
        let named = plain(&named.display().to_string());
        Failure::Usage(format!(
            "`{named}` {why}, and would be the same in both versions: name it from the current folder"
        ))
    };
    let text = named.to_str().unwrap_or_default();
    let is_function = text.contains(':') && !text.contains('/') && !text.contains(".py:") && !here.join(named).exists();
    if is_function {
        return Ok(named.to_owned());
    }
    let file = text.rsplit_once(".py:").map_or(named.to_owned(), |(module, _)| PathBuf::from(format!("{module}.py")));
    if !file.is_absolute() && crate::workload::shipped::find(text).is_some() && !here.join(&file).exists() {
        return Err(outside("is shipped with conbench"));
    }
    let relative = match named.strip_prefix(here) {
        Ok(relative) => relative.to_owned(),
        Err(_) if named.is_absolute() => return Err(outside("is not below the current folder")),
        Err(_) => named.to_owned(),
    };
    if relative.components().any(|part| part == std::path::Component::ParentDir) {
        return Err(outside("is not below the current folder"));
    }
    Ok(relative)
}

/// Refuses a target that is a file which one version lacks.
fn check_file(named: &Path, base: &Place, head: &Place) -> Result<(), Failure> {
    let text = named.to_str().unwrap_or_default();
    let file = text.rsplit_once(".py:").map_or(text.to_owned(), |(module, _)| format!("{module}.py"));
    for (place, other) in [(base, head), (head, base)] {
        if !place.here.join(&file).exists() && other.here.join(&file).is_file() {
            let file = plain(&file);
            return Err(Failure::Usage(format!("{} has no `{file}`, which {} has", place.what, other.what)));
        }
    }
    Ok(())
}

/// Where below its repository's top a folder is.
fn inside(repository: &Repository, here: &Path) -> PathBuf {
    let here = fs::canonicalize(here).unwrap_or_else(|_| here.to_owned());
    here.strip_prefix(&repository.root).map(Path::to_owned).unwrap_or_default()
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// Has agents see to it that modules of these steps are of this version.
fn own(workload: &mut Workload, root: &Path, other: &Path) {
    for step in &mut workload.steps {
        if let Step::Python(python) = step {
            let text = |path: &Path| path.display().to_string();
            python.version = Some(workload::Version { root: text(root), other: text(other) });
        }
    }
}

/// Refuses a version that lacks a built extension which the other has: what stands in for it would be measured.
fn check_extensions(place: &Place, version: &Version, other: &Place) -> Result<(), Failure> {
    let codes = version.workload.steps.iter().filter_map(Step::python);
    for python in codes {
        let Ok(inside) = Path::new(&python.path).strip_prefix(&place.root) else { continue };
        let name = python.function.as_deref().or(python.async_function.as_deref()).unwrap_or_default();
        let package = name.split([':', '.']).next().unwrap_or_default();
        let relative = inside.join(package);
        let beside = fs::read_dir(place.root.join(inside)).into_iter().flatten().flatten().map(|entry| entry.path());
        let beside = beside.filter(|path| path.is_file() && is_built(path));
        for built in built_below(&place.root.join(&relative)).into_iter().chain(beside) {
            let Ok(file) = built.strip_prefix(&place.root) else { continue };
            if !other.root.join(file).exists() {
                return Err(Failure::Usage(format!(
                    "{} lacks the built extension `{}`, which {} has: check both out into folders, build each, and compare those (--base ../old/ --head ./)",
                    other.what,
                    plain(&file.display().to_string()),
                    place.what
                )));
            }
        }
    }
    Ok(())
}

fn is_built(path: &Path) -> bool {
    path.extension().is_some_and(|it| BUILT.iter().any(|built| it == *built))
}

/// The built extensions below a folder.
fn built_below(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut open, mut seen) = (Vec::new(), vec![folder.to_owned()], 0);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            seen += 1;
            if seen > MOST_FILES {
                return found;
            }
            let path = entry.path();
            // A link to a folder may lead in a circle.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(path);
            } else if is_built(&path) {
                found.push(path);
            }
        }
    }
    found
}

impl Versions {
    /// Refuses versions that are not the same kind of work.
    fn check(&self) -> Result<(), Failure> {
        let (base, head) = (&self.base.workload, &self.head.workload);
        let differs = [
            ("load", base.load != head.load),
            ("payload", base.payload != head.payload),
            ("rate", base.rate != head.rate),
            ("tasks", base.tasks != head.tasks),
            ("goal", base.objective.goal != head.objective.goal),
        ];
        let Some((what, _)) = differs.into_iter().find(|(_, differs)| *differs) else { return Ok(()) };
        Err(Failure::Usage(format!(
            "the two workloads differ in their `{what}`: versions are compared under the same one"
        )))
    }
}

/// Adds the text to the summary of a job of GitHub Actions, and shows one annotation, where this is one.
pub(super) fn annotate(sentence: &str, text: &str, said: Said, terminal: &Terminal) {
    if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) {
        let file = fs::OpenOptions::new().append(true).create(true).open(&path);
        if let Err(error) = file.and_then(|mut file| file.write_all(text.as_bytes())) {
            let path = Path::new(&path).display().to_string();
            terminal.warn(&format!("cannot add to $GITHUB_STEP_SUMMARY ({}): {error}", plain(&path)));
        }
    }
    if std::env::var_os("GITHUB_ACTIONS").is_none() {
        return;
    }
    let level = match said {
        Said::NotRegressed => return,
        Said::Undecided => "warning",
        Said::Regressed | Said::ChoiceChanged | Said::SideFailed => "error",
    };
    // What a workflow command's message may not hold, as GitHub escapes it.
    let message = sentence.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let line = format!("::{level} title=conbench::{message}\n");
    drop(std::io::stderr().write_all(line.as_bytes()));
}
