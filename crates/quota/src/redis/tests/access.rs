//! Who is let in, and what is said to who isn't.

use secrecy::SecretString;
use tokio::net::TcpListener;

use super::{
    KEY, address, client, first_ask,
    server::{Server, always, free_port},
};
use crate::{
    error::QuotaError,
    place::{RedisAddress, Which},
    quota::Secrets,
    redis::SharedRedis,
};

const PASSWORD: &str = "s3cret-of-the-quota";

fn secrets(password: Option<&str>) -> Secrets {
    Secrets { password: password.map(SecretString::from), ca_cert_pem: None }
}

async fn asked(address: RedisAddress, secrets: Secrets) -> Result<u32, QuotaError> {
    let mut redis = SharedRedis::new(address, Which::Sending, secrets)?;
    let shown = format!("{redis:?}");
    assert!(!shown.contains(PASSWORD), "{shown}");
    let answer = redis.ask(first_ask("a")).await;
    let shown = format!("{redis:?} {answer:?}");
    assert!(!shown.contains(PASSWORD), "{shown}");
    Ok(answer?.reply.starts)
}

#[track_caller]
fn assert_refused(answer: &Result<u32, QuotaError>, words: &str) {
    let Err(QuotaError::Refused(what)) = answer else { panic!("{answer:?} isn't a refusal") };
    assert!(what.starts_with("Redis at ") && what.contains(words), "{what}");
}

#[track_caller]
fn assert_unreachable(answer: &Result<u32, QuotaError>, words: &str) {
    let Err(QuotaError::Unreachable(what)) = answer else { panic!("{answer:?} doesn't say that it can't be reached") };
    assert!(what.starts_with("Redis at ") && what.contains(words), "{what}");
}

#[tokio::test]
async fn a_password_opens_and_nothing_else_does() {
    let Some(server) = Server::start(&["--requirepass", PASSWORD]) else { return };
    assert_eq!(asked(address(server.port), secrets(Some(PASSWORD))).await, Ok(5));
    assert_refused(&asked(address(server.port), secrets(Some("wrong"))).await, "doesn't take the user or password");
    assert_refused(&asked(address(server.port), secrets(None)).await, "set CONTACTSYNC_REDIS_PASSWORD");
}

#[tokio::test]
async fn who_gives_a_password_to_a_server_without_one_is_told() {
    let Some(server) = Server::start(&[]) else { return };
    assert_refused(&asked(address(server.port), secrets(Some(PASSWORD))).await, "doesn't take the user or password");
}

#[tokio::test]
async fn a_user_may_do_what_the_server_allows() {
    let needed = ["+evalsha", "+eval", "+time", "+hgetall", "+hset", "+hdel", "+pexpire"];
    let password = format!(">{PASSWORD}");
    let user = |name, rights: &[&'static str]| {
        [&["--user", name, "on", password.as_str(), "~contactsync:*"][..], rights].concat()
    };
    let options = [user("may", &needed[..]), user("no-script", &needed[2..]), user("no-write", &needed[..4])].concat();
    let Some(server) = Server::start(&options) else { return };
    let of = |user: &str| RedisAddress { user: Some(user.to_owned()), ..address(server.port) };

    assert_eq!(asked(of("may"), secrets(Some(PASSWORD))).await, Ok(5));
    for user in ["no-script", "no-write"] {
        let answer = asked(of(user), secrets(Some(PASSWORD))).await;
        assert_refused(&answer, "doesn't let its user do what sharing a rate takes");
        assert!(!format!("{answer:?}").contains(user), "{answer:?}");
    }
    let elsewhere = RedisAddress { database: 1, ..of("may") };
    let answer = asked(elsewhere, secrets(Some(PASSWORD))).await;
    assert_refused(&answer, "doesn't let its user choose a database (SELECT)");
    assert_refused(&asked(of("may"), secrets(Some("wrong"))).await, "doesn't take the user or password");
    assert_refused(&asked(of("may"), secrets(None)).await, "wants a password for this user");
    assert_refused(&asked(of("nobody"), secrets(Some(PASSWORD))).await, "doesn't take the user or password");
}

