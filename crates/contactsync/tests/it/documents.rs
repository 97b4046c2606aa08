//! What the documents promise: every command in them runs as printed.

use std::{path::Path, process::Command};

use crate::support::{Workplace, finish};

fn repository() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn documents() -> Vec<(String, String)> {
    let docs = std::fs::read_dir(repository().join("docs")).unwrap();
    let pages = docs.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "md"));
    let paths = pages.chain([repository().join("README.md")]);
    paths
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// The commands of a page, with the status they are said to end with.
fn commands(page: &str) -> Vec<(String, i32)> {
    let mut commands = Vec::new();
    let (mut in_block, mut status) = (false, 0);
    // A block may stand within a list.
    for line in page.lines().map(str::trim_start) {
        if line.starts_with("```") {
            in_block = line == "```console";
        } else if let Some(given) = line.strip_prefix("# exit ").filter(|_| in_block) {
            status = given.parse().unwrap();
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| in_block) {
            commands.push((command.to_owned(), std::mem::take(&mut status)));
        }
    }
    commands
}

#[test]
fn every_command_in_the_documents_ends_as_it_says() {
    let mut ran = 0;
    for (name, page) in documents() {
        // A reader follows a page from its first command to its last, in one folder.
        let place = Workplace::new();
        for (command, status) in commands(&page) {
            // The first command of the README builds this very program; the second runs this very test.
            let command = command.replace("cargo run --release --locked -- ", "contactsync ");
            let Some(arguments) = command.strip_prefix("contactsync ") else {
                assert_eq!(command, "cargo test --workspace --locked", "{name}");
                continue;
            };
            if !place.exists("fixtures") {
                std::os::unix::fs::symlink(repository().join("fixtures"), place.path("fixtures")).unwrap();
            }
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(format!("\"$0\" {arguments}")).arg(env!("CARGO_BIN_EXE_contactsync"));
            shell.current_dir(place.path(".")).env_clear().env("PATH", "/usr/bin:/bin");
            shell.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            let ended = finish(shell.spawn().unwrap());
            assert_eq!(ended.status, Some(status), "{name}: {command}\n{ended}");
            ran += 1;
        }
    }
    assert!(ran > 10, "only {ran} commands were found");
}
