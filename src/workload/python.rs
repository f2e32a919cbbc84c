//! The user's own code as a step.

use std::fmt::Write as _;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Diagnostics, Workload, parse, scalar};

/// A function of the user's own, in Python. At least one of its two forms is there.
///
/// Functions are named as in `shop.scrape:fetch_and_parse`: a module, and in it a name or a path of names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Python {
    /// A `def`: called by sequential, threads, processes and mixes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub function: Option<String>,
    /// An `async def`: awaited by event loops.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub async_function: Option<String>,
    /// Called once in each process (or interpreter) that runs tasks, outside every window.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub setup: Option<String>,
    /// Called once in each thread that runs tasks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub setup_thread: Option<String>,
    /// Awaited once on the loop that runs tasks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub async_setup: Option<String>,
    /// Called at the end of each process that ran tasks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub teardown: Option<String>,
    /// Called at the end of each thread that ran tasks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub teardown_thread: Option<String>,
    /// Awaited at the end of the loop that ran tasks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub async_teardown: Option<String>,
    /// Whether what the nearest set-up gives is the first argument of a task, and of the teardown beside it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub pass_state: bool,
    /// Whether an item that is a tuple, a list or a dictionary is spread over the function's parameters.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub star: bool,
    /// What tasks are called with, one after another and again from the first; `None` is a call without
    /// arguments.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub items: Option<Items>,
    /// The directory that is put first on `sys.path`: relative to the workload file until
    /// [`Workload::resolve`](super::Workload::resolve), then absolute.
    pub path: String,
    /// Of which version it is, where two are compared. No file says it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<Version>,
    /// How results are checked.
    pub check: Check,
}

/// One of two versions of a package that are compared: agents see to it that its modules are its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// The folder below which every module of the function's package must lie.
    pub root: String,
    /// The folder of the other version, of which no module may be imported.
    pub other: String,
}

/// Where items come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Items {
    /// An iterable of the user's, or a function that gives one.
    Named(String),
    /// Values that the workload file lists.
    Listed(Vec<serde_json::Value>),
    /// An expression that agents evaluate in the module of the step's function: `range(100)`.
    Expression(String),
}

/// How results of the user's own code are checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Check {
    /// By value: every candidate's must be those of a sequential run.
    #[default]
    Results,
    /// Not at all.
    None,
    /// By a function of the user's, which is called with an item and its result.
    Function(String),
}

impl Python {
    /// The name by which messages call it: its function's, without the module.
    #[must_use]
    pub fn short(&self) -> &str {
        let name = self.function.as_deref().or(self.async_function.as_deref()).unwrap_or_default();
        name.rsplit_once(':').map_or(name, |(_, name)| name)
    }
}

/// What a workload file says of one step of the user's own code, for those who write none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Code {
    /// The `def`.
    pub function: Option<String>,
    /// The `async def`.
    pub async_function: Option<String>,
    /// What each process begins with.
    pub setup: Option<String>,
    /// What each thread begins with.
    pub setup_thread: Option<String>,
    /// What a loop begins with.
    pub async_setup: Option<String>,
    /// What each process ends with.
    pub teardown: Option<String>,
    /// What each thread ends with.
    pub teardown_thread: Option<String>,
    /// What a loop ends with.
    pub async_teardown: Option<String>,
    /// Whether tasks get what the nearest set-up gives.
    pub pass_state: bool,
    /// Whether items are spread over parameters.
    pub star: bool,
    /// What tasks are called with.
    pub items: Option<Items>,
}

impl Code {
    /// The workload that this code makes: it has the function's name, and else what a file has that says nothing.
    /// Modules are looked for in `base`, an absolute path.
    ///
    /// # Errors
    /// As those of a file. Names that [`function_name`] lets pass make none, if one of the functions is there and what
    /// they need is.
    pub fn workload(self, base: &Path) -> Result<Workload, Diagnostics> {
        let named = self.function.as_deref().or(self.async_function.as_deref()).unwrap_or_default();
        let short: String = named.rsplit(':').next().unwrap_or_default().chars().take(MOST_NAME).collect();
        let mut text = format!("name = {}\n[[step]]\nkind = \"python\"\n", quoted(&short));
        let fields = [
            ("function", &self.function),
            ("async_function", &self.async_function),
            ("setup", &self.setup),
            ("setup_thread", &self.setup_thread),
            ("async_setup", &self.async_setup),
            ("teardown", &self.teardown),
            ("teardown_thread", &self.teardown_thread),
            ("async_teardown", &self.async_teardown),
        ];
        for (field, value) in fields {
            if let Some(value) = value {
                // Writing to a string never fails.
                let _ = writeln!(text, "{field} = {}", quoted(value));
            }
        }
        if self.pass_state {
            text.push_str("pass_state = true\n");
        }
        let mut workload = parse(named, &text)?;
        if let [super::Step::Python(python)] = workload.steps.as_mut_slice() {
            // Past the text: JSON has a null, which TOML has not. An option sees to it that `star` has items.
            (python.items, python.star) = (self.items, self.star);
        }
        workload.resolve(base);
        Ok(workload)
    }
}

/// The longest name of a workload.
const MOST_NAME: usize = 100;

/// A string as TOML has it; JSON writes it so that both can read it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A name in a module, as users write it: `shop.scrape:fetch`.
///
/// # Errors
/// What is wrong with it.
pub fn function_name(text: &str) -> Result<String, String> {
    scalar::function(text).map_err(|wrong| match wrong.help {
        Some(help) => format!("{}: {help}", wrong.message),
        None => wrong.message,
    })
}

