//! `conbench man`: the manual pages, one of the program and one of each verb.

use std::io;

use clap_mangen::Man;

use super::exit::Exit;
use super::{Failure, Terminal, command};

/// What `man` is told.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct ManArgs {
    /// The page of this verb, in place of that of the program
    #[arg(value_name = "VERB")]
    verb: Option<String>,
}

/// One page.
pub(super) struct Page {
    /// The verb; `None` on the page of the program.
    verb: Option<String>,
    /// Its file: `conbench-run.1`.
    pub(super) file: String,
    /// What it says, for `man`.
    pub(super) text: Vec<u8>,
}

/// Prints a page.
pub(super) fn run(args: &ManArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let pages = pages()?;
    let Some(page) = pages.iter().find(|page| page.verb == args.verb) else {
        let verbs: Vec<&str> = pages.iter().filter_map(|page| page.verb.as_deref()).collect();
        return Err(Failure::Usage(format!(
            "there is no verb `{}`: there are {}",
            args.verb.as_deref().unwrap_or_default(),
            verbs.join(", ")
        )));
    };
    terminal.print(&String::from_utf8_lossy(&page.text))?;
    Ok(Exit::Fine)
}

/// All pages, the program's first.
pub(super) fn pages() -> io::Result<Vec<Page>> {
    // `help` is no verb to write of.
    let mut program = command().disable_help_subcommand(true);
    program.build();
    let verbs: Vec<clap::Command> = program.get_subcommands().cloned().collect();
    let mut pages = vec![page(None, program)?];
    for verb in verbs {
        pages.push(page(Some(verb.get_name().to_owned()), verb)?);
    }
    Ok(pages)
}

fn page(verb: Option<String>, command: clap::Command) -> io::Result<Page> {
    let has_verbs = command.has_subcommands();
    let man = Man::new(command).source(concat!("conbench ", env!("CARGO_PKG_VERSION"))).manual("conbench");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if has_verbs {
        man.render_subcommands_section(&mut text)?;
    }
    // The help's own table would be filled as a paragraph.
    text.extend(exit_status().bytes());
    Ok(Page { verb, file: man.get_filename(), text })
}

fn exit_status() -> String {
    let mut exits = Exit::ALL;
    exits.sort_by_key(|exit| exit.code());
    let told = |exit: Exit| format!(".TP\n\\fB{}\\fR\n{}\n", exit.code(), exit.meaning().replace('-', "\\-"));
    format!(".SH \"EXIT STATUS\"\n{}", exits.map(told).concat())
}
