//! A panic is a fault of `conbench`: what it prints is what a report needs.

use std::panic::PanicHookInfo;

/// From now on a panic prints a short message instead of a trace; `main` then ends with
/// [`super::Exit::Internal`].
pub(super) fn install() {
    std::panic::set_hook(Box::new(|info| super::complain(&message(info))));
}

fn message(info: &PanicHookInfo<'_>) -> String {
    let what = info.payload_as_str().unwrap_or("a panic without a message");
    let place = info.location().map_or(String::new(), |place| format!(" ({}:{})", place.file(), place.line()));
    let command: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    format!(
        "error: a fault of conbench itself: {what}{place}\n  please report it with this message, the version (conbench {}), the command (`{}`) and the workload file\n",
        env!("CARGO_PKG_VERSION"),
        command.join(" ")
    )
}