#[tokio::test]
async fn databases_are_apart_and_one_that_is_not_there_is_refused() {
    let Some(server) = Server::start(&["--databases", "4"]) else { return };
    let of = |database| RedisAddress { database, ..address(server.port) };
    assert_eq!(asked(of(0), secrets(None)).await, Ok(5));
    let other = first_ask("b");
    let mut second = SharedRedis::new(of(3), Which::Sending, Secrets::default()).unwrap();
    assert_eq!(second.ask(other.clone()).await.unwrap().reply.sharers, 1);
    assert_eq!(client(server.port).ask(other).await.unwrap().reply.sharers, 2);
    assert_refused(&asked(of(4), secrets(None)).await, "has no such database");
}

#[tokio::test]
async fn both_rates_of_a_name_are_apart_and_left_alone_after_a_day() {
    let Some(server) = Server::start(&[]) else { return };
    let mut reading = SharedRedis::new(address(server.port), Which::Reading, Secrets::default()).unwrap();
    client(server.port).ask(first_ask("a")).await.unwrap();
    assert_eq!(reading.ask(first_ask("b")).await.unwrap().reply.sharers, 1);
    let mut commands = server.commands().await;
    for key in [KEY, "contactsync:{tests}:reading"] {
        let left: u64 = redis::cmd("PTTL").arg(key).query_async(&mut commands).await.unwrap();
        assert!((86_300_000..86_401_000).contains(&left), "{key}: {left}");
    }
}

#[tokio::test]
async fn something_else_under_the_key_stays_what_it_is() {
    let Some(server) = Server::start(&[]) else { return };
    let mut commands = server.commands().await;
    redis::cmd("SET").arg(KEY).arg("mine").exec_async(&mut commands).await.unwrap();
    assert_refused(&asked(address(server.port), secrets(None)).await, "holds something else under this key");
    let kept: String = redis::cmd("GET").arg(KEY).query_async(&mut commands).await.unwrap();
    assert_eq!(kept, "mine");
}

#[tokio::test]
async fn other_rates_are_refused_in_the_words_of_the_ledger() {
    let Some(server) = Server::start(&[]) else { return };
    let mut redis = client(server.port);
    redis.ask(first_ask("a")).await.unwrap();
    let other = crate::Ask { interval: 5_000_000, label: "200/s".to_owned(), ..first_ask("b") };
    let error = redis.ask(other.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), "1 other process shares it at the rate 100/s");
    // Once the first has left, nobody is in the way.
    redis.leave("a").await.unwrap();
    assert_eq!(redis.ask(other).await.unwrap().reply.sharers, 1);
}

#[tokio::test]
async fn a_look_changes_nothing() {
    let Some(server) = Server::start(&[]) else { return };
    let mut commands = server.commands().await;
    client(server.port).ask(crate::Ask { peek: true, ..first_ask("a") }).await.unwrap();
    let keys: u64 = redis::cmd("DBSIZE").query_async(&mut commands).await.unwrap();
    assert_eq!(keys, 0);
}

