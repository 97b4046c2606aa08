use std::sync::{Arc, atomic::Ordering::Relaxed};

use model::Decision;
use tokio::sync::mpsc;

use crate::{outbox::Due, shared::Shared, stop::StopCause};

/// Hands decisions on to whoever writes them down, until none come any more. Their rows hold their room until then, so a
/// writer that is slow slows everything.
pub(crate) async fn hand_on(shared: Arc<Shared>, decisions: mpsc::Sender<Vec<Decision>>) {
    loop {
        match shared.with(|scheduler, now, _| scheduler.due(now)) {
            Due::Over => return,
            Due::Nothing => shared.outbox.notified().await,
            Due::At(at) => tokio::select! {
                () = tokio::time::sleep_until(at) => {}
                () = shared.outbox.notified() => {}
            },
            Due::Now(handful, room) => {
                let count = handful.len() as u64;
                if decisions.send(handful).await.is_ok() {
                    shared.handed_on.fetch_add(count, Relaxed);
                } else {
                    // They count as not sent, and nothing more is sent of which nobody keeps a record.
                    shared.stop.because(StopCause::Bug("nobody takes what is decided".to_owned()));
                }
                shared.with(|scheduler, _, _| scheduler.handed_on(room));
            }
        }
    }
}
