//! Generator of inputs, benchmarks and the crash campaign. Not shipped; run as `cargo xtask COMMAND`.

mod bench;
mod crash;
mod docs;
mod fixtures;
mod generate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Generator of inputs, benchmarks and the crash campaign")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write realistic rows, the same for the same seed
    Generate(generate::GenerateArgs),
    /// Write the files of the fixtures folder
    Fixtures,
    /// Measure `contactsync check` on generated rows
    BenchCheck(bench::BenchArgs),
    /// Measure `contactsync report --html` on a generated report
    BenchReport(bench::BenchArgs),
    /// Kill and resume runs at random moments, over many seeds
    Crash(crash::CrashArgs),
    /// Write docs/reference.md
    Docs,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Generate(args) => generate::generate(&args),
        Command::Fixtures => fixtures::write_all(),
        Command::BenchCheck(args) => bench::check(&args),
        Command::BenchReport(args) => bench::report(&args),
        Command::Crash(args) => crash::campaign(&args),
        Command::Docs => docs::write(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell where standard error is closed.
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("error: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}