#[tokio::test]
async fn every_error_of_a_server_is_one_that_passes_or_one_that_stays() {
    let passing = [
        ("-LOADING Redis is loading the dataset in memory\r\n", "is still loading"),
        ("-READONLY You can't write against a read only replica.\r\n", "is a replica"),
        ("-@user_script: 91: -READONLY You can't write against a read only replica.\r\n", "is a replica"),
        ("-MASTERDOWN Link with MASTER is down\r\n", "has lost its primary"),
        ("-OOM command not allowed when used memory > 'maxmemory'.\r\n", "has no memory left"),
        ("-BUSY Redis is busy running a script.\r\n", "is busy"),
        ("-MISCONF Redis is configured to save RDB snapshots\r\n", "can't save"),
        ("-NOREPLICAS Not enough good replicas to write.\r\n", "too few replicas"),
        ("-TRYAGAIN Multiple keys request during rehashing of slot\r\n", "is a cluster"),
        ("-CLUSTERDOWN The cluster is down\r\n", "is a cluster"),
        ("-ERR max number of clients reached\r\n", "no further client"),
        ("-ODD it said s3cret-of-the-quota\u{1b}[2J\r\n", "answered an error: ODD it said ***[2J"),
        ("-ERR s3cret-of-the-quota\r\n", "answered an error: ERR ***"),
    ];
    let staying = [
        ("-NOAUTH Authentication required.\r\n", "wants a password"),
        ("-NOPERM User me has no permissions to run the 'eval' command\r\n", "doesn't let its user"),
        ("-@user_script: 91: The user executing the script can't run this command\r\n", "doesn't let its user"),
        ("-ERR ACL failure in script: no permissions to run the 'hset' command\r\n", "doesn't let its user"),
        ("-DENIED Redis is running in protected mode\r\n", "protected mode"),
        ("-MOVED 3999 127.0.0.1:6381\r\n", "name that node"),
        ("-ASK 3999 127.0.0.1:6381\r\n", "name that node"),
        ("-WRONGTYPE Operation against a key\r\n", "holds something else"),
        ("-ERR unknown command 'EVALSHA', with args beginning with: 's3cret-of-the-quota'\r\n", "lacks a command"),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "isn't Redis"),
        ("+PONG\r\n", "isn't Redis"),
    ];
    // The server answers the password kindly: what follows is about the script.
    for (answer, words) in passing {
        let port = always(answer, &["AUTH", "PING"]).await;
        assert_unreachable(&asked(address(port), secrets(Some(PASSWORD))).await, words);
    }
    for (answer, words) in staying {
        let port = always(answer, &["AUTH", "PING"]).await;
        assert_refused(&asked(address(port), secrets(Some(PASSWORD))).await, words);
    }
}

#[tokio::test]
async fn a_server_that_repeats_the_password_isnt_repeated() {
    let refusals = [
        "-ERR unknown command 'AUTH', with args beginning with: 's3cret-of-the-quota'\r\n",
        "-ERR wrong number of arguments for 's3cret-of-the-quota'\r\n",
        "-s3cret-of-the-quota\r\n",
    ];
    for refusal in refusals {
        let port = always(refusal, &[]).await;
        assert_refused(&asked(address(port), secrets(Some(PASSWORD))).await, "doesn't take the user or password");
    }
    let port = always("-LOADING s3cret-of-the-quota\r\n", &[]).await;
    assert_unreachable(&asked(address(port), secrets(Some(PASSWORD))).await, "is still loading");
}

#[tokio::test]
async fn nobody_there_is_told_with_the_place() {
    let nobody = address(free_port());
    let shown = nobody.to_string();
    let answer = asked(nobody, Secrets::default()).await;
    assert_unreachable(&answer, "can't be reached: Connection refused");
    assert!(format!("{answer:?}").contains(&shown), "{answer:?}");
    // No name server has to be asked about such a name.
    let nameless = RedisAddress { host: "a".repeat(64), ..address(1) };
    assert_unreachable(&asked(nameless, Secrets::default()).await, "can't be found");
}

#[tokio::test]
async fn a_host_may_be_an_ipv6_address() {
    if TcpListener::bind("[::1]:0").await.is_err() {
        println!("skipped: there is no IPv6 here");
        return;
    }
    let Some(server) = Server::start(&["--bind", "::1"]) else { return };
    let there = RedisAddress { host: "::1".to_owned(), ..address(server.port) };
    assert_eq!(there.to_string(), format!("Redis at [::1]:{} (key tests)", server.port));
    assert_eq!(asked(there, Secrets::default()).await, Ok(5));
}

