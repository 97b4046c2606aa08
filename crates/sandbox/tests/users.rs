//! Users and ids of the sandbox, over HTTP: what `register` gives, what is stored, what a read shows.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::collections::BTreeMap;

use model::{Euid, profile, registered};
use sandbox::{Limit, ProfileShape, Recording, Sandbox, SandboxOptions};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const NAMES: [&str; 2] = ["email", "mobile_phone"];

struct Api(Sandbox);

impl Api {
    async fn start(options: SandboxOptions) -> Self {
        Self(Sandbox::start(options).await.unwrap())
    }

    async fn with_faults(faults: &[&str]) -> Self {
        let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        Self::start(SandboxOptions { faults, ..SandboxOptions::default() }).await
    }

    fn set_faults(&self, faults: &[&str]) {
        self.0.set_faults(&faults.iter().map(|fault| fault.parse().unwrap()).collect::<Vec<_>>());
    }

    /// One request on a connection of its own: the answer's head and body, both empty where there is none.
    async fn exchange(&self, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.0.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        (head.to_owned(), body.to_owned())
    }

    async fn post(&self, path: &str, body: &Value) -> (String, String) {
        let (body, credentials) = (body.to_string(), "c2FuZGJveC1rZXk6c2FuZGJveC1zZWNyZXQ=");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Basic {credentials}\r\n\
             Content-Length: {}",
            body.len()
        );
        self.exchange(&format!("{head}\r\n\r\n{body}")).await
    }

    async fn get(&self, path: &str) -> Value {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        serde_json::from_str(&self.exchange(&request).await.1).unwrap()
    }

    /// The answer's code; none where there is none.
    async fn set(&self, euid: u64, contacts: Value) -> Option<i64> {
        let (_, body) = self.post("/v1/user/contact", &json!({"euid": euid, "contacts": contacts})).await;
        serde_json::from_str::<Value>(&body).ok()?["code"].as_i64()
    }

    async fn register(&self, ids: &[&str]) -> (Option<i64>, String) {
        let request = json!({"identity_name": "user_id", "identity_values": ids});
        let (_, body) = self.post("/v1/user/register", &request).await;
        (serde_json::from_str::<Value>(&body).ok().and_then(|body| body["code"].as_i64()), body)
    }

    async fn euids(&self, ids: &[&str]) -> Vec<Option<u64>> {
        let (code, body) = self.register(ids).await;
        assert_eq!(code, Some(0), "{body}");
        let registered = registered::read(body.as_bytes()).unwrap();
        ids.iter().map(|id| registered.get(id).map(Euid::get)).collect()
    }

    async fn read(&self, euids: &[u64]) -> String {
        self.post("/v1/user/profile", &json!({"euid": euids, "contacts": NAMES})).await.1
    }

    /// What a read shows, by user that has an entry.
    async fn shown(&self, euids: &[u64]) -> BTreeMap<u64, BTreeMap<String, String>> {
        let body = self.read(euids).await;
        let profiles = profile::read(body.as_bytes(), &NAMES).unwrap_or_else(|error| panic!("{error}: {body}"));
        let of = |euid: &u64| {
            let profile = profiles.get(Euid::new(*euid)?)?;
            let held = NAMES.iter().filter_map(|name| Some(((*name).to_owned(), profile.get(name)?.to_owned())));
            Some((*euid, held.collect()))
        };
        euids.iter().filter_map(of).collect()
    }

    /// What the record says that a read shows.
    fn held(&self, euids: &[u64]) -> BTreeMap<u64, BTreeMap<String, String>> {
        let text = |(name, value): (String, Value)| Some((name, value.as_str()?.to_owned()));
        let of = |euid: &u64| Some((*euid, self.0.record().profile(*euid)?.into_iter().filter_map(text).collect()));
        euids.iter().filter_map(of).collect()
    }
}

fn email(value: &str) -> Value {
    json!({"email": value})
}

