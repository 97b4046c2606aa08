use std::{ffi::OsString, path::Path};

use clap::{Arg, ArgAction, CommandFactory};

use crate::{args::Cli, layers::options};

/// Options of a push that a replay of its report doesn't take over.
const NOT_REPLAYED: [&str; 9] =
    ["report", "resume", "force", "summary", "accept_new_key", "fail_on", "notify", "notify_format", "until"];

/// What was typed, to be typed again with little changed.
#[derive(Debug, Clone)]
pub(crate) struct CommandLine(Vec<String>);

impl CommandLine {
    /// The arguments, the program's name first.
    pub(crate) fn new(arguments: &[OsString]) -> Self {
        Self(arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect())
    }

    /// The command that goes on with this run.
    pub(crate) fn resume(&self, report: &Path) -> String {
        let end = self.0.iter().position(|word| word == "--").unwrap_or(self.0.len());
        let (typed, inputs) = self.0.split_at(end);
        let names_report = typed.iter().any(|word| word == "--report" || word.starts_with("--report="));
        let mut words: Vec<&str> = Vec::with_capacity(typed.len() + 3);
        let mut rest = typed.iter().map(String::as_str);
        while let Some(word) = rest.next() {
            match word {
                "--force" | "--resume" => {}
                // The address may hold a token, and what is printed ends up in logs.
                // And the time until which was to be sent may be over.
                "--notify" | "--notify-format" | "--until" => drop(rest.next()),
                _ if ["--notify=", "--notify-format=", "--until="]
                    .iter()
                    .any(|left_out| word.starts_with(left_out)) => {}
                _ => words.push(word),
            }
        }
        let report = report.to_string_lossy();
        if !names_report {
            words.extend(["--report", &report]);
        }
        words.push("--resume");
        words.extend(inputs.iter().map(String::as_str));
        quoted(&words)
    }

    /// The command that sends the rows of this run's report again, to the same place under the same settings.
    pub(crate) fn replay(&self, report: &Path) -> String {
        let command = Cli::command();
        let replayed = command.find_subcommand("replay").map(options).into_iter().flatten().chain(options(&command));
        let replayed: Vec<&Arg> = replayed.collect();
        let report = report.to_string_lossy();
        let mut words = vec![self.0.first().map_or("contactsync", String::as_str), "replay", &report];
        let mut typed = self.0.iter().skip(1).map(String::as_str).take_while(|word| *word != "--");
        while let Some(word) = typed.next() {
            let name = word.strip_prefix("--").map(|long| long.split('=').next().unwrap_or(long));
            let known = name.and_then(|name| replayed.iter().find(|arg| arg.get_long() == Some(name)));
            let takes_value = |arg: &Arg| matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
            let Some(arg) = known else { continue };
            let value = if takes_value(arg) && !word.contains('=') { typed.next() } else { None };
            if !NOT_REPLAYED.contains(&arg.get_id().as_str()) {
                words.push(word);
                words.extend(value);
            }
        }
        quoted(&words)
    }
}

/// Words as a shell takes them.
fn quoted(words: &[&str]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&byte);
    let words = words.iter().map(|word| {
        if !word.is_empty() && word.bytes().all(plain) {
            (*word).to_owned()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> CommandLine {
        CommandLine::new(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_resume_is_the_same_command_with_its_report() {
        let report = Path::new("it's.ndjson");
        let cases = [
            (&["cs", "push", "a b.csv"][..], "cs push 'a b.csv' --report 'it'\\''s.ndjson' --resume"),
            (&["cs", "push", "--force", "--report=r.csv", "a"], "cs push --report=r.csv a --resume"),
            (&["cs", "push", "--report", "r.csv", "--resume", "a"], "cs push --report r.csv a --resume"),
            (
                &["cs", "push", "--notify", "https://x/token", "--notify-format=slack", "--report=r", "a"],
                "cs push --report=r a --resume",
            ),
            (
                &["cs", "push", "--until", "06:00", "--max-duration", "5h", "--until=x", "--report", "r", "a"],
                "cs push --max-duration 5h --report r a --resume",
            ),
            (&["cs", "push", "--report", "r", "--", "-a"], "cs push --report r --resume -- -a"),
        ];
        for (typed, expected) in cases {
            assert_eq!(line(typed).resume(report), expected);
        }
    }

    #[test]
    fn a_replay_keeps_target_and_pace_and_leaves_the_inputs() {
        let typed = [
            "cs",
            "-v",
            "push",
            "a.csv",
            "--region",
            "usva",
            "--contacts",
            "email",
            "--rate=5/s",
            "--trim",
            "--report",
            "x",
            "--summary=y",
            "--sandbox-fault",
            "code=-1:0.5",
            "--sandbox",
            "--in-flight",
            "7",
            "--",
            "--rate",
        ];
        assert_eq!(
            line(&typed).replay(Path::new("r.csv")),
            "cs replay r.csv --region usva --rate=5/s --sandbox-fault code=-1:0.5 --sandbox --in-flight 7"
        );
    }
}
