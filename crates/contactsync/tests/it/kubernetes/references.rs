//! What one manifest names in another, and in the documents.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::manifests::{Object, list, objects, only, text, word};
use crate::support::Workplace;

/// The names of all objects of this kind.
fn named(kind: &str) -> BTreeSet<String> {
    objects().iter().filter(|object| object.kind() == kind).map(|object| object.name().to_owned()).collect()
}

#[test]
fn everything_is_in_one_namespace() {
    let namespace = only("namespace.yaml", "Namespace");
    let mut others = 0;
    for object in objects().iter().filter(|object| object.kind() != "Namespace") {
        assert_eq!(word(&object.value, "/metadata/namespace"), namespace.name(), "{}", object.file);
        others += 1;
    }
    assert!(others > 10);
}

#[test]
fn what_pods_mount_is_there() {
    let (claims, maps, page) = (named("PersistentVolumeClaim"), named("ConfigMap"), text("docs/scaling.md"));
    let (mut used, mut mounted) = (BTreeSet::new(), 0);
    for object in objects() {
        let Some(template) = object.template() else { continue };
        let file = &object.file;
        let volumes = list(template, "/spec/volumes");
        for volume in volumes {
            if let Some(claim) = volume.pointer("/persistentVolumeClaim/claimName") {
                used.insert(claim.as_str().unwrap().to_owned());
            } else {
                let secret = word(volume, "/secret/secretName");
                assert!(page.contains(&format!("create secret generic {secret} ")), "{file}: how is {secret} made?");
                // 0440: the owner of a secret's file is root.
                assert_eq!(volume["secret"]["defaultMode"], 0o440, "{file}");
            }
        }
        for container in object.containers() {
            for mount in list(container, "/volumeMounts") {
                assert!(volumes.iter().any(|volume| volume["name"] == mount["name"]), "{file}: {mount}");
                mounted += 1;
            }
            for variable in list(container, "/env").iter().filter(|it| word(it, "/name").ends_with("_FILE")) {
                let key = word(variable, "/value").rsplit('/').next().unwrap();
                assert!(page.contains(&format!("--from-file={key}=")), "{file}: where does {key} come from?");
            }
            for map in list(container, "/envFrom") {
                assert!(maps.contains(word(map, "/configMapRef/name")), "{file}: {map}");
            }
        }
    }
    assert_eq!(used, claims);
    assert!(mounted > 10);
}

#[test]
fn exports_and_reports_of_others_are_only_read() {
    let mut exports = 0;
    for object in objects() {
        for container in object.containers() {
            for mount in list(container, "/volumeMounts").iter().filter(|mount| mount["name"] == "exports") {
                assert_eq!(mount["readOnly"], true, "{}", object.file);
                exports += 1;
            }
            // Whole, with the reports of all pods.
            for mount in list(container, "/volumeMounts").iter().filter(|mount| mount["name"] == "reports") {
                assert!(mount.get("subPathExpr").is_some() || mount["readOnly"] == true, "{}", object.file);
            }
        }
    }
    assert_eq!(exports, 2);
}

/// The labels of all pods.
fn labels() -> Vec<Map<String, Value>> {
    let objects = objects();
    let templates = objects.iter().filter_map(Object::template);
    templates.map(|template| template["metadata"]["labels"].as_object().unwrap().clone()).collect()
}

#[test]
fn what_selects_pods_finds_some() {
    let labels = labels();
    let finds = |wanted: &Map<String, Value>| {
        labels.iter().any(|labels| wanted.iter().all(|(name, value)| labels.get(name) == Some(value)))
    };
    let mut selectors = 0;
    for object in objects() {
        let mut look = |value: &Value| {
            assert!(value.as_object().is_some_and(finds), "{}: {value}", object.file);
            selectors += 1;
        };
        every(&object.value, &mut |key, value| match key {
            "matchLabels" => look(value),
            "selector" if object.kind() == "Service" => look(value),
            _ => {}
        });
    }
    assert!(selectors >= 6, "{selectors}");
}

/// Every key of a tree, with what it holds.
fn every(value: &Value, take: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            take(key, value);
            every(value, take);
        }),
        Value::Array(list) => list.iter().for_each(|value| every(value, take)),
        _ => {}
    }
}

#[test]
fn the_redis_is_where_the_quota_looks_for_it() {
    let quota = only("quota.yaml", "ConfigMap");
    let service = only("redis.yaml", "Service");
    let deployment = only("redis.yaml", "Deployment");
    let port = &service.value["spec"]["ports"][0]["port"];
    let address = word(&quota.value, "/data/CONTACTSYNC_SHARE_RATE");
    assert!(address.starts_with(&format!("redis://{}:{port}/", service.name())), "{address}");
    assert_eq!(deployment.container("redis")["ports"][0]["containerPort"], *port);
    assert_eq!(deployment.value["spec"]["strategy"]["type"], "Recreate", "two would be two quotas");
    let let_through = list(&only_policy("redis"), "/spec/ingress/0/ports").to_vec();
    assert_eq!(let_through[0]["port"], *port);
    let to_redis = only_policy("contactsync");
    assert!(list(&to_redis, "/spec/egress").iter().any(|rule| rule["ports"][0]["port"] == *port));
    // Kubernetes makes variables of the names of services, which none of ours may look like.
    for object in objects().iter().filter(|object| object.kind() == "Service") {
        assert!(!object.name().starts_with("contactsync"), "{}", object.file);
    }
}

#[test]
fn the_redis_takes_no_password_that_its_configuration_would_read_otherwise() {
    let place = Workplace::new();
    let object = only("redis.yaml", "Deployment");
    let script = word(object.container("redis"), "/args/0");
    let script = script.replace("/run/secrets/redis", &place.path("").display().to_string());
    let starts = |password: &str| {
        place.file("password", password);
        // In place of the server, what it would be given.
        let script = script.replace("exec redis-server -", "exec cat");
        let ran = std::process::Command::new("sh").args(["-euc", &script]).output().unwrap();
        let [said, given] = [ran.stderr, ran.stdout].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(!said.contains("hidden"), "{said}");
        (ran.status.success(), given)
    };
    for password in ["", "\n", "\"\n", "hidden\"word", "hidden\\word\n"] {
        assert_eq!(starts(password), (false, String::new()), "{password:?}");
    }
    for (password, read) in [("hidden word\n", "hidden word"), ("hidden$(word)'`", "hidden$(word)'`")] {
        let (is_started, given) = starts(password);
        assert!(is_started && given.contains(&format!("\nrequirepass \"{read}\"\n")), "{password:?}: {given}");
    }
}

#[test]
fn the_night_has_the_clock_of_its_schedule() {
    let object = only("nightly.yaml", "CronJob");
    let zone = list(object.container("contactsync"), "/env").iter().find(|it| it["name"] == "TZ").unwrap();
    assert_eq!(zone["value"], object.value["spec"]["timeZone"]);
}

fn only_policy(name: &str) -> Value {
    let found: Vec<Object> =
        objects().into_iter().filter(|it| it.kind() == "NetworkPolicy" && it.name() == name).collect();
    assert_eq!(found.len(), 1, "{name}");
    found[0].value.clone()
}
