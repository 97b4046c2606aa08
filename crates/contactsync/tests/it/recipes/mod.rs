//! The recipes of `docs/where-exports-lie.md`, taken out of the page and run by a shell against the real thing. What isn't
//! installed is said to be skipped. `CONTACTSYNC_TEST_TOOLS` names a folder with further commands: `duckdb`, `aws`, `moto_server`.

mod duckdb;
mod files;
mod hive;
mod mariadb;
mod object_store;
mod postgres;
mod server;

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    service::Service,
    support::{Ran, Workplace, finish, skipped},
};

const PAGE: &str = include_str!("../../../../../docs/where-exports-lie.md");
/// All of them, and each is run by a test.
const RECIPES: [&str; 17] = [
    "aws-pipe",
    "duckdb",
    "duckdb-pipe",
    "find",
    "glob",
    "hive",
    "hive-escaped",
    "list",
    "mysql-batch",
    "mysql-outfile",
    "mysql-outfile-quoted",
    "postgres",
    "postgres-json",
    "postgres-pipe",
    "postgres-text",
    "rclone",
    "rclone-pipe",
];

/// A recipe as it stands on the page.
fn recipe(name: &str) -> String {
    assert!(RECIPES.contains(&name), "{name} is not listed");
    let rest = PAGE.split(&format!("<!-- recipe: {name} -->\n```sh\n")).nth(1).unwrap();
    rest.split("```").next().unwrap().to_owned()
}

#[test]
fn every_block_on_the_page_is_a_recipe_that_a_test_runs() {
    let blocks = PAGE.matches("```sh\n").count();
    let mut named: Vec<&str> =
        PAGE.lines().filter_map(|line| line.strip_prefix("<!-- recipe: ")?.strip_suffix(" -->")).collect();
    named.sort_unstable();
    assert_eq!(named, RECIPES);
    assert_eq!(blocks, named.len());
    for name in named {
        assert!(!recipe(name).is_empty());
    }
}

/// A folder in which recipes send to a service, and what they need in the environment.
struct Kitchen {
    service: Service,
    place: Workplace,
    variables: Vec<(String, String)>,
}

impl Kitchen {
    fn new() -> Self {
        let service = Service::with_faults(&[]);
        let place = service.workplace();
        Self { service, place, variables: Vec::new() }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs a script as bash does.
    fn run(&self, script: &str) -> Ran {
        let command = self.place.command::<&str>(&[]);
        let mut shell = Command::new("bash");
        shell.arg("-c").arg(script).current_dir(self.place.path("")).env_clear();
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.envs(self.variables.iter().map(|(name, value)| (name, value))).env("PATH", path());
        finish(shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// What the service holds of a user: a contact by its name.
    fn contact(&self, euid: u64, name: &str) -> Option<String> {
        self.service.record().contacts().get(&euid)?.get(name).and_then(Value::as_str).map(str::to_owned)
    }

    fn requests(&self) -> u64 {
        self.service.record().stats().requests
    }
}

/// Where commands are looked for: this program, further tools, the system's.
fn path() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_contactsync")).parent().unwrap().to_owned();
    let tools = env::var_os("CONTACTSYNC_TEST_TOOLS").map(PathBuf::from);
    let system = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
    env::join_paths(std::iter::once(program).chain(tools).chain(system)).unwrap().into_string().unwrap()
}

/// Whether commands are installed. Where one isn't, that is said.
fn are_installed(commands: &[&str]) -> bool {
    let missing = commands.iter().find(|command| {
        let found = env::split_paths(&path()).any(|folder| folder.join(command).is_file());
        !found
    });
    if let Some(command) = missing {
        skipped(&format!("{command} isn't installed"));
    }
    missing.is_none()
}

/// Values that dumps have trouble with. None is a null, of which nothing is sent, as of the empty text.
const NICKS: [(u64, Option<&str>); 16] = [
    (1, None),
    (2, Some("")),
    (3, Some("a\tb")),
    (4, Some("a\nb")),
    (5, Some("c\\d")),
    (6, Some("\\N")),
    (7, Some("NULL")),
    (8, Some("a\\nb")),
    (9, Some("cr\rcr")),
    (10, Some("\"quoted\" text, and more; or|less")),
    (11, Some("in \"quotes\"")),
    (12, Some("Zoë, 日本 \u{1f600}")),
    (13, Some("#'`$(x)")),
    (14, Some("ends with a backslash\\")),
    (15, Some(" blanks ")),
    (9_223_372_036_854_775_807, Some("the greatest")),
];

/// Those as an insert that PostgreSQL and MariaDB understand; `escape` writes a text.
fn insert(escape: impl Fn(&str) -> String) -> String {
    let row = |(euid, nick): &(u64, Option<&str>)| {
        let nick = nick.map_or("null".to_owned(), &escape);
        format!("({euid},'user{euid}@example.com',null,{nick})")
    };
    let rows: Vec<String> = NICKS.iter().map(row).collect();
    format!("insert into contacts (euid, email, mobile_phone, nick) values {};", rows.join(","))
}

/// All of them arrived as they are.
#[track_caller]
fn all_arrived(kitchen: &Kitchen) {
    for (euid, nick) in NICKS {
        assert_eq!(kitchen.contact(euid, "email"), Some(format!("user{euid}@example.com")));
        let expected = nick.filter(|nick| !nick.is_empty());
        assert_eq!(kitchen.contact(euid, "nick").as_deref(), expected, "of {euid}");
        assert_eq!(kitchen.contact(euid, "mobile_phone"), None);
    }
    assert_eq!(kitchen.requests(), NICKS.len() as u64);
}
