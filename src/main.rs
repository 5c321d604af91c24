//! The nodeward program: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    nodeward::cli::main().into()
}