#[tokio::test]
async fn ids_have_users_who_stay_theirs() {
    let api = Api::start(SandboxOptions::default()).await;
    let ids = ["u-1", "u-2", "a/b c", "ü"];
    let first = api.euids(&ids).await;
    assert!(first.iter().all(Option::is_some));
    let mut again = api.euids(&["ü", "ü", "u-1"]).await;
    assert_eq!((again.remove(0), again.remove(0), again.remove(0)), (first[3], first[3], first[0]));
    let elsewhere = Api::start(SandboxOptions::default()).await;
    assert_eq!(elsewhere.euids(&ids).await, first);
    let record = api.0.record();
    let asked = |id: &str| record.id("user_id", id).map(|id| (id.asked, id.answered, id.euid));
    assert_eq!((asked("ü"), asked("u-2"), asked("u-3")), (Some((3, 2, first[3])), Some((1, 1, first[1])), None));
    assert_eq!(record.ids().len(), 4);
    let stats = record.stats();
    assert_eq!((stats.register_requests, stats.register_ids, stats.users_created), (2, 7, 4));
    assert_eq!((stats.requests, stats.contact_requests, stats.profile_requests), (2, 0, 0));
    assert_eq!(api.get("/_sandbox/ids/user_id/a/b%20c").await["euid"].as_u64(), first[2]);
    assert_eq!(api.get("/_sandbox/ids/anonymous_id/u-1").await["error"], "nobody asked for this id");
    // The order in which entries come says nothing.
    let many: Vec<String> = (0..100).map(|n| format!("u-{n}")).collect();
    let (_, body) = api.register(&many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let listed: Value = serde_json::from_str(&body).unwrap();
    let listed = listed["data"].as_array().unwrap().iter().map(|entry| entry["identity_value"].as_str().unwrap());
    let listed: Vec<&str> = listed.collect();
    assert!(listed.len() == 100 && listed != many && listed.iter().rev().copied().collect::<Vec<_>>() != many);
}

#[tokio::test]
async fn a_read_shows_whom_the_service_knows_in_every_shape() {
    let empty = BTreeMap::new();
    for profile_shape in ProfileShape::ALL {
        let api = Api::start(SandboxOptions { profile_shape, ..SandboxOptions::default() }).await;
        let registered = api.euids(&["u-1"]).await[0].unwrap();
        assert_eq!(api.set(7, json!({"email": "a@example.com", "wechat": "w"})).await, Some(0));
        assert_eq!(api.set(8, json!({"email": "b@example.com"})).await, Some(0));
        assert_eq!(api.set(8, email("")).await, Some(0));
        assert_eq!(api.set(9, json!({"email": " "})).await, Some(55103));
        if profile_shape == ProfileShape::Unknown {
            profile::read(api.read(&[7, 8]).await.as_bytes(), &NAMES).unwrap_err();
            continue;
        }
        let shown = api.shown(&[9, 8, 7, 7, registered]).await;
        let with_mail = BTreeMap::from([("email".to_owned(), "a@example.com".to_owned())]);
        let expected = BTreeMap::from([(7, with_mail), (8, empty.clone()), (registered, empty.clone())]);
        assert_eq!(shown, expected, "{}", profile_shape.name());
        let stats = api.0.record().stats();
        assert_eq!((stats.profile_requests, stats.profile_euids, stats.contact_requests), (1, 5, 4));
        assert_eq!((stats.profile_peak_in_a_second, stats.register_peak_in_a_second), (1, 1));
    }
    let api = Api::start(SandboxOptions::default()).await;
    api.set(7, json!({"email": "a@example.com", "wechat": "w"})).await;
    let (_, all) = api.post("/v1/user/profile", &json!({"euid": [7]})).await;
    let all: Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all["data"], json!([{"euid": 7, "contacts": {"email": "a@example.com", "wechat": "w"}}]));
    let (_, refused) = api.post("/v1/user/profile", &json!({"euid": []})).await;
    assert!(refused.contains("40007"), "{refused}");
}

#[tokio::test]
async fn reads_have_a_limit_of_their_own() {
    let per = std::time::Duration::from_mins(1);
    let [limit, profile_limit] = [2, 3].map(|count| Some(Limit { count, per }));
    let api = Api::start(SandboxOptions { limit, profile_limit, ..SandboxOptions::default() }).await;
    let mut statuses = Vec::new();
    for path in ["/v1/user/profile", "/v1/user/contact"] {
        for _ in 0..4 {
            let (head, _) = api.post(path, &json!({"euid": [7]})).await;
            let wait = head.lines().find_map(|line| line.strip_prefix("retry-after: "));
            assert_eq!(wait.is_some(), head.starts_with("HTTP/1.1 429"), "{head}");
            statuses.push(wait.map(|wait| (1..=60).contains(&wait.parse::<u64>().unwrap())));
        }
    }
    let one_too_many = Some(true);
    assert_eq!(statuses, [None, None, None, one_too_many, None, None, one_too_many, one_too_many]);
    assert_eq!(SandboxOptions::default().profile_limit, Some(Limit { count: 1_000, per }));
}

