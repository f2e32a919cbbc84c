//! What a user names to be measured: a workload file, a shipped workload, or a function, told apart by its form.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::Failure;
use super::args::PythonCode;
use super::seams;
use crate::workload::{Code, Workload, function_name};

/// A file of source code is looked through up to so many bytes.
const MOST_SOURCE_BYTES: u64 = 4 << 20;

/// A target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A workload file, or a shipped workload's name.
    Workload(PathBuf),
    /// `module:function`, and the folder in which the module is looked for first; `None` is the current one.
    Function { name: String, folder: Option<PathBuf> },
}

/// Tells what is named. A path that exists is a file, whatever it looks like.
///
/// # Errors
/// When it names a function of a file that is not there, or that no module can be made of.
pub(super) fn read(named: &Path) -> Result<Target, Failure> {
    let workload = || Ok(Target::Workload(named.to_owned()));
    let is_source = |file: &Path| file.extension().is_some_and(|extension| extension == "py");
    let Some((place, name)) = named.to_str().and_then(|text| text.rsplit_once(':')).filter(|_| !named.exists()) else {
        if is_source(named) {
            let place = named.display();
            return Err(Failure::Usage(format!("`{place}` is source code: name a function of it, as `{place}:NAME`")));
        }
        return workload();
    };
    let file = Path::new(place);
    if is_source(file) {
        if !file.is_file() {
            let hint = seams::beside(file).map_or_else(
                || format!("name one that is there, or a module, as `PACKAGE.MODULE:{name}`"),
                |near| format!("did you mean `{}:{name}`?", near.display()),
            );
            return Err(Failure::Usage(format!("there is no file `{place}`: {hint}")));
        }
        let module = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let name = function_name(&format!("{module}:{name}")).map_err(|_| {
            Failure::Usage(format!(
                "`{place}` cannot be imported by its name, or `{name}` is no name in it: a module is named by letters, digits and `_`"
            ))
        })?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        return Ok(Target::Function { name, folder: folder.map(Path::to_owned) });
    }
    match function_name(&format!("{place}:{name}")) {
        Ok(name) => Ok(Target::Function { name, folder: None }),
        Err(_) => workload(),
    }
}

/// The workloads of what is named, in its order, with the options that tell of a function of the user's own. Where
/// nothing is named, those options make the one workload; without them there is none.
///
/// # Errors
/// The faults of all files at once, or what does not fit together.
pub(super) fn workloads(named: &[PathBuf], code: &PythonCode, colour: bool) -> Result<Vec<Workload>, Failure> {
    if named.is_empty() {
        return match code.code(None)? {
            Some(code) => Ok(vec![seams::code(code, None, colour)?]),
            None => Ok(Vec::new()),
        };
    }
    let mut workloads = Vec::new();
    let mut faults = String::new();
    for one in named {
        match workload(one, named.len(), code, None, colour) {
            Ok(workload) => workloads.push(workload),
            Err(Failure::Rendered(text)) => faults.push_str(&text),
            Err(other) => faults.push_str(&format!("error: {}\n", crate::escape::plain_lines(&other.to_string()))),
        }
    }
    if faults.is_empty() { Ok(workloads) } else { Err(Failure::Rendered(faults)) }
}

/// The workload of a verb that takes one.
///
/// # Errors
/// As [`workloads`]; or that nothing is named.
pub(super) fn one(named: Option<&PathBuf>, code: &PythonCode, colour: bool) -> Result<Workload, Failure> {
    let mut workloads = workloads(named.map_or(&[], std::slice::from_ref), code, colour)?;
    workloads.pop().ok_or_else(|| Failure::Usage("nothing is named: `conbench --help` shows what may be".to_owned()))
}

/// The workload of one target, which is looked for in this folder.
///
/// # Errors
/// As [`workloads`].
pub(super) fn below(folder: &Path, named: &Path, code: &PythonCode, colour: bool) -> Result<Workload, Failure> {
    let joined = folder.join(named);
    // A shipped workload has no folder, and neither has a module.
    let is_file = joined.exists() || named.to_str().is_some_and(|text| text.contains(".py:"));
    workload(if is_file { &joined } else { named }, 1, code, Some(folder), colour)
}

fn workload(
    named: &Path,
    count: usize,
    code: &PythonCode,
    here: Option<&Path>,
    colour: bool,
) -> Result<Workload, Failure> {
    match read(named)? {
        Target::Workload(file) => {
            code.refuse(&format!("`{}` is a workload", file.display()))?;
            seams::workload(&file, colour)
        }
        Target::Function { name, folder } => {
            let folder = folder.or_else(|| here.map(Path::to_owned));
            if count > 1 {
                code.refuse("there are several targets")?;
            }
            let is_async = is_async(&name, folder.as_deref());
            let of_it = if is_async {
                Code { async_function: Some(name), ..Code::default() }
            } else {
                Code { function: Some(name), ..Code::default() }
            };
            let code = code.code(Some(of_it))?.unwrap_or_default();
            seams::code(code, folder.as_deref(), colour)
        }
    }
}

/// Whether a function is written as `async def`, by its module's text: nothing of the user's runs for it. What is not
/// found there is taken for a `def`; an agent says so where it is none.
pub(super) fn is_async(name: &str, folder: Option<&Path>) -> bool {
    let Some((module, path)) = name.split_once(':') else { return false };
    let base = folder.unwrap_or(Path::new(".")).join(module.replace('.', "/"));
    let sources = [base.with_extension("py"), base.join("__init__.py")];
    sources.iter().filter_map(|file| source(file)).any(|text| defines_async(&text, path))
}

