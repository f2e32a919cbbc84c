//! `conbench completions`: what a shell needs to complete the command line, printed, or installed with the manual pages
//! in the user's own directories.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap_complete::Shell;

use super::{Exit, Failure, Terminal, command, man};
use crate::record;

/// What `completions` is told.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct CompletionsArgs {
    /// The shell [default with --install: that of $SHELL]
    #[arg(required_unless_present = "install")]
    shell: Option<Shell>,
    /// Write them where the shell looks, and the manual pages where `man` does: below $XDG_DATA_HOME, or
    /// ~/.local/share
    #[arg(long)]
    install: bool,
    /// Replace files that this command did not write
    #[arg(long, requires = "install")]
    force: bool,
}

/// What files that this command writes carry, so that it may write them anew.
const MARK: &str = "written by `conbench completions --install`";

/// A file to install.
struct File {
    path: PathBuf,
    text: Vec<u8>,
}

/// Prints the completions, or installs them.
pub(super) fn run(args: &CompletionsArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    if args.install {
        return install(args, terminal);
    }
    let Some(shell) = args.shell else { return Err(Failure::Usage("name a shell".to_owned())) };
    terminal.print(&String::from_utf8_lossy(&generated(shell)))?;
    Ok(Exit::Fine)
}

fn generated(shell: Shell) -> Vec<u8> {
    // Into memory first, because the generator panics where its output is closed.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command(), "conbench", &mut text);
    text
}

/// Writes all files, or none if one is there that is somebody else's.
fn install(args: &CompletionsArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let data = data_home(std::env::var_os("XDG_DATA_HOME"), std::env::var_os("HOME")).ok_or_else(|| {
        Failure::Usage("neither XDG_DATA_HOME nor HOME names a directory: set one of them".to_owned())
    })?;
    let man_directory = data.join("man/man1");
    let shell = args.shell.or_else(Shell::from_env);
    let completion = shell.and_then(|shell| Some((shell, place(shell, &data)?)));
    let pages = man::pages()?;
    let mut files: Vec<File> = pages
        .into_iter()
        .map(|page| File { path: man_directory.join(page.file), text: marked(".\\\" ", &page.text) })
        .collect();
    let count = files.len();
    if let Some((shell, path)) = &completion {
        files.push(File { path: path.clone(), text: completion_file(*shell) });
    }
    let foreign = foreign(&files)?;
    if !foreign.is_empty() && !args.force {
        return Err(Failure::Usage(format!(
            "nothing was written, since what is there is not of this command: {}; move it, or replace it with --force",
            listed(&foreign)
        )));
    }
    for file in &files {
        write(file)?;
    }
    let mut text = format!("wrote {count} manual pages to {}\n", man_directory.display());
    text.push_str("  if `man conbench` does not find them: export MANPATH=");
    text.push_str(&format!("\"{}:\"\n", data.join("man").display()));
    match (&completion, shell) {
        (Some((shell, path)), _) => {
            text.push_str(&format!("wrote the completion of {shell} to {}\n  {}\n", path.display(), hint(*shell, path)));
        }
        (None, Some(shell)) => text.push_str(&format!(
            "no completion was written: {shell} has no directory for them; run what `conbench completions {shell}` prints when it starts\n"
        )),
        (None, None) => text.push_str(
            "no completion was written: $SHELL names no shell that is known; name one: conbench completions --install bash\n",
        ),
    }
    if !foreign.is_empty() {
        text.push_str(&format!("replaced what was not of this command: {}\n", listed(&foreign)));
    }
    terminal.print(&text)?;
    Ok(Exit::Fine)
}

/// `$XDG_DATA_HOME`, which counts if it is absolute, or `~/.local/share`.
fn data_home(data: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let named = data.map(PathBuf::from).filter(|path| path.is_absolute());
    let home = home.map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(|| home.map(|home| home.join(".local/share")))
}

/// Where a shell looks for the completions of a user, below the directory of the user's data.
fn place(shell: Shell, data: &Path) -> Option<PathBuf> {
    let below = match shell {
        Shell::Bash => "bash-completion/completions/conbench",
        Shell::Zsh => "zsh/site-functions/_conbench",
        Shell::Fish => "fish/vendor_completions.d/conbench.fish",
        _ => return None,
    };
    Some(data.join(below))
}

/// What to do where the shell does not look there.
fn hint(shell: Shell, path: &Path) -> String {
    let directory = path.parent().unwrap_or(path).display();
    match shell {
        Shell::Bash => {
            format!(
                "new shells have it, with bash-completion; without it, add to ~/.bashrc: source \"{}\"",
                path.display()
            )
        }
        Shell::Zsh => {
            format!("if new shells lack it, add to ~/.zshrc, before compinit: fpath=(\"{directory}\" $fpath)")
        }
        _ => format!("if new shells lack it: ln -s \"{}\" ~/.config/fish/completions/", path.display()),
    }
}

/// The completion with the mark; zsh wants its own word in the first line.
fn completion_file(shell: Shell) -> Vec<u8> {
    let text = generated(shell);
    if shell != Shell::Zsh {
        return marked("# ", &text);
    }
    let end = text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| at + 1);
    let (first, rest) = text.split_at(end);
    [first, &marked("# ", rest)].concat()
}

/// A text behind a comment that says who wrote it.
fn marked(comment: &str, text: &[u8]) -> Vec<u8> {
    let mut marked = format!("{comment}{MARK}, which writes it anew\n").into_bytes();
    marked.extend(text);
    marked
}

/// Files that are there and lack the mark.
fn foreign(files: &[File]) -> Result<Vec<&Path>, Failure> {
    let mut foreign = Vec::new();
    for File { path, .. } in files {
        match fs::read(path) {
            Ok(found) => {
                let is_ours = found.windows(MARK.len()).any(|part| part == MARK.as_bytes());
                foreign.extend((!is_ours).then_some(path.as_path()));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::Usage(format!("cannot read `{}`: {error}", path.display()))),
        }
    }
    Ok(foreign)
}

fn write(file: &File) -> Result<(), Failure> {
    let directory = record::directory(&file.path);
    fs::create_dir_all(directory)
        .map_err(|error| Failure::Usage(format!("cannot make the directory `{}`: {error}", directory.display())))?;
    record::write(&file.path, &file.text).map_err(Failure::Save)
}

fn listed(paths: &[&Path]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<String>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_of_data_is_named_by_the_environment() {
        let of = |data: &str, home: &str| data_home(Some(data.into()), Some(home.into()));
        assert_eq!(of("/data", "/home/me"), Some("/data".into()));
        assert_eq!(of("", "/home/me"), Some("/home/me/.local/share".into()));
        assert_eq!(of("data", "/home/me"), Some("/home/me/.local/share".into()), "the standard ignores relative ones");
        assert_eq!(data_home(None, None), None);
        assert_eq!(of("", ""), None);
    }

    #[test]
    fn zsh_finds_its_word_in_the_first_line() {
        let text = String::from_utf8(completion_file(Shell::Zsh)).expect("UTF-8");
        assert!(text.starts_with("#compdef conbench\n# written by"), "{text}");
    }
}