#[tokio::test]
async fn a_request_for_users_meets_a_fault_and_then_passes() {
    let faults = ["register/code=-1:0.6", "profile/drop:0.3", "profile/code=-1:0.3"];
    let (api, twin) = (Api::with_faults(&faults).await, Api::with_faults(&faults).await);
    let mut tries = [Vec::new(), Vec::new()];
    for batch in 0..20 {
        let (one, other) = (format!("u-{batch}"), format!("w-{batch}"));
        for (api, tries) in [&api, &twin].into_iter().zip(&mut tries) {
            let mut registering = 1;
            while api.register(&[&one, &other]).await.0 != Some(0) {
                registering += 1;
            }
            let mut reading = 1;
            while !api.read(&[batch + 1, 100]).await.contains("\"data\":[") {
                reading += 1;
            }
            assert_eq!(api.set(batch + 1, email("a@example.com")).await, Some(0));
            tries.push((registering, reading));
        }
    }
    assert_eq!(tries[0], tries[1]);
    let (registering, reading): (Vec<u32>, Vec<u32>) = tries[0].iter().copied().unzip();
    assert!(registering.contains(&1) && registering.iter().any(|tries| *tries > 2), "{registering:?}");
    assert!(reading.contains(&1) && reading.iter().any(|tries| *tries > 2), "{reading:?}");
    let met = api.0.record().stats().by_fault;
    assert!(met.keys().eq(["profile/code=-1", "profile/drop", "register/code=-1"].iter()), "{met:?}");
}

#[tokio::test]
async fn what_is_lost_altered_and_forgotten_is_shown_as_the_record_has_it() {
    let users: Vec<u64> = (1..=60).collect();
    let contacts = |euid: u64, round: &str| json!({"email": format!("{round}{euid}@example.com"), "mobile_phone": "1"});
    let api = Api::with_faults(&[]).await;
    for euid in &users[10..] {
        api.set(*euid, contacts(*euid, "before")).await;
    }
    api.set_faults(&["lost:0.1", "unstored:0.2", "altered:0.2", "forgotten:0.2", "partial:0.2", "drop:0.05"]);
    for euid in &users {
        api.set(*euid, contacts(*euid, "after")).await;
    }
    let mut seen = BTreeMap::new();
    let shown = api.shown(&users).await;
    for euid in &users {
        let requests = api.0.record().requests(*euid);
        let answered = requests.last().unwrap().answered.clone();
        let text = |name: &str| shown.get(euid).and_then(|held| held.get(name)).map(String::as_str);
        let [before, after] = ["before", "after"].map(|round| format!("{round}{euid}@example.com"));
        let was_there = requests.len() > 1;
        let as_before = (was_there.then_some(&*before), was_there.then_some("1"));
        let expected = match answered.as_str() {
            None | Some("lost") => (Some(&*after), Some("1")),
            Some("unstored" | "drop") => as_before,
            Some("altered") => (Some(&*after), Some("10")),
            Some("forgotten") => (None, None),
            Some("partial") => (Some(&*after), was_there.then_some("1")),
            other => panic!("{other:?}"),
        };
        assert_eq!((text("email"), text("mobile_phone")), expected, "{euid}: {answered}");
        let is_known =
            answered != "forgotten" && (was_there || !["unstored", "drop"].map(Value::from).contains(&answered));
        assert_eq!(shown.contains_key(euid), is_known, "{euid}: {answered}");
        *seen.entry(answered.to_string()).or_insert(0) += 1;
    }
    assert!(seen.len() == 7, "{seen:?}");
    assert_eq!(shown, api.held(&users));
    assert_eq!(api.0.record().profiles().len(), shown.len());
}

#[tokio::test]
async fn what_is_stored_late_is_not_shown_by_the_next_read() {
    let api = Api::with_faults(&["late:1"]).await;
    api.set(7, email("a@example.com")).await;
    assert_eq!(api.held(&[7]).len(), 1);
    assert_eq!(api.shown(&[7]).await, BTreeMap::new());
    assert_eq!(api.shown(&[7]).await, api.held(&[7]));
    api.set(7, email("b@example.com")).await;
    assert_eq!(api.shown(&[7]).await[&7]["email"], "a@example.com");
    assert_eq!(api.shown(&[7]).await[&7]["email"], "b@example.com");
}

