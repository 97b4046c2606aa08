use super::*;

fn redis(text: &str) -> RedisAddress {
    match text.parse() {
        Ok(Place::Redis(address)) => address,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn what_is_no_url_is_a_file() {
    for text in [
        "quota",
        "/run/contactsync/quota",
        "./a b",
        "redis",
        "C:quota",
        "night:eu.rate",
        "a/b:7",
        "./cache.example.com:6379",
        "../me@here",
        "/srv/me@here:7?key=a",
    ] {
        assert_eq!(text.parse(), Ok(Place::File(PathBuf::from(text))), "{text}");
    }
}

#[test]
fn an_address_has_its_parts() {
    let plain = redis("redis://cache.example.com?key=engagelab");
    assert_eq!((plain.tls, plain.user.as_deref(), plain.port, plain.database), (false, None, 6379, 0));
    assert_eq!((plain.host.as_str(), plain.key.as_str()), ("cache.example.com", "engagelab"));
    let full = redis("REDISS://sync%40er+1@[::1]:6380/3?key=a%20b");
    assert_eq!((full.tls, full.user.as_deref(), full.port, full.database), (true, Some("sync@er+1"), 6380, 3));
    assert_eq!((full.host.as_str(), full.key.as_str()), ("::1", "a b"));
    assert_eq!(full.to_string(), "Redis at [::1]:6380 (key a b)");
}

#[test]
fn what_is_no_address_is_refused_without_repeating_it() {
    let cases = [
        ("", PlaceError::Neither),
        (" \t", PlaceError::Neither),
        ("redis:user:hidden@cache.example.com?key=a", PlaceError::LikeAnAddress),
        ("Rediss:/:hidden@cache.example.com?key=a", PlaceError::LikeAnAddress),
        ("redis:hidden.example.com", PlaceError::LikeAnAddress),
        ("reddis:/:hidden@cache.example.com", PlaceError::LikeAnAddress),
        ("//:hidden@cache.example.com/0", PlaceError::LikeAnAddress),
        ("user:hidden@cache.example.com:6379/0", PlaceError::LikeAnAddress),
        ("hidden.example.com:6379", PlaceError::LikeAnAddress),
        ("hidden.example.com:6379/0", PlaceError::LikeAnAddress),
        ("[::1]:6379", PlaceError::LikeAnAddress),
        ("hidden.example.com/0?key=a", PlaceError::LikeAnAddress),
        ("valkey://:hidden@cache.example.com?key=a", PlaceError::OtherScheme),
        ("http://hidden.example.com/", PlaceError::OtherScheme),
        ("redis://:hidden@cache.example.com?key=a", PlaceError::Password),
        ("redis://user:hidden@cache.example.com", PlaceError::Password),
        ("redis://user%3Ahidden@cache.example.com?key=a", PlaceError::Password),
        ("redis://cache.example.com", PlaceError::NoKey),
        ("redis://cache.example.com?key=", PlaceError::BadKey),
        ("redis://cache.example.com?key=a{b}", PlaceError::BadKey),
        ("redis://cache.example.com?key=a%0Ab", PlaceError::BadKey),
        ("redis://cache.example.com/x?key=a", PlaceError::BadAddress("the database is a number, as in /0")),
        ("redis://cache.example.com?key=a&key=b", PlaceError::BadAddress("`?key=NAME` is all that may follow")),
        ("redis://cache.example.com?key=a&protocol=3", PlaceError::BadAddress("`?key=NAME` is all that may follow")),
        (
            "redis://u@hidden@cache.example.com?key=a",
            PlaceError::BadAddress(
                "an `@` too many: a user's is written %40, and a password goes into CONTACTSYNC_REDIS_PASSWORD",
            ),
        ),
        ("redis:///0?key=a", PlaceError::BadAddress("the host is missing")),
        ("redis://cache.example.com:99999?key=a", PlaceError::Unreadable(url::ParseError::InvalidPort)),
        ("redis://cache.example.com?key=a#b", PlaceError::BadAddress("`#` ends the address: write it as %23")),
    ];
    for (text, error) in cases {
        let refused = text.parse::<Place>().unwrap_err();
        assert_eq!(refused, error, "{text}");
        assert!(!refused.to_string().contains("hidden"));
    }
}
