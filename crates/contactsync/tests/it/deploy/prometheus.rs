//! The alerts: what they ask for is written, each is played and has a page on what to do.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

use super::{all_well, if_installed, metrics, repository, text};

/// Those over what we write, and those over what a cluster tells of its jobs.
const SETS: [&str; 2] = ["contactsync", "kubernetes"];

fn alerts(set: &str) -> Vec<Value> {
    let rules: Value = serde_saphyr::from_str(&text(&format!("prometheus/{set}.rules.yml"))).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

#[test]
fn alerts_ask_for_what_is_written() {
    let alerts = alerts("contactsync");
    metrics::known(alerts.iter().map(|alert| alert["expr"].as_str().unwrap()));
}

#[test]
fn alerts_of_a_cluster_look_at_the_namespace_of_the_manifests() {
    let alerts = alerts("kubernetes");
    assert_eq!(alerts.len(), 4);
    let namespace: Value = serde_saphyr::from_str(&text("kubernetes/namespace.yaml")).unwrap();
    let selector = format!("{{namespace=\"{}\"", namespace["metadata"]["name"].as_str().unwrap());
    for alert in &alerts {
        let expression = alert["expr"].as_str().unwrap();
        let (metrics, selected) = (expression.matches("kube_").count(), expression.matches(&selector).count());
        assert!(metrics > 0 && selected == metrics, "{expression}");
    }
}

#[test]
fn each_alert_is_played_and_has_a_page() {
    // By alert: how often it is played quiet, and how often it fires.
    let mut played: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for set in SETS {
        let tests: Value = serde_saphyr::from_str(&text(&format!("prometheus/{set}.test.yml"))).unwrap();
        for case in tests["tests"].as_array().unwrap().iter().flat_map(|it| it["alert_rule_test"].as_array().unwrap()) {
            let counted = played.entry(case["alertname"].as_str().unwrap().to_owned()).or_default();
            match case.get("exp_alerts") {
                Some(_) => counted.1 += 1,
                None => counted.0 += 1,
            }
        }
    }
    let page = std::fs::read_to_string(repository("docs/deployment.md")).unwrap();
    for alert in SETS.iter().flat_map(|set| alerts(set)) {
        let name = alert["alert"].as_str().unwrap();
        let (quiet, fires) = played.remove(name).unwrap_or_default();
        assert!(quiet > 0 && fires > 0, "{name}: {quiet} quiet, {fires} firing");
        let heading = format!("\n### {name}\n");
        assert!(page.contains(&heading), "{name} has no heading");
        let runbook = alert["annotations"]["runbook"].as_str().unwrap();
        assert_eq!(runbook, format!("docs/deployment.md#{}", name.to_lowercase()));
        assert!(["critical", "warning"].contains(&alert["labels"]["severity"].as_str().unwrap()), "{name}");
    }
    assert!(played.is_empty(), "no such alert: {played:?}");
}

#[test]
fn promtool_takes_the_rules_and_plays_them() {
    let folder = repository("deploy/prometheus");
    for (what, file) in [
        ("check", "contactsync.rules.yml"),
        ("test", "contactsync.test.yml"),
        ("check", "kubernetes.rules.yml"),
        ("test", "kubernetes.test.yml"),
    ] {
        let mut promtool = Command::new("promtool");
        promtool.args([what, "rules", file]).current_dir(&folder);
        let Some(output) = if_installed(&mut promtool) else { return };
        assert!(all_well(&output).contains("SUCCESS"));
    }
}
