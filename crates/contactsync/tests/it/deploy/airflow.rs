//! The DAG, as far as Python alone can show it: read, and what its task runs run. `.ci/checks/70-deploy` runs it in Airflow.

use std::{collections::BTreeSet, process::Command};

use sandbox::SandboxOptions;
use serde_json::Value;

use super::{all_well, if_installed, in_place, nightly, text};
use crate::{
    kubernetes::statuses,
    service::{Service, users},
    support::Workplace,
};

/// Takes the DAG apart: everything but what Airflow is needed for. Tells the constants, or runs a night.
const DRIVER: &str = r#"
import ast, json, sys
tree = ast.parse(open("dag.py").read())
plain = [it for it in tree.body if isinstance(it, (ast.Import, ast.ImportFrom, ast.Assign))
         or isinstance(it, ast.FunctionDef) and not it.decorator_list]
space = {}
exec(compile(ast.Module(plain, []), "dag.py", "exec"), space)
class BaseHook:
    def get_connection(name):
        assert name == "engagelab", name
        return type("Connection", (), {"login": "sandbox-key", "password": "sandbox-secret"})
space["BaseHook"] = BaseHook
if sys.argv[1:]:
    print("ended with", space["run"](sys.argv[1]))
else:
    dags = [it for it in tree.body if isinstance(it, ast.FunctionDef) and it.decorator_list]
    words = {it.arg: ast.unparse(it.value) for dag in dags for call in dag.decorator_list for it in call.keywords}
    print(json.dumps({k: v for k, v in space.items() if k.isupper()} | {"dag": words}))
"#;

fn python(place: &Workplace, arguments: &[&str]) -> Option<String> {
    place.file("dag.py", in_place(place, &text("airflow/contactsync_nightly.py")));
    place.file("driver.py", DRIVER);
    let mut python = Command::new("python3");
    python.arg("driver.py").args(arguments).current_dir(place.path(""));
    Some(all_well(&if_installed(&mut python)?))
}

#[test]
fn every_status_is_decided_on_and_runs_dont_overlap() {
    let place = Workplace::new();
    let Some(told) = python(&place, &[]) else { return };
    let told: Value = serde_json::from_str(&told).unwrap();
    let one = |name: &str| told[name].as_i64().unwrap() as i32;
    let needs_somebody: BTreeSet<i32> =
        told["NEEDS_SOMEBODY"].as_array().unwrap().iter().map(|it| it.as_i64().unwrap() as i32).collect();
    for status in statuses() {
        let decided = match status {
            0 => true,
            1 => one("FINISHED_WITH_FAULTS") == 1,
            7 => one("WINDOW_IS_OVER") == 7,
            2..=5 | 70 => needs_somebody.contains(&status),
            // Another try.
            6 | 129 | 130 | 143 => !needs_somebody.contains(&status),
            _ => false,
        };
        assert!(decided, "{status}");
    }
    assert_eq!((&told["dag"]["max_active_runs"], &told["dag"]["catchup"]), (&"1".into(), &"False".into()));
    let grace = text("airflow/contactsync_nightly.py");
    assert!(one("LONGEST_STOP") >= 50 && grace.contains("\"--grace=30s\""));
}

#[test]
fn a_night_is_run_and_credentials_are_not_logged() {
    let service = Service::start(SandboxOptions::default());
    let place = Workplace::new();
    nightly(&place, &service.url(), "", &users(50));
    let Some(log) = python(&place, &["2026-12-01T020000"]) else { return };
    assert!(log.contains("50 rows read") && log.ends_with("ended with 0\n"), "{log}");
    assert!(!log.contains("sandbox-key") && !log.contains("sandbox-secret"), "{log}");
    assert!(place.exists("var/lib/contactsync/nightly/reports/2026-12-01T020000.ndjson.zst"));
    assert!(place.exists("var/lib/contactsync/nightly/nightly.prom"));
    // Another try of the same night finds nothing left to do, another night has a report of its own.
    let sent = service.record().stats().requests;
    let again = python(&place, &["2026-12-01T020000"]).unwrap();
    assert!(again.ends_with("ended with 0\n") && service.record().stats().requests == sent, "{again}");
    place.file("srv/contactsync/nightly.csv", users(50).replace("\n7,", "\nseven,"));
    let faulty = python(&place, &["2026-12-02T020000"]).unwrap();
    assert!(faulty.contains("unchanged") && faulty.ends_with("ended with 1\n"), "{faulty}");
}
