//! What Python code calls a user's own functions and items, and what it must import for that.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;

use super::{Idiom, ItemsFound};
use crate::candidate::{Engine, Model};
use crate::workload::{Items, Python, Step};

/// Items that are listed in a workload file are repeated in code up to so many characters.
const LONGEST_LIST: usize = 200;

/// The names of a workload's one step of the user's own code; of a skeleton, where it has none.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// `from shop.scrape import items, parse`.
    pub(super) imports: Imports,
    /// What must be written before the pool: wrappers, items that a file lists.
    pub(super) definitions: Vec<String>,
    /// A blocking callable of one item.
    pub(super) call: String,
    /// A coroutine function of one item; `None` where there is only a blocking one.
    pub(super) async_call: Option<String>,
    /// An iterable.
    pub(super) items: String,
    /// Called once in each process that runs tasks.
    pub(super) start: Option<String>,
    /// Called once in each thread that runs tasks.
    pub(super) start_thread: Option<String>,
    /// Both, for a worker process that runs tasks on its one thread.
    pub(super) start_worker: Option<String>,
    /// Awaited once on the loop.
    pub(super) start_loop: Option<String>,
    /// Called where `start` was called, at the end.
    pub(super) end: Option<String>,
    /// What builds an executor of the user's own.
    pub(super) factory: String,
    /// The module of the set-up, where functions reach workers by value: each task then comes with global variables of
    /// its own, and what a worker keeps it keeps in that module.
    pub(super) keeper: Option<String>,
}

/// What code must know of who runs its tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Workers {
    /// They get a program's own functions by value, or may.
    ByValue,
    /// Each is a process, or an interpreter, with one thread for tasks: a global variable is that thread's own.
    OneThreadEach,
    /// Each is a thread with a loop of its own, beside others in one process.
    OneLoopEach,
    /// Others.
    Any,
}

impl Workers {
    fn of(engine: Engine) -> Workers {
        match engine {
            Engine::Own(own) if own.model == Model::Processes => Workers::ByValue,
            Engine::Dask | Engine::Loky | Engine::JoblibLoky | Engine::JoblibAuto => Workers::ByValue,
            Engine::ProcessPoolExecutor
            | Engine::MultiprocessingPool
            | Engine::Process
            | Engine::AsyncioProcesses
            | Engine::InterpreterPoolExecutor => Workers::OneThreadEach,
            Engine::ThreadedAsyncio => Workers::OneLoopEach,
            _ => Workers::Any,
        }
    }
}

impl Names {
    pub(super) fn of(idiom: &Idiom<'_>) -> Names {
        let mut imports = Imports::default();
        let factory = match idiom.candidate.engine {
            Engine::Own(own) => imports.add(&own.import_name()),
            _ => String::new(),
        };
        match idiom.workload.steps.as_slice() {
            [Step::Python(python)] => {
                let tasks = idiom.workload.all_tasks().unwrap_or(100);
                let workers = Workers::of(idiom.candidate.engine);
                let mut names = Names { factory, ..own(python, tasks, idiom.items, imports, workers) };
                let is_name = |sign: char| sign.is_alphanumeric() || "_.".contains(sign);
                if idiom.items.are_called && names.items.chars().all(is_name) {
                    names.items += "()";
                }
                names
            }
            _ => Names {
                imports,
                factory,
                definitions: vec!["def task(item):\n    ...  # your task\n".to_owned()],
                call: "task".to_owned(),
                items: "items".to_owned(),
                ..Names::default()
            },
        }
    }
}

/// The module of a program that asked from Python: what it names there is at hand where its code is pasted.
const CALLERS_MAIN: &str = "__main__";

/// Collects imports, each module's names together.
#[derive(Clone, Debug, Default)]
pub(super) struct Imports {
    named: BTreeMap<String, BTreeSet<String>>,
    /// One that is imported as a whole.
    module: Option<String>,
}

impl Imports {
    /// Imports what `module:path.of.names` begins with; returns how it is called then.
    fn add(&mut self, named: &str) -> String {
        let Some((module, path)) = named.split_once(':') else { return named.to_owned() };
        if module == CALLERS_MAIN {
            return path.to_owned();
        }
        let first = path.split('.').next().unwrap_or(path);
        self.named.entry(module.to_owned()).or_default().insert(first.to_owned());
        path.to_owned()
    }