/// Items as users write them on one line: a name in a module, a list of JSON, or an expression of Python, which is a
/// name in the function's own module, or has a sign that no name has.
///
/// # Errors
/// What is wrong with them.
pub fn items(text: &str) -> Result<Items, String> {
    let text = text.trim();
    if !text.starts_with('[') {
        let is_expression =
            text.contains(['(', ')', '[', ']', '{', '}', '+', '*', '"', '\'']) || scalar::is_identifier(text);
        let expression = || Items::Expression(text.to_owned());
        return function_name(text)
            .map(Items::Named)
            .or_else(|wrong| if is_expression { Ok(expression()) } else { Err(wrong) });
    }
    match serde_json::from_str::<Vec<serde_json::Value>>(text) {
        Ok(list) if list.is_empty() => Err("the list is empty, and a task needs an item".to_owned()),
        Ok(list) => Ok(Items::Listed(list)),
        Err(_) if is_of_python(text) => Ok(Items::Expression(text.to_owned())),
        Err(error) => Err(format!("not a list of JSON: {error}; write e.g. '[1, \"two\"]'")),
    }
}

/// Whether a text that begins as a list can only be Python: it has quotes that JSON lacks, or goes on as no list does.
fn is_of_python(text: &str) -> bool {
    let is_closed = text.matches('[').count() == text.matches(']').count();
    let goes_on = text.split(']').skip(1).any(|rest| rest.trim_start().starts_with(['*', '+']));
    let is_comprehension = text.ends_with(']') && text.contains(" for ");
    is_closed && (goes_on || is_comprehension || text.contains('\''))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_without_a_file_has_the_defaults_of_a_file() {
        let code = Code {
            function: Some("shop.scrape:Page.fetch".to_owned()),
            async_function: Some("shop.scrape:afetch".to_owned()),
            setup: Some("shop:setup".to_owned()),
            async_teardown: Some("shop:aclose".to_owned()),
            pass_state: true,
            star: true,
            items: Some(Items::Named("shop:items".to_owned())),
            ..Code::default()
        };
        let text = "name = \"Page.fetch\"\n[[step]]\nkind = \"python\"\nfunction = \"shop.scrape:Page.fetch\"\n\
                    async_function = \"shop.scrape:afetch\"\nsetup = \"shop:setup\"\nasync_teardown = \"shop:aclose\"\n\
                    pass_state = true\nstar = true\nitems = \"shop:items\"\n";
        let mut written = parse("mine.toml", text).expect("a workload");
        written.resolve(Path::new("/here"));
        assert_eq!(code.workload(Path::new("/here")).expect("a workload"), written);
    }

    #[test]
    fn what_set_ups_and_items_need_is_asked_for() {
        let step =
            |fields: &str| parse("mine.toml", &format!("name = \"mine\"\n[[step]]\nkind = \"python\"\n{fields}"));
        let blocking = "function = \"shop:fetch\"\n";
        let on_loop = "async_function = \"shop:afetch\"\n";
        for (fields, needed) in [
            (format!("{blocking}async_setup = \"shop:aopen\""), "`async_setup` belongs to a loop"),
            (format!("{blocking}async_teardown = \"shop:aclose\""), "`async_teardown` belongs to a loop"),
            (format!("{blocking}pass_state = true"), "`pass_state` passes on what a set-up gives"),
            (format!("{blocking}{on_loop}pass_state = true\nasync_setup = \"shop:aopen\""), "`pass_state` passes on"),
            (format!("{blocking}star = true"), "`star` spreads items, and there are none"),
        ] {
            let wrong = step(&fields).expect_err(&fields).to_string();
            assert!(wrong.contains(needed), "{fields}: {wrong}");
        }
        for fields in [
            format!("{on_loop}pass_state = true\nasync_setup = \"shop:aopen\""),
            format!("{blocking}{on_loop}pass_state = true\nsetup_thread = \"shop:open\""),
            format!("{blocking}star = true\nitems = [[1, 2]]"),
            format!("{blocking}teardown = \"shop:close\""),
        ] {
            assert!(step(&fields).is_ok(), "{fields}: {:?}", step(&fields));
        }
    }

    #[test]
    fn an_async_form_alone_is_enough() {
        let code = Code { async_function: Some("shop:afetch".to_owned()), ..Code::default() };
        assert_eq!(code.workload(Path::new("/here")).expect("a workload").name, "afetch");
    }

    #[test]
    fn items_are_a_name_or_json() {
        assert_eq!(items("shop:items"), Ok(Items::Named("shop:items".to_owned())));
        let listed = serde_json::json!([1, null, { "url": "x" }]);
        assert_eq!(
            items(" [1, null, {\"url\": \"x\"}]"),
            Ok(Items::Listed(listed.as_array().expect("a list").clone()))
        );
        for expression in ["range(100)", "items", "[number * 2 for number in range(9)]", "{'a': 1}.items()"] {
            assert_eq!(items(expression), Ok(Items::Expression(expression.to_owned())));
        }
        for wrong in ["", "shop.items", "[1", "[]", "shop.items:", "[1] [2]"] {
            assert!(items(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_that_is_none_is_told() {
        let wrong = function_name("shop.scrape.fetch").expect_err("no colon");
        assert!(wrong.contains("`shop.scrape.fetch` is not a name in a module"), "{wrong}");
    }
}
