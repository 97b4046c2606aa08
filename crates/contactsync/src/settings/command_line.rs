use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use clap::{Arg, ArgAction, CommandFactory};

use crate::{args::Cli, layers::options};

/// Options of a push that a replay of its report doesn't take over.
const NOT_REPLAYED: [&str; 10] = [
    "report",
    "resume",
    "force",
    "summary",
    "accept_new_key",
    "fail_on",
    "notify",
    "notify_format",
    "until",
    "metrics_file",
];

/// What was typed, to be typed again with little changed.
#[derive(Debug, Clone)]
pub(crate) struct CommandLine(Vec<OsString>);

impl CommandLine {
    /// The arguments, the program's name first.
    pub(crate) fn new(arguments: &[OsString]) -> Self {
        Self(arguments.to_vec())
    }

    /// The command that goes on with this run.
    pub(crate) fn resume(&self, report: &Path) -> String {
        let end = self.0.iter().position(|word| word == "--").unwrap_or(self.0.len());
        let (typed, inputs) = self.0.split_at(end);
        let names_report = typed.iter().any(|word| word == "--report" || starts_with(word, "--report="));
        let mut words: Vec<&OsStr> = Vec::with_capacity(typed.len() + 3);
        let mut rest = typed.iter().map(OsString::as_os_str);
        while let Some(word) = rest.next() {
            match word.to_str() {
                Some("--force" | "--resume") => {}
                // The address may hold a token, and what is printed ends up in logs.
                // And the time until which was to be sent may be over.
                Some("--notify" | "--notify-format" | "--until") => drop(rest.next()),
                _ if ["--notify=", "--notify-format=", "--until="].iter().any(|start| starts_with(word, start)) => {}
                _ => words.push(word),
            }
        }
        if !names_report {
            words.extend([OsStr::new("--report"), report.as_os_str()]);
        }
        words.push(OsStr::new("--resume"));
        words.extend(inputs.iter().map(OsString::as_os_str));
        quoted(&words)
    }

    /// The command that sends the rows of this run's report again, to the same place under the same settings.
    pub(crate) fn replay(&self, report: &Path) -> String {
        let command = Cli::command();
        let replayed = command.find_subcommand("replay").map(options).into_iter().flatten().chain(options(&command));
        let replayed: Vec<&Arg> = replayed.collect();
        let program = self.0.first().map_or(OsStr::new("contactsync"), OsString::as_os_str);
        let mut words = vec![program, OsStr::new("replay"), report.as_os_str()];
        let mut typed = self.0.iter().skip(1).map(OsString::as_os_str).take_while(|word| *word != "--");
        while let Some(word) = typed.next() {
            let text = word.to_string_lossy();
            let name = text.strip_prefix("--").map(|long| long.split('=').next().unwrap_or(long));
            let known = name.and_then(|name| replayed.iter().find(|arg| arg.get_long() == Some(name)));
            let takes_value = |arg: &Arg| matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
            let Some(arg) = known else { continue };
            let value = if takes_value(arg) && !text.contains('=') { typed.next() } else { None };
            if !NOT_REPLAYED.contains(&arg.get_id().as_str()) {
                words.push(word);
                words.extend(value);
            }
        }
        quoted(&words)
    }
}

fn starts_with(word: &OsStr, start: &str) -> bool {
    word.as_bytes().starts_with(start.as_bytes())
}

/// Words as any POSIX shell takes them.
fn quoted(words: &[&OsStr]) -> String {
    words.iter().map(|word| quoted_word(word.as_bytes())).collect::<Vec<_>>().join(" ")
}

/// Bytes that are no text, and control characters, which a terminal would show escaped, are left to `printf`. A line end
/// isn't: what a shell inserts loses its last ones.
fn quoted_word(word: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(byte);
    if !word.is_empty() && word.iter().all(plain) {
        return String::from_utf8_lossy(word).into_owned();
    }
    let mut quoted = String::new();
    let print = |bytes: &[u8]| {
        let octal: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
        format!("\"$(printf '{octal}')\"")
    };
    for chunk in word.utf8_chunks() {
        for piece in chunk.valid().split_inclusive(is_printed).filter(|piece| !piece.is_empty()) {
            let (text, control) = piece.split_at(piece.trim_end_matches(is_printed).len());
            if !text.is_empty() {
                quoted += &format!("'{}'", text.replace('\'', "'\\''"));
            }
            if !control.is_empty() {
                quoted += &print(control.as_bytes());
            }
        }
        if !chunk.invalid().is_empty() {
            quoted += &print(chunk.invalid());
        }
    }
    if quoted.is_empty() { "''".to_owned() } else { quoted }
}

fn is_printed(c: char) -> bool {
    c.is_control() && c != '\n'
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
    fn names_that_are_no_text_come_back_from_a_shell() {
        let names: [&[u8]; 7] =
            [b"a\xff\xfe'b\\.csv", b"\xff", b"", b"tab\t\x1b[1m", b"a\nb", b"\n\xff\n", "ü $HOME `x`".as_bytes()];
        for name in names {
            let words = [OsStr::new("printf"), OsStr::new("%s"), OsStr::from_bytes(name)];
            let line = quoted(&words);
            assert!(!line.contains('\u{1b}'), "{line}");
            let said = std::process::Command::new("sh").args(["-c", &line]).output().expect("a shell");
            assert_eq!(said.stdout, name, "{line}");
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