    /// The imports of what this code names: an engine may need neither the other form nor a set-up.
    pub(super) fn lines(&self, code: &str) -> Vec<String> {
        let is_of_name = |sign: char| sign.is_alphanumeric() || sign == '_';
        let used: HashSet<&str> = code.split(|sign| !is_of_name(sign)).collect();
        let line = |(module, names): (&String, &BTreeSet<String>)| {
            let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| used.contains(name)).collect();
            (!names.is_empty()).then(|| format!("from {module} import {}", names.join(", ")))
        };
        let module = self.module.iter().filter(|module| code.contains(&format!("{module}.")));
        let whole = module.map(|module| format!("import {module}"));
        whole.chain(self.named.iter().filter_map(line)).collect()
    }
}

fn own(python: &Python, tasks: u32, found: ItemsFound<'_>, mut imports: Imports, workers: Workers) -> Names {
    let by_value = |_: &&String| workers == Workers::ByValue;
    let set_up = python.setup.as_ref().or(python.setup_thread.as_ref()).filter(by_value);
    let keeper = set_up.and_then(|name| name.split_once(':')).map(|(module, _)| module.to_owned());
    imports.module.clone_from(&keeper);
    let mut names = Names { keeper, ..Names::default() };
    let mut import = |named: &Option<String>| named.as_deref().map(|named| imports.add(named));
    let (function, async_function) = (import(&python.function), import(&python.async_function));
    let (setup, setup_thread, async_setup) =
        (import(&python.setup), import(&python.setup_thread), import(&python.async_setup));
    let teardown = import(&python.teardown);
    names.items = match &python.items {
        Some(Items::Named(named)) => imports.add(named),
        // It is one of the module's, whose names it may need; the usual case is its name alone.
        Some(Items::Expression(expression)) => {
            let module = python.function.as_deref().or(python.async_function.as_deref());
            let module = module.and_then(|name| name.split_once(':')).map_or("", |(module, _)| module);
            // A name of the module, or a call of one without arguments.
            let (name, call) = expression.strip_suffix("()").map_or((expression.as_str(), ""), |name| (name, "()"));
            let is_name = name.chars().all(|sign| sign.is_alphanumeric() || sign == '_');
            if is_name {
                imports.add(&format!("{module}:{name}")) + call
            } else {
                for name in found.names {
                    imports.add(&format!("{module}:{name}"));
                }
                expression.clone()
            }
        }
        Some(Items::Listed(values)) => {
            names.definitions.push(listed(values));
            "items".to_owned()
        }
        None => format!("range({tasks})"),
    };
    let takes_item = python.items.is_some();
    names.imports = imports;
    let has_own_state = setup_thread.is_some() && workers != Workers::OneThreadEach;
    if python.pass_state && workers == Workers::OneThreadEach {
        names.one_state(setup, setup_thread);
    } else {
        names.stateful(python, setup, setup_thread, async_setup.clone());
    }
    let loop_state = if workers == Workers::OneLoopEach { "own.loop_state" } else { "state" };
    if workers == Workers::OneLoopEach && python.pass_state {
        names.state_of_each_loop(async_setup);
    }
    names.start_worker = match (&names.start, &names.start_thread) {
        (Some(start), Some(thread)) => {
            names.definitions.push(format!("def start_worker():\n    {start}()\n    {thread}()\n"));
            Some("start_worker".to_owned())
        }
        (start, thread) => start.clone().or_else(|| thread.clone()),
    };
    names.end = teardown.map(|end| if python.pass_state { format!("{end}(state)") } else { format!("{end}()") });
    let kept = names.kept_state();
    let state = kept.as_deref().unwrap_or(if has_own_state { "own.state" } else { "state" });
    let loop_state = if python.async_setup.is_some() { loop_state } else { state };
    let item = match (takes_item, python.star) {
        (false, _) => "",
        (true, false) => "item",
        (true, true) if found.are_mappings => "**item",
        (true, true) => "*item",
    };
    let arguments = |state: &str| {
        let parts = [if python.pass_state { state } else { "" }, item];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    };
    let is_plain = takes_item && !python.star && !python.pass_state;
    let parameter = if takes_item { "item" } else { "_" };
    if let Some(function) = function {
        if is_plain {
            names.call = function;
        } else {
            let definition = format!("def call({parameter}):\n    return {function}({})\n", arguments(state));
            names.definitions.push(definition);
            names.call = "call".to_owned();
        }
    }
    if let Some(function) = async_function {
        if is_plain {
            names.async_call = Some(function);
        } else {
            let arguments = arguments(loop_state);
            let definition = format!("async def call_async({parameter}):\n    return await {function}({arguments})\n");
            names.definitions.push(definition);
            names.async_call = Some("call_async".to_owned());
        }
    }
    names
}

