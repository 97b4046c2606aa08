use std::{ffi::OsString, time::Duration};

use crate::{
    args::{Command, ConfigCommand, StateCommand},
    commands,
    exit::Exit,
    failure::Failure,
    last_words::LastWords,
    layers::{Environment, Resolved, Source, Unresolved, resolve, user_file},
    settings::{
        CommandLine, DryRunSettings, PushSettings, ReplaySettings, VerifySettings, refuse_replacing_what_is_read,
        refuse_shared_log, served_sandbox,
    },
    signals::Signals,
    terminal::{LateWriter, LogFile, Printer, Style, start_log},
};

/// How long the end of the program waits for each of those who have something left to do.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Those who read standard error are waited for at most so long.
const LAST_READ: Duration = Duration::from_secs(1);

/// Obeys a command line and returns the status to end with. `end` ends the process at once, because of a signal.
pub(crate) fn run(arguments: Vec<OsString>, environment: Environment, end: fn(Exit)) -> Exit {
    let stderr = LateWriter::stderr();
    let last_words = LastWords::default();
    let last = stderr.clone();
    last_words.add(move |_, most| _ = last.flush(most.min(LAST_READ)));
    let exit = start(arguments, environment, end, &stderr, &last_words);
    last_words.say(exit, LAST_WORDS)
}

fn start(
    arguments: Vec<OsString>,
    environment: Environment,
    end: fn(Exit),
    stderr: &LateWriter,
    last_words: &LastWords,
) -> Exit {
    let early = Printer::new(Style::of(&crate::args::TerminalArgs::default(), &environment), stderr);
    let signals = match Signals::listen(last_words.clone(), end) {
        Ok(signals) => signals,
        Err(error) => {
            let failure = Failure::new(Exit::Bug, format!("signals can't be listened to: {error}"));
            early.failure(&failure);
            return failure.exit;
        }
    };
    let command_line = CommandLine::new(&arguments);
    let mut resolved = match resolve(arguments, environment) {
        Ok(resolved) => resolved,
        Err(unresolved) => return refuse(unresolved, &early),
    };
    let mut printer = Printer::new(Style::of(&resolved.cli.terminal, resolved.layers.environment()), stderr);
    if let Err(failure) = refuse_replacing_what_is_read(&resolved.files, &resolved.layers) {
        printer.failure(&failure);
        return failure.exit;
    }
    if let Some(path) = resolved.cli.terminal.log_file.clone() {
        let unshared = refuse_shared_log(&path, &resolved.files, &mut resolved.cli);
        match unshared.and_then(|()| LogFile::open(&path, &printer, last_words)) {
            Ok(file) => printer = printer.with_log_file(file),
            Err(failure) => {
                printer.failure(&failure);
                return failure.exit;
            }
        }
    }
    start_log(&printer, resolved.cli.terminal.verbose);
    for warning in &resolved.layers.warnings {
        printer.warning(warning, None);
    }
    for setting in resolved.settings.iter().filter(|setting| setting.source != Source::Flag) {
        tracing::info!("{} is set in {}", setting.key, setting.source);
    }
    obey(resolved, command_line, &printer, &signals).unwrap_or_else(|failure| {
        printer.failure(&failure);
        failure.exit
    })
}

fn obey(resolved: Resolved, command_line: CommandLine, printer: &Printer, signals: &Signals) -> Result<Exit, Failure> {
    let Resolved { cli, settings, layers, files: _ } = resolved;
    match cli.command {
        Command::Push(args) if args.plan.dry_run => {
            commands::dry_run(DryRunSettings::of(&args, &settings, &layers)?, printer)
        }
        Command::Push(args) => {
            let settings = PushSettings::of(&args, &settings, &layers)?;
            commands::push(settings, command_line, printer, signals)
        }
        Command::Replay(args) => {
            let settings = ReplaySettings::of(&args, &settings, &layers)?;
            commands::replay(settings, command_line, printer, signals)
        }
        Command::Verify(args) => {
            let settings = VerifySettings::of(&args, &settings, &layers)?;
            commands::verify(settings, command_line, printer, signals)
        }
        Command::Check(args) => commands::check(&args, printer, signals),
        Command::Report(args) => commands::report(&args, printer).map(|()| Exit::Success),
        Command::Doctor(args) => commands::doctor(&args, &settings, &layers),
        Command::Sandbox(args) => commands::serve_sandbox(served_sandbox(&args), printer, signals),
        Command::Explain(args) => commands::explain(args.subject.as_deref()).map(|()| Exit::Success),
        Command::State(args) => match args.command {
            StateCommand::Info(args) => commands::state_info(&args, printer),
            StateCommand::Forget(args) => commands::state_forget(&args, printer),
            StateCommand::Rebind(args) => commands::state_rebind(&args, &settings, &layers, printer),
        }
        .map(|()| Exit::Success),
        Command::Config(args) => match args.command {
            ConfigCommand::Show(_) => commands::config_show(&settings, &layers).map(|()| Exit::Success),
            ConfigCommand::Init(args) => {
                commands::config_init(args.file, user_file(layers.environment()).as_deref(), printer)
                    .map(|()| Exit::Success)
            }
        },
        Command::Completions(args) => commands::completions(args.shell).map(|()| Exit::Success),
        Command::Man => commands::manual().map(|()| Exit::Success),
    }
}

fn refuse(unresolved: Unresolved, printer: &Printer) -> Exit {
    match unresolved {
        Unresolved::Failure(failure) => {
            printer.failure(&failure);
            failure.exit
        }
        Unresolved::Clap(error) => {
            if !error.use_stderr() {
                // A closed stream is quiet.
                let _ = error.print();
                return Exit::Success;
            }
            let text = error.render();
            let text = if printer.style().color { text.ansi().to_string() } else { text.to_string() };
            printer.raw(text.as_bytes());
            Exit::Usage
        }
    }
}
