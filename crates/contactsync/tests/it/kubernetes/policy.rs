//! What Kubernetes does about a pod that failed, by the rules of the job: the first that matches decides.

use serde_json::Value;

use super::manifests::list;

/// A pod that has ended without success.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Failed {
    /// The status of the container; none where its machine is gone, and nobody can tell.
    pub(super) status: Option<i32>,
    /// The pod was drained, preempted or evicted, or its machine is gone.
    pub(super) disrupted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// The shard, or the job that has none, has failed: no other try.
    GiveUp,
    /// Another try, which isn't counted.
    Ignore,
    /// Another try, as long as there are any left.
    Count,
}

/// What is done about it.
pub(super) fn action(job: &Value, container: &str, failed: Failed) -> Action {
    let rules = list(job, "/podFailurePolicy/rules");
    let rule = rules.iter().find(|rule| matches(rule, container, failed));
    match rule.map(|rule| rule["action"].as_str().unwrap()) {
        Some("FailIndex" | "FailJob") => Action::GiveUp,
        Some("Ignore") => Action::Ignore,
        Some("Count") | None => Action::Count,
        Some(other) => panic!("an action that Kubernetes doesn't know: {other}"),
    }
}

fn matches(rule: &Value, container: &str, failed: Failed) -> bool {
    if let Some(codes) = rule.get("onExitCodes") {
        assert_eq!(codes["operator"], "In", "the only one that is played");
        let is_of_container = codes.get("containerName").is_none_or(|name| name == container);
        return is_of_container && failed.status.is_some_and(|status| list(codes, "/values").contains(&status.into()));
    }
    let conditions = list(rule, "/onPodConditions");
    failed.disrupted && conditions.iter().any(|it| it["type"] == "DisruptionTarget" && it["status"] == "True")
}

/// How often a shard, or a job that has none, may fail and be tried again.
pub(super) fn tries(job: &Value) -> u64 {
    let limit = if job["completionMode"] == "Indexed" { "backoffLimitPerIndex" } else { "backoffLimit" };
    job[limit].as_u64().unwrap_or_else(|| panic!("no {limit}"))
}