impl Names {
    /// What a worker calls the state of its set-up, where it keeps that in a module. (A module may have a `state`.)
    fn kept_state(&self) -> Option<String> {
        self.keeper.as_ref().map(|module| format!("{module}.worker_state"))
    }

    /// The set-ups of a worker with one thread, whose tasks get the state of the last.
    fn one_state(&mut self, setup: Option<String>, setup_thread: Option<String>) {
        let (first, last) = if setup_thread.is_some() { (setup, setup_thread) } else { (None, setup) };
        let Some(last) = last else { return };
        let first = first.map(|setup| format!("    {setup}()\n")).unwrap_or_default();
        self.definitions.push(format!("def start():\n    global state\n{first}    state = {last}()\n"));
        self.start = Some("start".to_owned());
    }

    /// Where several loops of one process put what their set-up gives: each in its own thread.
    fn state_of_each_loop(&mut self, async_setup: Option<String>) {
        let Some(setup) = async_setup else { return };
        if self.start_thread.is_none() {
            self.definitions.push("own = threading.local()\n".to_owned());
        }
        self.start_loop = Some(format!("own.loop_state = await {setup}()"));
    }

    /// How set-ups are called, and where they put what they give if tasks are to get it.
    fn stateful(
        &mut self,
        python: &Python,
        setup: Option<String>,
        setup_thread: Option<String>,
        async_setup: Option<String>,
    ) {
        if !python.pass_state {
            (self.start, self.start_thread) = (setup, setup_thread);
            self.start_loop = async_setup.map(|setup| format!("await {setup}()"));
            return;
        }
        if let Some(setup) = setup {
            self.definitions.push(match &self.kept_state() {
                Some(kept) => format!("def start():\n    {kept} = {setup}()\n"),
                None => format!("def start():\n    global state\n    state = {setup}()\n"),
            });
            self.start = Some("start".to_owned());
        }
        if let Some(setup) = setup_thread {
            self.definitions.push(match &self.kept_state() {
                Some(kept) => format!("def start_thread():\n    {kept} = {setup}()\n"),
                None => format!("own = threading.local()\n\n\ndef start_thread():\n    own.state = {setup}()\n"),
            });
            self.start_thread = Some("start_thread".to_owned());
        }
        self.start_loop = async_setup.map(|setup| format!("global state\nstate = await {setup}()"));
    }
}

/// Items of a workload file, as Python writes them.
fn listed(values: &[Value]) -> String {
    let text = format!("items = [{}]\n", values.iter().map(literal).collect::<Vec<_>>().join(", "));
    // A record that was handed on has none of the values. Three dots are no items: a program that lacks them says so.
    if !values.is_empty() && text.chars().count() <= LONGEST_LIST {
        return text;
    }
    "items = ...  # your items\n".to_owned()
}

/// A JSON value, as Python writes it.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        // JSON's escapes are Python's.
        Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(values) => format!("[{}]", values.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let field =
                |(name, value): (&String, &Value)| format!("{}: {}", Value::from(name.as_str()), literal(value));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_values_are_written_as_python_writes_them() {
        let value = serde_json::json!([1, 2.5, null, true, "a\"b", { "k": [false] }]);
        assert_eq!(literal(&value), r#"[1, 2.5, None, True, "a\"b", {"k": [False]}]"#);
        assert_eq!(listed(&[Value::from("x".repeat(300))]), "items = ...  # your items\n");
    }

    #[test]
    fn names_of_a_module_are_imported_together() {
        let mut imports = Imports::default();
        assert_eq!(imports.add("shop.scrape:parser.parse"), "parser.parse");
        assert_eq!(imports.add("shop.scrape:items"), "items");
        assert_eq!(imports.add("pages:parser"), "parser");
        assert_eq!(imports.add("__main__:clean"), "clean", "it is there already");
        let lines = |code: &str| imports.lines(code);
        assert_eq!(
            lines("parser.parse(one) for one in items"),
            ["from pages import parser", "from shop.scrape import items, parser"]
        );
        assert_eq!(lines("map(call, my_items, items_)"), Vec::<String>::new(), "what is not used is not imported");
    }
}
