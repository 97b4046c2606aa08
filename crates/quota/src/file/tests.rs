use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::{
    member::Granted,
    place::Place,
    quota::{Quota, Secrets},
    terms::{Terms, Wait},
};

fn quota(path: &Path, name: &str, per_second: u32) -> Quota {
    let interval = Duration::from_secs(1) / per_second;
    let terms = Terms::new(interval, interval * 2, format!("{per_second}/s"));
    Quota::new(Place::File(path.to_owned()), Which::Sending, name.to_owned(), terms, Secrets::default()).unwrap()
}

async fn ask(quota: &mut Quota) -> Result<Granted, QuotaError> {
    quota.ask(1, Wait::default()).await
}

#[tokio::test]
async fn processes_share_a_rate_until_they_leave() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quota");
    let (mut one, mut other) = (quota(&path, "one", 100), quota(&path, "other", 50));
    other.look().await.unwrap();
    ask(&mut one).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let refused = other.look().await.unwrap_err();
    assert_eq!(refused.to_string(), "1 other process shares it at the rate 100/s");
    assert_eq!(ask(&mut other).await.unwrap_err(), refused);
    one.leave().await.unwrap();
    ask(&mut other).await.unwrap();
    assert!(matches!(quota(&path, "one", 100).look().await, Err(QuotaError::OtherRate(_))));
}

/// A run that ends as it begins gives up its first ask, which goes on all the same.
#[tokio::test]
async fn who_leaves_is_gone_though_an_ask_was_still_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quota");
    let mut other = quota(&path, "other", 50);
    ask(&mut quota(&path, "first", 50)).await.unwrap();
    for number in 0..50 {
        let lock = File::open(&path).unwrap();
        lock.lock().unwrap();
        let mut one = quota(&path, &format!("one{number}"), 50);
        {
            let mut asking = std::pin::pin!(ask(&mut one));
            let begun =
                std::future::poll_fn(|context| std::task::Poll::Ready(asking.as_mut().poll(context).is_pending()));
            assert!(begun.await, "it waits for the lock");
        }
        lock.unlock().unwrap();
        one.leave().await.unwrap();
        let held = std::fs::read_to_string(&path).unwrap();
        assert!(held.contains("first") && !held.contains(&format!("one{number}")), "{held}");
    }
    ask(&mut other).await.unwrap();
}

#[tokio::test]
async fn the_two_rates_of_a_place_are_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quota");
    ask(&mut quota(&path, "one", 100)).await.unwrap();
    let terms = Terms::new(Duration::from_millis(67), Duration::ZERO, "900/m".to_owned());
    let reading = Quota::new(Place::File(path), Which::Reading, "other".to_owned(), terms, Secrets::default());
    ask(&mut reading.unwrap()).await.unwrap();
}

#[tokio::test]
async fn what_is_no_such_file_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("contacts.csv");
    std::fs::write(&path, "euid,email\n").unwrap();
    let refused = ask(&mut quota(&path, "one", 100)).await.unwrap_err();
    assert!(matches!(&refused, QuotaError::Refused(why) if why.contains("is no file of a shared rate")), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "euid,email\n");
    for (path, why) in
        [(folder.path().to_owned(), "is a folder"), (folder.path().join("no/where"), "folder isn't there")]
    {
        let refused = ask(&mut quota(&path, "one", 100)).await.unwrap_err();
        assert!(matches!(&refused, QuotaError::Refused(told) if told.contains(why)), "{refused}");
    }
}

#[tokio::test]
async fn who_holds_the_lock_for_ever_puts_it_out_of_reach() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quota");
    let mut one = quota(&path, "one", 100);
    ask(&mut one).await.unwrap();
    let held = File::open(&path).unwrap();
    held.lock().unwrap();
    let unreachable = one.leave().await.unwrap_err();
    assert!(matches!(&unreachable, QuotaError::Unreachable(what) if what.contains("locked")), "{unreachable}");
    held.unlock().unwrap();
    one.leave().await.unwrap();
}

#[tokio::test]
async fn a_file_that_was_removed_or_replaced_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quota");
    let mut file = SharedFile::new(path.clone(), Which::Sending);
    let of = |nonce| Ask::of("one", nonce);
    let generation = |answer: Result<Answer, QuotaError>| answer.unwrap().reply.known.generation;
    assert_eq!(generation(file.ask(of(1)).await), 1);
    assert_eq!(generation(file.ask(of(2)).await), 1);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(generation(file.ask(of(3)).await), 3);
    std::fs::rename(&path, folder.path().join("elsewhere")).unwrap();
    assert_eq!(generation(file.ask(of(4)).await), 4);
    assert_eq!(generation(SharedFile::new(path, Which::Sending).ask(of(5)).await), 4);
}

#[tokio::test]
async fn another_start_of_the_machine_is_over_and_another_machine_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quota");
    ask(&mut quota(&path, "one", 100)).await.unwrap();
    let of_another = format::Contents::empty("another").bytes();
    std::fs::write(&path, of_another).unwrap();
    let refused = ask(&mut quota(&path, "other", 50)).await.unwrap_err();
    assert!(matches!(&refused, QuotaError::Refused(why) if why.contains("on another machine")), "{refused}");
    let yesterday = std::time::SystemTime::now() - Duration::from_hours(24);
    File::options().write(true).open(&path).unwrap().set_modified(yesterday).unwrap();
    ask(&mut quota(&path, "other", 50)).await.unwrap();
}
