//! The dashboard: it asks for what is written, in expressions that Prometheus takes, and its panels lie side by side.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

use super::{all_well, if_installed, metrics, text};
use crate::support::Workplace;

fn dashboard() -> Value {
    serde_json::from_str(&text("grafana/contactsync.json")).unwrap()
}

fn list<'v>(value: &'v Value, pointer: &str) -> &'v Vec<Value> {
    value.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("no list at {pointer}"))
}

/// All expressions: of panels, annotations and variables.
fn expressions() -> Vec<String> {
    let dashboard = dashboard();
    let panels = list(&dashboard, "/panels").iter().flat_map(|panel| list(panel, "/targets"));
    let asked = panels.chain(list(&dashboard, "/annotations/list")).map(|it| it["expr"].as_str().unwrap().to_owned());
    let variables = list(&dashboard, "/templating/list").iter().filter_map(|it| {
        let query = it["definition"].as_str()?.strip_prefix("label_values(")?;
        Some(query.rsplit_once(',').unwrap().0.to_owned())
    });
    asked.chain(variables).collect()
}

#[test]
fn it_asks_for_what_is_written() {
    let expressions = expressions();
    assert!(expressions.len() >= 20);
    metrics::known(expressions.iter().map(String::as_str));
    // Nothing that is written is left out, but for what says no more than another.
    let shown: BTreeSet<String> = expressions.iter().flat_map(|it| metrics::asked(it)).collect();
    let left_out: Vec<String> = metrics::names().difference(&shown).cloned().collect();
    assert!(left_out.is_empty(), "{left_out:?}");
}

#[test]
fn promtool_takes_its_expressions() {
    // As Grafana puts them in.
    let variables = [("$__rate_interval", "1m"), ("$instance", ".*"), ("$sync", ".*")];
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (number, expression) in expressions().iter().enumerate() {
        let expression = variables.iter().fold(expression.clone(), |it, (name, value)| it.replace(name, value));
        assert!(!expression.contains('$'), "{expression}");
        rules += &format!("      - record: expression:{number}\n        expr: {}\n", Value::from(expression));
    }
    let place = Workplace::new();
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "rules"]).arg(place.file("rules.yml", rules));
    let Some(output) = if_installed(&mut promtool) else { return };
    assert!(all_well(&output).contains("SUCCESS"));
}

#[test]
fn panels_lie_side_by_side_and_ask_the_chosen_source() {
    let dashboard = dashboard();
    let variables: Vec<&Value> = list(&dashboard, "/templating/list").iter().map(|it| &it["name"]).collect();
    assert_eq!(variables, ["datasource", "sync", "instance"]);
    assert_eq!(
        (&dashboard["uid"], &dashboard["id"]),
        (&"contactsync".into(), &Value::Null),
        "imported anew, not over another"
    );
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in list(&dashboard, "/panels") {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        assert!(
            ["stat", "timeseries", "state-timeline", "table"].contains(&panel["type"].as_str().unwrap()),
            "{title}"
        );
        let [x, y, width, height] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(x + width <= 24, "{title} is out of the page");
        for place in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{title} lies over another");
        }
        let mut names = BTreeSet::new();
        for target in list(panel, "/targets") {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            assert!(names.insert(target["refId"].as_str().unwrap()), "{title}");
        }
    }
    let bottom = taken.iter().map(|(_, y)| y).max().unwrap() + 1;
    assert_eq!(taken.len() as u64, 24 * bottom, "no gaps");
}
