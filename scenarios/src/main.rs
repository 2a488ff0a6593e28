//! `ttlab`: runs the operator where there is no cluster, and shows what it does.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
