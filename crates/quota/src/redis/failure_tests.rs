use super::*;

fn address(tls: bool) -> RedisAddress {
    let (host, key) = ("redis.example.com".to_owned(), "nightly".to_owned());
    RedisAddress { tls, user: Some("somebody".to_owned()), host, port: 6380, database: 0, key }
}

fn told(failure: Failure, tls: bool, is_known: bool) -> QuotaError {
    failure.told(&address(tls), Some(&"s3cret".into()), is_known)
}

#[test]
fn what_is_no_redis_may_pass_where_it_was_one() {
    let odd = || Failure::Other(RedisError::from((ErrorKind::UnexpectedReturnType, "odd")));
    assert!(matches!(told(odd(), false, false), QuotaError::Refused(_)));
    assert!(matches!(told(odd(), false, true), QuotaError::Unreachable(_)));
    let no_tls = || Failure::Tls(io::Error::other(rustls::Error::General("odd".to_owned())));
    assert!(matches!(told(no_tls(), true, false), QuotaError::Refused(_)));
    assert!(matches!(told(no_tls(), true, true), QuotaError::Unreachable(_)));
    // A connection that breaks is one that breaks.
    let broken = Failure::Tls(io::ErrorKind::ConnectionReset.into());
    assert!(matches!(told(broken, true, false), QuotaError::Unreachable(_)));
}

#[test]
fn a_certificate_stays_what_it_is_also_where_it_was_another() {
    let fault = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
    let told = told(Failure::Tls(io::Error::other(fault)), true, true);
    assert!(matches!(&told, QuotaError::Refused(what) if what.contains("doesn't verify")), "{told:?}");
}

#[test]
fn who_lets_nobody_in_may_not_speak_tls() {
    let slow = || Failure::NotConnected(Duration::from_secs(5));
    assert_eq!(
        told(slow(), true, false).to_string(),
        "Redis at redis.example.com:6380 (key nightly) let nobody in within 5 seconds, and may not speak TLS"
    );
    for (tls, is_known) in [(true, true), (false, false)] {
        let told = told(slow(), tls, is_known).to_string();
        assert!(told.ends_with("let nobody in within 5 seconds"), "{told}");
    }
}
