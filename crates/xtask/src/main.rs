//! Generator of inputs, benchmarks and the crash campaign. Not shipped; run as `cargo xtask COMMAND`.

mod bench;
mod counts;
mod crash;
mod docs;
mod fixtures;
mod generate;
mod simulate;

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
    /// Measure contactsync in release, beside bare loops and other tools where they are installed
    Bench(bench::BenchArgs),
    /// Count the instructions a row costs, under valgrind, and hold them against the limits in counts.toml
    Counts(counts::CountsArgs),
    /// Kill and resume runs at random moments, over many seeds
    Crash(crash::CrashArgs),
    /// Play many processes on one rate, on paper clocks: who gets what, and whether the rate is kept
    Simulate(simulate::SimulateArgs),
    /// Write docs/reference.md and docs/schema
    Docs,
    // What follows are processes that the benchmarks start.
    #[command(hide = true)]
    Measured(bench::MeasuredArgs),
    #[command(hide = true)]
    Serve(bench::ServeArgs),
    #[command(hide = true)]
    Client(bench::ClientArgs),
    #[command(hide = true)]
    Baseline(bench::BaselineArgs),
    #[command(hide = true)]
    ReadReport(bench::ReadArgs),
    #[command(hide = true)]
    Counted(counts::CountedArgs),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Generate(args) => generate::generate(&args),
        Command::Fixtures => fixtures::write_all(),
        Command::Bench(args) => bench::bench(&args),
        Command::Counts(args) => counts::counts(&args),
        Command::Crash(args) => crash::campaign(&args),
        Command::Simulate(args) => simulate::simulate(&args),
        Command::Docs => docs::write(),
        Command::Measured(args) => bench::measured(&args),
        Command::Serve(args) => bench::serve(&args),
        Command::Client(args) => bench::client(&args),
        Command::Baseline(args) => bench::baseline(&args),
        Command::ReadReport(args) => bench::read_report(&args),
        Command::Counted(args) => counts::counted(&args),
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