#[tokio::test]
async fn a_stale_euid_is_refused_until_its_id_is_asked_for_again() {
    let api = Api::with_faults(&[]).await;
    let ids: Vec<String> = (0..40).map(|n| format!("u-{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let first = api.euids(&ids).await;
    for euid in first.iter().flatten() {
        assert_eq!(api.set(*euid, email("a@example.com")).await, Some(0));
    }
    api.set_faults(&["stale:0.4"]);
    assert_eq!(api.euids(&ids).await, first, "who was not refused yet keeps its number");
    let mut gone = 0;
    for (id, euid) in ids.iter().zip(first.iter().flatten()) {
        if api.set(*euid, email("b@example.com")).await == Some(0) {
            assert_eq!(api.euids(&[id]).await, [Some(*euid)]);
            continue;
        }
        gone += 1;
        assert_eq!(api.0.record().requests(*euid).last().unwrap().answered, json!(55108));
        assert!(api.shown(&[*euid]).await.is_empty());
        let new = api.euids(&[id]).await[0].unwrap();
        assert_ne!(new, *euid);
        assert_eq!(api.set(new, email("b@example.com")).await, Some(0));
        assert_eq!(api.euids(&[id]).await, [Some(new)]);
        assert_eq!(api.set(*euid, email("b@example.com")).await, Some(55108));
    }
    assert!((1..40).contains(&gone), "{gone}");
    assert_eq!(api.0.record().stats().by_fault["stale"], gone);
    // A number that nobody was given isn't looked at.
    api.set_faults(&["stale:1"]);
    assert_eq!(api.set(7, email("a@example.com")).await, Some(0));
    api.0.record().retire(7);
    assert_eq!(api.set(7, email("a@example.com")).await, Some(55108));
}

#[tokio::test]
async fn ids_can_be_unknown_refused_or_two_of_one_user() {
    let ids: Vec<String> = (0..60).map(|n| format!("u-{n:02}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let api = Api::with_faults(&["unknown:0.3", "twin:0.5"]).await;
    let euids = api.euids(&ids).await;
    assert_eq!(api.euids(&ids).await, euids, "an id stays what it is");
    let unknown = euids.iter().filter(|euid| euid.is_none()).count();
    let twins = euids.chunks(2).filter(|pair| pair[0].is_some() && pair[0] == pair[1]).count();
    assert!((5..40).contains(&unknown) && (2..30).contains(&twins), "{unknown} {twins}");
    let mut distinct: Vec<u64> = euids.iter().flatten().copied().collect();
    let known = distinct.len();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), known - twins, "no others share a user");
    assert_eq!(api.0.record().stats().users_created, distinct.len() as u64);

    let api = Api::with_faults(&["refused=55105:0.2"]).await;
    let mut refused = Vec::new();
    for id in &ids {
        match api.register(&[id]).await.0 {
            Some(0) => {}
            code => {
                assert_eq!(code, Some(55105));
                refused.push(*id);
            }
        }
    }
    assert!((3..30).contains(&refused.len()), "{refused:?}");
    assert_eq!(api.register(&ids).await.0, Some(55105));
    let others: Vec<&str> = ids.iter().copied().filter(|id| !refused.contains(id)).collect();
    assert!(api.euids(&others).await.iter().all(Option::is_some));
    let asked = api.0.record().id("user_id", refused[0]).unwrap();
    assert_eq!((asked.asked, asked.answered, asked.euid), (2, 0, None));
    // Nothing of it is carried out, also where the answer is lost.
    api.set_faults(&["refused=55105:0.2", "register/lost:1"]);
    assert_eq!(api.register(&ids).await, (None, String::new()));
    let asked = api.0.record().id("user_id", refused[0]).unwrap();
    assert_eq!((asked.asked, asked.answered, asked.euid), (3, 0, None));
}

#[tokio::test]
async fn a_batch_can_be_lost_or_done_in_part() {
    let api = Api::with_faults(&["register/lost:1"]).await;
    assert_eq!(api.register(&["u-1", "u-2"]).await, (None, String::new()));
    let record = api.0.record();
    assert_eq!((record.stats().users_created, record.id("user_id", "u-1").unwrap().answered), (2, 1));
    api.set_faults(&["register/partial:1", "profile/partial:1"]);
    let euids = api.euids(&["u-1", "u-2", "u-3"]).await;
    assert_eq!(euids.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
    assert!(api.register(&["u-1"]).await.1.contains("partial success"));
    let both = [euids[0].unwrap(), euids[1].unwrap()];
    let (shown, body) = (api.shown(&both).await, api.read(&both).await);
    assert!(shown.len() == 1 && body.contains("partial success"), "{shown:?} {body}");
    api.set_faults(&["code=0:1"]);
    assert!(api.euids(&["u-1"]).await[0].is_some() && api.shown(&both).await.len() == 2);
}

#[tokio::test]
async fn where_only_figures_are_kept_users_cant_be_read() {
    let options = SandboxOptions { recording: Recording::Figures, ..SandboxOptions::default() };
    let api = Api::start(options).await;
    assert_eq!(api.euids(&["u-1"]).await.len(), 1);
    let (head, _) = api.post("/v1/user/profile", &json!({"euid": [7]})).await;
    assert!(head.starts_with("HTTP/1.1 501"), "{head}");
    let stats = api.get("/_sandbox/stats").await;
    assert_eq!((&stats["register_requests"], &stats["profile_requests"]), (&json!(1), &json!(1)));
}
