//! The `conbench` binary: everything is in the library.

fn main() -> std::process::ExitCode {
    conbench::internal::cli::main()
}