#[tokio::test]
async fn of_a_cluster_one_node_is_asked() {
    let Some(node) = Server::start(&["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"]) else { return };
    assert_unreachable(&asked(address(node.port), Secrets::default()).await, "is a cluster");
    let mut commands = node.commands().await;
    let mut all = redis::cmd("CLUSTER");
    all.arg("ADDSLOTS").arg((0..16_384).collect::<Vec<u32>>());
    all.exec_async(&mut commands).await.unwrap();
    let mut redis = client(node.port);
    // It takes note of its slots a moment later.
    while redis.ask(first_ask("a")).await.is_err_and(|error| error.to_string().contains("is a cluster")) {
        tokio::task::yield_now().await;
    }
    assert_eq!(redis.ask(first_ask("a")).await.unwrap().reply.starts, 5);
}

fn certificate(name: &str) -> String {
    format!("{}/../dispatcher/tests/certificates/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn server_with_tls(name: &str, clients: &str) -> Option<Server> {
    let (certificate, key, authority) = (certificate(name), certificate("server.key"), certificate("authority.pem"));
    let options = ["--port", "0", "--bind", "127.0.0.1", "--tls-port", "PORT", "--tls-auth-clients", clients];
    let files = ["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &authority];
    if !Server::knows_tls() {
        println!("skipped: this server is built without TLS");
        return None;
    }
    Server::start(&[&options[..], &files[..]].concat())
}

async fn asked_over_tls(host: &str, port: u16, authority: &str) -> Result<u32, QuotaError> {
    let there = RedisAddress { tls: true, host: host.to_owned(), ..address(port) };
    let ca_cert_pem = Some(std::fs::read(certificate(authority)).unwrap());
    asked(there, Secrets { password: None, ca_cert_pem }).await
}

#[tokio::test]
async fn a_certificate_must_be_of_a_known_authority_and_for_the_host() {
    let Some(server) = server_with_tls("good.pem", "no") else { return };
    for host in ["localhost", "127.0.0.1"] {
        assert_eq!(asked_over_tls(host, server.port, "authority.pem").await, Ok(5));
        // A certificate of its own, so that there are authorities on a machine that has none.
        assert_refused(&asked_over_tls(host, server.port, "itself.pem").await, "`--ca-cert FILE`");
    }
    let other = server_with_tls("other-name.pem", "no").unwrap();
    let answer = asked_over_tls("localhost", other.port, "authority.pem").await;
    assert_refused(&answer, "has a certificate that doesn't verify");
    assert!(format!("{answer:?}").contains("portal.example.com"), "{answer:?}");
    let expired = server_with_tls("expired.pem", "no").unwrap();
    assert_refused(&asked_over_tls("localhost", expired.port, "authority.pem").await, "expired");
    let itself = server_with_tls("itself.pem", "no").unwrap();
    assert_refused(&asked_over_tls("localhost", itself.port, "itself.pem").await, "self-signed most likely");
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_of_its_client_is_refused() {
    let Some(server) = server_with_tls("good.pem", "yes") else { return };
    let answer = asked_over_tls("localhost", server.port, "authority.pem").await;
    assert_refused(&answer, "wants a certificate of its client");
}

#[tokio::test]
async fn who_speaks_without_tls_to_a_server_with_it_is_told() {
    let Some(over_tls) = server_with_tls("good.pem", "no") else { return };
    let answer = asked(address(over_tls.port), Secrets::default()).await;
    assert_unreachable(&answer, "for TLS write rediss://");
}

#[test]
fn a_file_without_authorities_is_refused_at_once() {
    let there = RedisAddress { tls: true, ..address(1) };
    for pem in ["", "-----BEGIN CERTIFICATE-----\nodd\n-----END CERTIFICATE-----\n"] {
        let secrets = Secrets { password: None, ca_cert_pem: Some(pem.into()) };
        let refused = SharedRedis::new(there.clone(), Which::Sending, secrets);
        assert!(matches!(refused, Err(QuotaError::Refused(_))), "{refused:?}");
    }
}