/// Whether a module's text defines a coroutine function of this name, or in this class: `fetch`, `Client.fetch`. Of what it
/// does not define by that name, any of its coroutine functions of the last name counts.
fn defines_async(text: &str, path: &str) -> bool {
    let (first, last) = (path.split('.').next().unwrap_or(path), path.rsplit('.').next().unwrap_or(path));
    let is_outer = |line: &&str| line.starts_with(|sign: char| sign.is_alphabetic() || sign == '_' || sign == '@');
    let is_async = |line: &str| defines(line, &["async", "def"], last);
    let is_known = |line: &str| is_async(line) || defines(line, &["def"], last);
    let lines: Vec<&str> = if first == last {
        text.lines().filter(is_outer).collect()
    } else {
        // The lines of that class: what is indented below its head.
        let mut is_inside = false;
        let inside = text.lines().filter(|line| {
            if is_outer(line) {
                is_inside = defines(line, &["class"], first);
            }
            is_inside
        });
        inside.collect()
    };
    let is_assigned = |line: &&str| line.strip_prefix(last).is_some_and(|rest| rest.trim_start().starts_with('='));
    if lines.iter().any(|line| is_known(line)) || first == last && lines.iter().any(is_assigned) {
        return lines.into_iter().any(is_async);
    }
    text.lines().any(is_async)
}

/// Whether a line begins the definition of this name, by these words.
fn defines(line: &str, keywords: &[&str], name: &str) -> bool {
    let mut rest = line.trim_start();
    for keyword in keywords {
        let Some(after) = rest.strip_prefix(keyword).filter(|after| after.starts_with(char::is_whitespace)) else {
            return false;
        };
        rest = after.trim_start();
    }
    rest.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(['(', '[', ':']))
}

fn source(file: &Path) -> Option<String> {
    let mut text = Vec::new();
    fs::File::open(file).ok()?.take(MOST_SOURCE_BYTES).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str, folder: Option<&str>) -> Target {
        Target::Function { name: name.to_owned(), folder: folder.map(PathBuf::from) }
    }

    #[test]
    fn targets_are_told_apart_by_their_form() {
        let room = tempfile::tempdir().expect("a directory");
        let file = room.path().join("scrape.py");
        fs::write(&file, "async def fetch(page):\n    pass\n\ndef parse(page):\n    pass\n").expect("written");
        let odd = room.path().join("a:b");
        fs::write(&odd, "").expect("written");
        let of = |text: &str| read(Path::new(text)).expect(text);
        assert_eq!(of("file-io"), Target::Workload("file-io".into()));
        assert_eq!(of("export.toml"), Target::Workload("export.toml".into()));
        assert_eq!(of("shop.scrape:Page.parse"), function("shop.scrape:Page.parse", None));
        let folder = room.path().to_str();
        assert_eq!(of(&format!("{}:parse", file.display())), function("scrape:parse", folder));
        assert_eq!(of(&odd.display().to_string()), Target::Workload(odd.clone()), "a path that exists wins");
        let refused = |text: &str| read(Path::new(text)).expect_err(text).to_string();
        assert!(refused("nowhere/scrape.py:parse").contains("as `PACKAGE.MODULE:parse`"));
        let near = refused(&format!("{}:parse", room.path().join("scrap.py").display()));
        assert!(near.ends_with(&format!("did you mean `{}:parse`?", file.display())), "{near}");
        assert!(refused(&file.display().to_string()).contains(":NAME`"), "source code is no workload file");
        assert!(is_async("scrape:fetch", Some(room.path())) && !is_async("scrape:parse", Some(room.path())));
    }

    #[test]
    fn a_coroutine_function_is_seen_by_its_definition() {
        assert!(defines_async("async  def fetch(page):", "fetch"));
        assert!(defines_async("async def fetch[T](page: T):", "fetch"));
        assert!(!defines_async("async def fetch_all(page):", "fetch"));
        assert!(!defines_async("# async def fetch(page):", "fetch"));
        assert!(!defines_async("def fetch(page):", "fetch"));
        assert!(defines_async("try:\n    async def fetch(page):\n        pass\n", "fetch"));
        let both = "class Client:\n    def get(self):\n        pass\n\nclass AsyncClient(Client):\n    async def get(self):\n        pass\n\ndef get():\n    pass\n";
        assert!(!defines_async(both, "Client.get") && defines_async(both, "AsyncClient.get"));
        assert!(!defines_async(both, "get"), "that is a method");
        let odd = "class Client(\n    Base,\n):\n    class Inner:\n        async def get(self):\n            pass\n\nclient = Client()\nfetch = made()\n";
        assert!(defines_async(odd, "client.get") && defines_async(odd, "Client.Inner.get"));
        let assigned = format!("{odd}\nclass Other:\n    async def fetch(self):\n        pass\n");
        assert!(!defines_async(&assigned, "fetch"), "it is what was made");
        let inherited = "class Base:\n    async def get(self):\n        pass\n\nclass Client(Base):\n    pass\n";
        assert!(defines_async(inherited, "Client.get"));
    }
}
