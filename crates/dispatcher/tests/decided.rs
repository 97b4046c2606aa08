//! Rows that come in decided, and very many of them at once.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::sync::Arc;

use dispatcher::{Dispatcher, Intake, MaxFailures, Settings, Stop, StopCause};
use model::{Answered, Counters, Decision, Origin, Outcome, Reason};
use support::{Scripted, unlimited};

fn failed(row: u64) -> Intake {
    Intake::Decided(Decision {
        origin: Origin { source: "rows.csv".into(), row, line: row + 1 },
        euid: "".into(),
        id: Some("id".into()),
        outcome: Outcome::Failed,
        reason: Some(Reason::IdUnknown),
        answered: Answered::default(),
        attempts: 1,
        latency_ms: None,
        at_ms: 0,
        contacts: None,
        raw: None,
    })
}

/// More than may wait to be written down, of which the first stops the run: whoever lets them in waits for room, and lets
/// those run who make it.
#[tokio::test(start_paused = true)]
async fn many_at_once_wait_for_whoever_writes_them_down_also_when_the_run_stops() {
    let settings = Settings { max_failures: MaxFailures::Rows(1), ..unlimited() };
    let (intake, rows) = async_channel::bounded(4);
    let (decided, mut decisions) = tokio::sync::mpsc::channel::<Vec<Decision>>(1);
    let stop = Stop::default();
    intake.send((1..=5_000).map(failed).collect()).await.unwrap();
    drop(intake);
    let collector = tokio::spawn(async move {
        let mut count = 0;
        while let Some(handful) = decisions.recv().await {
            count += handful.len();
        }
        count
    });
    let dispatcher = Dispatcher::new(&settings, Scripted::silent());
    let ran = dispatcher.run(rows, decided, Arc::new(Counters::default()), stop.clone()).await;
    assert!(matches!(stop.cause(), Some(StopCause::MaxFailures(_))), "{:?}", stop.cause());
    assert_eq!((collector.await.unwrap(), ran.not_sent, ran.broke_off), (5_000, 0, false));
}
